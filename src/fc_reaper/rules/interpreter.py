"""JMESPath by jmespath: what may be written, and an interpreter with three values.

What is absent or null, different types, and failures are undecided, unless the other side of an `&&` or `||`
settles it.
"""

import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor, isfinite
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

from fc_reaper.errors import ReaperError, kind_of, nearest, shown
from fc_reaper.models import Millis
from fc_reaper.rules.ages import CLOCKS, Reading
from fc_reaper.rules.expression import AGES, Expression, Node, Undecided
from fc_reaper.rules.result import FALSE, TRUE, UNKNOWN, Truth

LONGEST = 1000  # characters of an expression, itself allowed
DEEPEST = 60  # levels of the parse tree, itself allowed: a walk of the tree recurses as deep
# Steps of one evaluation, and values and parts of texts (32 characters each) that it makes, together.
MOST = 100_000

_TURNED = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}
_FAR = 1e15  # milliseconds that no task lives
_CHAINS = ("subexpression", "index_expression", "pipe")
_PROJECTIONS = ("projection", "value_projection", "filter_projection", "flatten")
_MAKES = ("multi_select_list", "multi_select_dict", "function_expression")

_NUMBER = r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?(?:[eE][+-]?[0-9]{1,9})?"  # as JSON writes it


class BadExpression(ReaperError, ValueError):
    """The text cannot be used as an expression; its message says why and what to write."""


def parse_expression(text: str, example: str = "payload.tier == 'gold'") -> Expression:
    """Compile *text*, or raise BadExpression; *example* is one that messages may show."""
    if len(text) > LONGEST:
        raise BadExpression(f"it has {len(text)} characters; write at most {LONGEST}")
    ages: list[tuple[str, Millis]] = []
    roots: set[str] = set()
    try:
        with warnings.catch_warnings():
            # `gold` between backticks is deprecated, and read as text although it is no JSON.
            warnings.simplefilter("error", PendingDeprecationWarning)
            parsed = jmespath.compile(text).parsed
    except PendingDeprecationWarning:
        what = "what is between backticks is JSON; write text in single quotes, 'gold'"
        raise BadExpression(what) from None
    except (JMESPathError, RecursionError, ValueError) as error:
        at = getattr(error, "lex_position", None)
        near = text[at : at + 20].strip() if isinstance(at, int) and at >= 0 else ""
        where = f" near {near!r}" if near else ""
        write = f"write something like {example}, or payload.size > `5`, joined by && and ||"
        raise BadExpression(f"it is no JMESPath{where}; {write}") from None
    tree = _checked(parsed, ages)
    if _read_by(tree, roots):
        roots.add("@")
    if not roots and not ages:
        raise BadExpression(f"it reads no field, the same for every task; name one, such as {example}")
    return Expression(text, tree, frozenset(roots), tuple(dict.fromkeys(ages)))


def _checked(node: Node, ages: list[tuple[str, Millis]], level: int = 1) -> Node:
    """*node*, with each comparison of an age as a node of its own, added to *ages*, if all is in order."""
    if level > DEEPEST:
        raise BadExpression(f"it has more than {DEEPEST} steps within each other; write it in simpler parts")
    kind, children, comparison = node["type"], node["children"], _comparison_of_age(node)
    if comparison is not None:
        ages.append(comparison["value"][:2])
        return comparison
    if kind == "field" and node["value"] == AGES:
        what = "an age stands only beside < <= > >= and a number"
        raise BadExpression(f"{what}; write it as in ages.alive_for > `7200`")
    if kind == "function_expression":
        _check_call(node["value"], len(children))
    if kind in ("subexpression", "index_expression", "value_projection") and (
        isinstance(children[0], Mapping) and children[0]["type"] == "not_expression"
    ):
        raise BadExpression("! takes only the next name; write !(payload.vip) instead of !payload.vip")
    parts: list[Any] = []
    for at, one in enumerate(children):
        if at and kind == "subexpression" and one["type"] == "field":
            # It is no age of the task, as in payload.ages. A message says whose field it is.
            whose = f"{parts[-1]['name']}." if "name" in parts[-1] else ""
            parts.append({**one, "name": f"{whose}{one['value']}"})
        else:
            parts.append(_checked(one, ages, level + 1) if isinstance(one, Mapping) else one)
    return {**node, "children": parts, **({"name": node["value"]} if kind == "field" else {})}


def _check_call(name: str, given: int) -> None:
    known: Mapping[str, Any] = Functions.FUNCTION_TABLE
    if name not in known:
        near = nearest(name, known, cutoff=0.6)
        remedy = f"did you mean {near}?" if near else f"the functions are {', '.join(sorted(known))}"
        remedy = "write !(payload.vip)" if name.lower() == "not" else remedy
        raise BadExpression(f"there is no function {name}(); {remedy}")
    signature = known[name]["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not variadic):
        wanted = f"{len(signature)}{' or more' if variadic else ''}"
        raise BadExpression(f"{name}() does not take {given}; write {wanted}, see https://jmespath.org")


def _comparison_of_age(node: Node) -> Node | None:
    """A node that says whether a clock is over a length, or, negated, whether it is not; None for others."""
    if node["type"] != "comparator" or node["value"] not in _TURNED:
        return None
    sides, sign = node["children"], node["value"]
    for (age, other), order in ((sides, sign), (sides[::-1], _TURNED[sign])):
        names = [child.get("value") for child in age["children"] if age["type"] == "subexpression"]
        if len(names) == 2 and names[0] == AGES and type(other.get("value")) in (int, float):
            if names[1] not in CLOCKS:
                known = ", ".join(CLOCKS)
                raise BadExpression(f"there is no age {shown(str(names[1]))}; write one of {known}")
            length = round(max(-_FAR, min(_FAR, other["value"] * 1000)), 3)
            limit = floor(length) if order in ("gt", "lte") else ceil(length) - 1
            return {"type": "age", "value": (names[1], limit, order in ("lt", "lte")), "children": []}
    return None


def _read_by(node: Node, found: set[str]) -> bool:
    """Add to *found* the first names of what *node* reads from the record; True if it is the whole record."""
    kind, children = node["type"], [one for one in node["children"] if isinstance(one, Mapping)]
    if kind in ("current", "identity"):
        return True
    if kind == "field":
        found.add(node["value"])
    elif kind in _CHAINS:  # each part reads what comes out of the one before it
        return all(_read_by(child, found) for child in children)
    elif kind != "expref":
        # The first part of a projection reads the record, the others read what comes out of it.
        for child in children[:1] if kind in _PROJECTIONS else children:
            if _read_by(child, found):
                found.add("@")
    return False


class Exhausted(Undecided):
    """An evaluation takes too long or makes too much; nothing else settles the expression then."""


class Interpreter(TreeInterpreter):  # type: ignore[misc]
    """One evaluation over one reading of a task."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self._reading, self._left = reading, MOST

    def visit(self, node: Node, value: Any, *args: Any, **kwargs: Any) -> Any:
        kind = node["type"]
        self._spend(1)
        # Not super(): it keeps the methods, and so itself and the whole record until a collection.
        answer = getattr(self, f"visit_{kind}")(node, value, *args, **kwargs)
        if kind in _MAKES:
            self._charge(answer)
        if answer is None:
            raise Undecided(f"{node['name']} is absent" if kind == "field" else f"the {kind} finds nothing")
        return answer

    def visit_age(self, node: Node, value: Any) -> bool:
        clock, limit, negated = node["value"]
        over = self._reading.bounds(clock).over(limit, self._reading.moment)
        if over is UNKNOWN:
            raise Undecided(f"{clock} is not known, or not so exactly")
        return (over is TRUE) is not negated

    def visit_comparator(self, node: Node, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        _must_be_alike(left, right)
        if node["value"] not in ("eq", "ne") and kind_of(left) != "a number":
            raise Undecided(f"it asks whether {kind_of(left)} is more or less")
        return self.COMPARATOR_FUNC[node["value"]](left, right)

    def visit_not_expression(self, node: Node, value: Any) -> bool:
        return not self._truth("!", node["children"][0], value)

    def visit_and_expression(self, node: Node, value: Any) -> bool:
        return self._joined("&&", node, value, operator.and_, FALSE)

    def visit_or_expression(self, node: Node, value: Any) -> bool:
        return self._joined("||", node, value, operator.or_, TRUE)

    def visit_filter_projection(self, node: Node, value: Any) -> list[Any]:
        _, projected, condition = node["children"]
        found = [one for one in self._elements(node, value) if self._truth("[? ]", condition, one)]
        return [_present(self.visit(projected, one)) for one in found]

    def visit_projection(self, node: Node, value: Any) -> list[Any]:
        return [_present(self.visit(node["children"][1], one)) for one in self._elements(node, value)]

    visit_value_projection = visit_projection

    def visit_function_expression(self, node: Node, value: Any) -> Any:
        name, given = node["value"], [self.visit(child, value) for child in node["children"]]
        _check_arguments(name, given)
        answer = self._functions.call_function(name, given)
        if answer is None or (isinstance(answer, float) and not isfinite(answer)):
            raise Undecided(f"{name}() answers nothing")
        return answer

    def _elements(self, node: Node, value: Any) -> list[Any]:
        """What is projected: of an object its values, for `.*`, else the elements of a list."""
        found, kind = self.visit(node["children"][0], value), node["type"]
        if not isinstance(found, dict if kind == "value_projection" else list):
            raise Undecided(f"the {kind} finds nothing")
        return [_present(one) for one in (found.values() if isinstance(found, dict) else found)]

    def _joined(
        self, sign: str, node: Node, value: Any, join: Callable[[Truth, Truth], Truth], settles: Truth
    ) -> bool:
        """Join both sides; one that *settles* it needs no other."""
        whole, why = ~settles, ""
        for child in node["children"]:
            try:
                side = Truth(self._truth(sign, child, value))
            except Exhausted:
                raise
            except Exception as error:
                side, why = UNKNOWN, why or reason_of(error)
            whole = join(whole, side)
            if whole is settles:
                break
        if whole is UNKNOWN:
            raise Undecided(why)
        return whole is TRUE

    def _truth(self, sign: str, node: Node, value: Any) -> bool:
        """Whether *node* holds. Text is neither true nor false, the text `false` least of all."""
        answer = self.visit(node, value)
        if not isinstance(answer, bool):
            raise Undecided(f"{sign} is asked of {kind_of(answer)}")
        return answer

    def _charge(self, made: Any) -> None:
        """Spend for each value within *made*, as often as it stands there."""
        values = [made]
        while values:
            one = values.pop()
            self._spend(1 + (len(one) // 32 if isinstance(one, str) else 0))
            if isinstance(one, (list, dict)):
                values += one.values() if isinstance(one, dict) else one

    def _spend(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise Exhausted("it takes too many steps, or makes too much")


def _present(value: Any) -> Any:
    """A value in a list or an object, where null is as absent as elsewhere."""
    if value is None:
        raise Undecided("one of several is null")
    return value


def _must_be_alike(left: Any, right: Any) -> None:
    """Different kinds are not compared, nor lists and objects that hold them: Python takes true for 1."""
    if kind_of(left) != kind_of(right):
        raise Undecided(f"it compares {kind_of(left)} with {kind_of(right)}")
    if isinstance(left, list):
        for one, other in zip(left, right, strict=False):
            _must_be_alike(one, other)
    elif isinstance(left, Mapping):
        for name in left.keys() & right.keys():
            _must_be_alike(left[name], right[name])


def _check_arguments(name: str, given: Sequence[Any]) -> None:
    """What jmespath itself lets pass: Python takes an empty list for an object, and `1_0` for ten."""
    if name == "contains" and isinstance(given[0], list):
        for item in given[0]:
            _must_be_alike(item, given[1])
    if name == "merge":
        for one in given:
            if not isinstance(one, Mapping):
                raise Undecided(f"merge() does not take {kind_of(one)}")
    if name == "to_number" and isinstance(given[0], str) and not re.fullmatch(_NUMBER, given[0]):
        raise Undecided("to_number() answers nothing")


def reason_of(error: Exception) -> str:
    """What a failure leaves undecided: jmespath puts values into its messages, and only names may go on."""
    if isinstance(error, Undecided):
        return str(error)
    name, actual = getattr(error, "function_name", None), getattr(error, "actual_type", None)
    return f"{name}() does not take {actual}" if name and actual else "it cannot be computed"
