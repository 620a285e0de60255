"""Expressions over a task's record: JMESPath, compiled once, and what it reads, by its parse tree.

https://jmespath.org/specification.html
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fc_reaper.errors import ReaperError

LONGEST = 1000
"""Characters of an expression, itself allowed."""

DEEPEST = 60
"""Steps within each other, itself allowed: whoever walks the tree calls himself as often."""

PAYLOAD, AGES = "payload", "ages"
RAW_PAYLOADS = ("invocationPayload", "taskPayload")

RECORD_FIELDS = (
    "serviceName", "functionName", "functionArn", "qualifier", "invocationId", "taskId", "requestId",
    "status", "startedTime", "endTime", "durationMs", "alreadyRetriedTimes", "instanceId",
    "invocationErrorMessage", "taskErrorMessage", *RAW_PAYLOADS, "returnPayload", "destinationStatus",
    "events",
)  # fmt: skip
"""The wire names of a record, those of 2.0 and of 3.0:
https://www.alibabacloud.com/help/en/functioncompute/fc-2-0/developer-reference/api-fc-open-2021-04-06-struct-statefulasyncinvocation"""

_STEPS = ("field", "index", "current", "identity")
_CHAINS = ("subexpression", "index_expression", "pipe")
_AFTER_A_DOT = ("subexpression", "index_expression", "value_projection")
_PROJECTIONS = ("projection", "value_projection", "filter_projection", "flatten")

Path = tuple[str | int, ...]


class BadExpression(ReaperError, ValueError):
    """The text is no expression that can be used; its own text says why and what to write."""


@dataclass(frozen=True)
class Expression:
    """A compiled expression. Two are equal when their texts are."""

    text: str
    tree: Mapping[str, Any] = field(compare=False, repr=False)

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The fields that it reads from the record, by its parse tree, without those of a list's elements."""
        return tuple(dict.fromkeys(_paths(self.tree)))

    @cached_property
    def roots(self) -> frozenset[str]:
        """The first names of its fields; `@` stands for the whole record."""
        return frozenset(str(path[0]) if path else "@" for path in self.paths)

    @property
    def needs_payload(self) -> bool:
        """Whether a record without payload cannot answer it."""
        return not self.roots.isdisjoint((PAYLOAD, "@", *RAW_PAYLOADS))

    @property
    def needs_ages(self) -> bool:
        """Whether its answer may change while nothing but time goes on."""
        return not self.roots.isdisjoint((AGES, "@"))

    @property
    def strange_roots(self) -> tuple[str, ...]:
        """The names that no record has, so that the expression never has an answer."""
        known = {*RECORD_FIELDS, PAYLOAD, AGES, "@"}
        return tuple(sorted(self.roots - known))

    def __str__(self) -> str:
        return self.text


def spelt(path: Path) -> str:
    """A path as it is written, such as `events[0].status`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def step_into(value: Any, step: str | int) -> Any:
    """The field or the place *step* of *value*; None where it is absent or null."""
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value.get(step) if isinstance(value, Mapping) else None


def parse_expression(text: str, example: str = "payload.tier == 'gold'") -> Expression:
    """Compile *text*, and look at whatever can be seen to be wrong before there is a task.

    *example* is one that messages may show.

    Raises:
        BadExpression: it is empty, too long, no JMESPath, calls an unknown function or with a wrong number
            of arguments, or reads no field at all.
    """
    if not text.strip():
        raise BadExpression(f"it is empty; write an expression such as {example}")
    if len(text) > LONGEST:
        raise BadExpression(f"it has {len(text)} characters; write at most {LONGEST}")
    tree = _parsed(text, example)
    if _is_deeper(tree, DEEPEST):
        raise BadExpression(f"it has more than {DEEPEST} steps within each other; write it in simpler parts")
    for node in _nodes(tree):
        if node["type"] == "function_expression":
            _check_call(node)
        _check_not(node)
        if node["type"] == "literal":
            _check_literal(node["value"])
    expression = Expression(text, tree)
    if not expression.paths:
        raise BadExpression(
            f"it reads no field, so it is the same for every task; name one, such as {example}"
        )
    return expression


def _parsed(text: str, example: str) -> Mapping[str, Any]:
    import jmespath  # only a policy with an expression needs it
    from jmespath.exceptions import JMESPathError

    try:
        with warnings.catch_warnings():
            # `gold` between backticks is deprecated, and read as text although no JSON.
            warnings.simplefilter("error", PendingDeprecationWarning)
            tree: Mapping[str, Any] = jmespath.compile(text).parsed
    except PendingDeprecationWarning:
        raise BadExpression("between backticks stands JSON; write text in single quotes, 'gold'") from None
    except (JMESPathError, RecursionError, ValueError) as error:
        raise BadExpression(f"it is no JMESPath{_where(error, text)}; {_remedy(text, example)}") from None
    return tree


def _where(error: Exception, text: str) -> str:
    at = getattr(error, "lex_position", None)
    if not isinstance(at, int) or not 0 <= at <= len(text):
        return ""
    return f" near {text[at : at + 20]!r}" if text[at : at + 20].strip() else ", it ends too early"


_MISTAKES = (
    ("[\u2018\u2019\u201c\u201d]", "write straight quotes, as in payload.tier == 'gold'"),
    (r"^\$", "leave $ out, the record is meant already"),
    (r"===|<>|=~|!==", "write one of == != < <= > >= to compare"),
    (r"(?i)\sin\s", "write contains(['x', 'y'], payload.tier)"),
    (r"(?i)\s(contains|like)\s", "write contains(payload.list, 'x')"),
    (r"\[\s*['\"]", 'write payload.name, or with quotes payload."odd name"'),
    (r"\bis\s+(not\s+)?(null|none)\b", "write nothing about null: what is absent is unknown, and kept"),
    (r"[A-Za-z0-9_]-[A-Za-z]|[^\x00-\x7f]", 'quote a name that holds other characters, payload."order-id"'),
)
"""What people write who know other languages, and what to write instead."""


def _remedy(text: str, example: str) -> str:
    if re.search(r"[<>=]\s*-?[0-9]", text):
        return "write a number between backticks, as in payload.size > `5`"
    for mistake, remedy in _MISTAKES:
        if re.search(mistake, text):
            return remedy
    if re.search(r"(?i)\s(and|or)\s|(^|\s)not\s", text):
        return "write && || ! for and, or, not"
    if "==" not in text and "=" in text:
        return "write == to compare"
    return f"write something like {example} (https://jmespath.org)"


def _check_not(node: Mapping[str, Any]) -> None:
    """In jmespath.py `!a.b` is `(!a).b`, which nobody means and which never has an answer."""
    first = node["children"][0] if node["children"] else None
    if node["type"] in _AFTER_A_DOT and isinstance(first, Mapping) and first["type"] == "not_expression":
        raise BadExpression(
            "! takes only the name that follows it; write !(payload.vip) instead of !payload.vip"
        )


def _check_literal(value: Any) -> None:
    """Python reads NaN and Infinity, which JSON has not, and which differ from every number."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise BadExpression("between backticks stands JSON, which has no NaN and no Infinity") from None


def _check_call(node: Mapping[str, Any]) -> None:
    from jmespath.functions import Functions

    name, given = node["value"], len(node["children"])
    known: Mapping[str, Any] = Functions.FUNCTION_TABLE
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, list(known), n=1, cutoff=0.6)
        remedy = f"did you mean {near[0]}?" if near else f"the functions are {', '.join(sorted(known))}"
        remedy = "write !(payload.vip)" if name.lower() == "not" else remedy
        raise BadExpression(f"there is no function {name}(); {remedy}")
    signature = known[name]["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not variadic):
        wanted = f"{len(signature)}{' or more' if variadic else ''} argument{'s' * (len(signature) != 1)}"
        raise BadExpression(f"{name}() takes {wanted}, not {given}; see https://jmespath.org")


def _is_deeper(tree: Mapping[str, Any], levels: int) -> bool:
    floor = [tree]
    for _ in range(levels):
        floor = [child for node in floor for child in node["children"] if isinstance(child, Mapping)]
    return bool(floor)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node["children"]:
        if isinstance(child, Mapping):
            yield from _nodes(child)


def _paths(node: Mapping[str, Any]) -> Iterator[Path]:
    """The fields that *node* reads from the record itself."""
    kind, children = node["type"], [child for child in node["children"] if isinstance(child, Mapping)]
    if kind in _STEPS:
        yield (node["value"],) if kind in ("field", "index") else ()
    elif kind in _CHAINS:
        yield from _chained(children)
    elif kind != "expref":
        # Of a projection only the first part is asked of the record, the others of what comes out of it.
        for child in children[:1] if kind in _PROJECTIONS else children:
            yield from _paths(child)


def _chained(children: list[Mapping[str, Any]]) -> Iterator[Path]:
    """Each part of a chain reads from what the part before it answers."""
    before: Path = ()
    for number, child in enumerate(children, 1):
        paths = list(_paths(child))
        if not _is_straight(child) or number == len(children):
            yield from ((*before, *path) for path in paths or ([()] if before else []))
            return
        before = (*before, *paths[0])


def _is_straight(node: Mapping[str, Any]) -> bool:
    """Whether it is a plain chain such as `payload.items[0].id`."""
    return node["type"] in _STEPS or (
        node["type"] in _CHAINS and all(_is_straight(child) for child in node["children"])
    )
