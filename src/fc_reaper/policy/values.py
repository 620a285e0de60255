"""The single values of a policy: ids, targets, statuses, lengths of time, counts, budgets, expressions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from fc_reaper.errors import InvalidName
from fc_reaper.models import FINISHED, UNFINISHED, Millis
from fc_reaper.policy.document import Entries, Node, Scalar
from fc_reaper.policy.duration import PATTERN, NotADuration, parse_duration
from fc_reaper.policy.findings import nearest, quoted, shown
from fc_reaper.policy.forms import Form, Wrong, form, kind_of, misread, text_of
from fc_reaper.rules.expression import BadExpression, Expression, parse_expression
from fc_reaper.rules.target import Target, parse_target

TRIGGERS = ("timer", "alert", "command", "task")
MOST = 999_999_999
"""The largest count that can be written; far beyond what an account holds."""

_PART = "[A-Za-z0-9_$*?-]+"
_ID_GLOB = re.compile("[A-Za-z0-9_*?-]{1,128}")
_TIMER = re.compile("timer:[A-Za-z0-9_-]{1,128}")
_ID = re.compile("[A-Za-z0-9_-]{1,128}")
_LENGTH = "a length of time such as 90m, 2h or 1d12h"


def words(what: str, longest: int) -> Form[str]:
    """A line for people: blanks and line breaks are folded into one blank, control characters refused."""

    def parse(node: Node) -> str:
        line = " ".join(text_of(node, what).split())
        strange = next((char for char in line if unicodedata.category(char) in ("Cc", "Cs")), None)
        if strange is not None:
            raise Wrong(f"the character {strange!a} cannot be shown; delete it")
        if len(line) > longest:
            raise Wrong(f"it has {len(line)} characters; write at most {longest}")
        return line

    return form(parse, {"type": "string", "minLength": 1})


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The remedy for a word that is not one of *known*."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else f"write one of {', '.join(known)}"


def _id_glob(node: Node) -> str:
    text = text_of(node, "a pattern for the invocation id such as 'nightly-*'")
    if not _ID_GLOB.fullmatch(text):
        raise Wrong(f"{shown(text)} fits no invocation id; {_id_instead(text)}")
    return text


def _id_instead(text: str) -> str:
    if re.search(r"[\[\]]", text):
        return "brackets are no pattern here, write * and ?, or a list of patterns"
    if "/" in text or "@" in text:
        return f"if a function is meant, write {{target: {quoted(text[:60])}}} in `exempt` or `unless`"
    if len(text) > 128:
        return "an id has at most 128 characters, shorten it with *"
    return "write letters, digits, _ and -, with * and ? as patterns"


def _target(node: Node) -> Target:
    text = text_of(node, "a target such as media/transcode@prod")
    try:
        return parse_target(text)
    except InvalidName as error:
        hint = "" if text == text.strip() else " (without blanks around it)"
        raise Wrong(f"{error}{hint}") from error


def _status(node: Node) -> str:
    text = text_of(node, "a status such as Running")
    if text in FINISHED:
        raise Wrong(f"a task that is {text} is over and cannot be stopped; delete this status")
    if text not in UNFINISHED:
        raise Wrong(f"{shown(text)} is no status; {did_you_mean(text, UNFINISHED)}")
    return text


def _trigger(node: Node) -> str:
    if isinstance(node, Entries) and any(_is_word(key, "timer") for key, _ in node.pairs):
        raise Wrong("a blank after the colon makes it a mapping; write timer:NAME")
    text = text_of(node, "a trigger such as timer")
    if text in TRIGGERS or _TIMER.fullmatch(text):
        return text
    if ":" in text:
        raise Wrong(f"{shown(text)} names no timer; write timer:NAME with the name of an FC trigger")
    raise Wrong(f"{shown(text)} is no trigger; {did_you_mean(text, (*TRIGGERS, 'timer:NAME'))}")


def _duration(node: Node) -> Millis:
    if not isinstance(node, Scalar):
        raise Wrong(f"{kind_of(node)} stands where a length of time belongs; write {_LENGTH}")
    if node.reads_as not in ("str", "int", "float"):
        raise Wrong(f"{misread(node)}; write {_LENGTH}")
    try:
        return parse_duration(node.text)
    except NotADuration as error:
        what = str(error)
        if node.reads_as == "int" and ":" in node.text:
            what = f"{misread(node)}; {what.rpartition('; ')[2]}"
        raise Wrong(what) from error


def _is_word(node: Node, word: str) -> bool:
    return isinstance(node, Scalar) and node.text == word


def whole_number(least: int, remedy: str, most: int = MOST) -> Form[int]:
    """A whole number from *least* to *most*, both allowed; *remedy* says what to write instead."""

    def parse(node: Node) -> int:
        if not isinstance(node, Scalar):
            raise Wrong(f"{kind_of(node)} stands where a number belongs; {remedy}")
        if node.reads_as != "int":
            raise Wrong(f"{_no_number(node)}; {remedy}")
        if ":" in node.text:
            raise Wrong(f"{misread(node)}; {remedy}")
        if not re.fullmatch("0|[1-9][0-9]{0,8}", node.text) or not least <= int(node.text) <= most:
            raise Wrong(f"{shown(node.text)} cannot be used; {remedy}")
        return int(node.text)

    return form(parse, {"type": "integer", "minimum": least, "maximum": most})


def _no_number(scalar: Scalar) -> str:
    if scalar.reads_as != "str":
        return misread(scalar)
    return f"{shown(scalar.text)} is text, not a number" if scalar.text.strip() else "it is empty"


def expression(example: str) -> Form[Expression]:
    """An expression; *example* is one that messages may show."""
    return form(lambda node: _expression(node, example), {"type": "string", "minLength": 1}, "expression")


def _expression(node: Node, example: str) -> Expression:
    what = f"an expression such as {example}"
    if not isinstance(node, Scalar):
        raise Wrong(f"{kind_of(node)} stands where {what} belongs; quote what begins with a bracket")
    text = text_of(node, what).strip()
    strange = next((char for char in text if _is_strange(char)), None)
    if strange is not None:
        raise Wrong(f"the character {strange!a} cannot be shown; delete it")
    try:
        return parse_expression(text, example)
    except BadExpression as error:
        raise Wrong(str(error)) from error


def _is_strange(char: str) -> bool:
    return char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cs")


def choice(what: str, *known: str) -> Form[str]:
    """One of some words; *what* names the thing with its article."""

    def parse(node: Node) -> str:
        text = text_of(node, what)
        if text not in known:
            raise Wrong(f"{shown(text)} cannot be used; {did_you_mean(text, known)}")
        return text

    return form(parse, {"enum": list(known)})


def _invocation_id(node: Node) -> str:
    text = text_of(node, "an invocation id such as job-17")
    if not _ID.fullmatch(text):
        pattern = "this is one task, write its id without * and ?"
        plain = "write 1 to 128 letters, digits, _ and -"
        raise Wrong(f"{shown(text)} is no invocation id; {pattern if set(text) & set('*?') else plain}")
    return text


def _function(node: Node) -> Target:
    target = _target(node)
    if target.needs_discovery:
        raise Wrong(
            f"{target} has a pattern; this is one task, write its function, such as media/transcode@prod"
        )
    return target


ID = form(_invocation_id, {"type": "string", "pattern": f"^{_ID.pattern}$"})
ID_GLOB = form(_id_glob, {"type": "string", "pattern": f"^{_ID_GLOB.pattern}$"}, "id")
TARGET = form(_target, {"type": "string", "pattern": f"^({_PART}/)?{_PART}(@{_PART})?$"}, "target")
FUNCTION = form(_function, {"type": "string", "pattern": TARGET.schema["pattern"].replace("*?", "")})
STATUS = form(_status, {"enum": list(UNFINISHED)}, "status")
TRIGGER = form(_trigger, {"type": "string", "pattern": f"^(?:{'|'.join(TRIGGERS)}|{_TIMER.pattern})$"})
DURATION = form(_duration, {"type": "string", "pattern": PATTERN}, "duration")
EXPRESSION = expression("payload.tier == 'gold'")
