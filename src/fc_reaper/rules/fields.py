"""The single values of a policy as pydantic types: lengths of time, targets, patterns, budgets, expressions.

A validator raises ValueError, whose text reads `what is wrong; what to write`. Each type has its JSON schema
and its spelling.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator
from typing_extensions import TypeAliasType

from fc_reaper.models import FINISHED, UNFINISHED, Millis
from fc_reaper.rules.duration import PATTERN, parse_duration, spell_duration
from fc_reaper.rules.expression import BadExpression, Expression, parse_expression
from fc_reaper.rules.parts import Fault, Part, Plain, key, nearest, one_of, quoted, shown, text_of
from fc_reaper.rules.target import PART, Target, is_glob, parse_target

MOST = 999_999_999
"""The largest count that can be written; far beyond what an account holds."""


def _like(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


_LENGTH = "a length such as 90m, 2h or 1d12h"


def _duration(value: Any) -> Millis:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return parse_duration(json.dumps(value))
    if isinstance(value, str) and re.match("(payload|ages)[.]", value):
        carried = f"{{from: {value[:60]}, at_most: 6h}}"
        raise ValueError(f"an expression stands where a length of time belongs; write {carried}")
    return parse_duration(value if value == "" else text_of(value, _LENGTH))


def _target(value: Any) -> Target:
    if isinstance(value, Target):
        return value
    return parse_target(text_of(value, "a target such as media/transcode@prod"))


def _function(value: Any) -> Target:
    target = _target(value)
    if target.needs_discovery:
        raise ValueError(
            f"{target} has a pattern; this is one task, write its function, such as media/transcode@prod"
        )
    return target


_TARGETS = f"({PART}/)?{PART}(@{PART})?"
_Duration = Annotated[Millis, Plain(_duration, _like(PATTERN), spell_duration)]
Duration = TypeAliasType("Duration", _Duration)
_Target = Annotated[Target, Plain(_target, _like(_TARGETS), str)]
TargetField = TypeAliasType("TargetField", _Target)
FunctionField = Annotated[Target, Plain(_function, _like(_TARGETS.replace("*?", "")), str)]


# Ids, statuses and triggers.

TRIGGERS = ("timer", "alert", "command", "task")

_ID = "[A-Za-z0-9_-]{1,128}"
ID_GLOB = "[A-Za-z0-9_*?-]{1,128}"
_TIMER = "timer:[A-Za-z0-9_-]{1,128}"


def _id(value: Any) -> str:
    text = text_of(value, "an invocation id such as job-17")
    if not re.fullmatch(_ID, text):
        instead = "this is one task, write its id without * and ?" if is_glob(text) else (
            "write 1 to 128 letters, digits, _ and -")  # fmt: skip
        raise ValueError(f"{shown(text)} is no invocation id; {instead}")
    return text


def _id_glob(value: Any) -> str:
    text = text_of(value, "a pattern for the invocation id such as 'nightly-*'")
    if re.fullmatch(ID_GLOB, text):
        return text
    instead = "write letters, digits, _ and -, with * and ? as patterns"
    if re.search(r"[\[\]]", text):
        instead = "brackets are no pattern here, write * and ?, or a list of patterns"
    elif "/" in text or "@" in text:
        instead = f"if a function is meant, write {{target: {quoted(text[:60])}}} in `exempt` or `unless`"
    elif len(text) > 128:
        instead = "an id has at most 128 characters, shorten it with *"
    raise ValueError(f"{shown(text)} fits no invocation id; {instead}")


def _status(value: Any) -> str:
    text = text_of(value, "a status such as Running")
    if text in FINISHED:
        raise ValueError(f"a task that is {text} is over and cannot be stopped; delete this status")
    if text not in UNFINISHED:
        raise ValueError(f"{shown(text)} is no status; {one_of(text, UNFINISHED)}")
    return text


def _trigger(value: Any) -> str:
    if isinstance(value, dict) and "timer" in value:
        raise ValueError("a blank after the colon makes it a mapping; write timer:NAME")
    text = text_of(value, "a trigger such as timer")
    if text in TRIGGERS or re.fullmatch(_TIMER, text):
        return text
    if ":" in text:
        raise ValueError(f"{shown(text)} names no timer; write timer:NAME with the name of an FC trigger")
    raise ValueError(f"{shown(text)} is no trigger; {one_of(text, (*TRIGGERS, 'timer:NAME'))}")


InvocationId = Annotated[str, Plain(_id, _like(_ID))]
_IdGlob = Annotated[str, Plain(_id_glob, _like(ID_GLOB))]
IdGlob = TypeAliasType("IdGlob", _IdGlob)
_Status = Annotated[str, Plain(_status, {"enum": list(UNFINISHED)})]
Status = TypeAliasType("Status", _Status)
Trigger = Annotated[str, Plain(_trigger, _like(f"{'|'.join(TRIGGERS)}|{_TIMER}"))]


# Words and numbers.

Version = Annotated[int, Field(strict=True, ge=1, le=1)]
Count = Annotated[int, Field(strict=True, ge=1, le=MOST)]
CountOrZero = Annotated[int, Field(strict=True, ge=0, le=MOST)]


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def _printable(text: str) -> str:
    strange = _CONTROL.search(text)
    if strange is not None:
        raise ValueError(f"the character {strange[0]!a} cannot be shown; delete it")
    return text


def _line(value: Any, what: str, longest: int) -> str:
    """A line for people: blanks and line breaks are folded into one blank."""
    line = _printable(" ".join(text_of(value, what).split()))
    if len(line) > longest:
        raise ValueError(f"it has {len(line)} characters; write at most {longest}")
    return line


_TEXT = {"type": "string", "minLength": 1}
Name = Annotated[str, Plain(lambda value: _line(value, "a name", 100), _TEXT)]
Reason = Annotated[str, Plain(lambda value: _line(value, "the reason in words", 500), _TEXT)]


class Budget(NamedTuple):
    """The most stops in one run, and within a day; None: the day has no limit."""

    per_run: int = 20
    per_day: int | None = None

    def __str__(self) -> str:
        return f"{self.per_run}/run" + ("" if self.per_day is None else f", {self.per_day}/day")


_NUMBER = "[1-9][0-9]{0,8}"
_BUDGET = f"{_NUMBER}/run(?: *, *{_NUMBER}/day)?|{_NUMBER}/day(?: *, *{_NUMBER}/run)?"


def _budget(value: Any) -> Budget:
    if isinstance(value, Budget):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{value} does not say per what; write {value}/run")
    text = text_of(value, "a budget such as 20/run or 20/run, 200/day")
    if not re.fullmatch(_BUDGET, text):
        what = f"{shown(text)} is no budget"
        if re.search(r"(^|[ ,])0+/(run|day)", text):
            raise ValueError(f"{what}: 0 would never stop anything; write 1/run or more, or `report:`")
        raise ValueError(f"{what}; write N/run, N/day or both once, such as 20/run, 200/day")
    counts = {f"per_{unit}": int(count) for count, unit in re.findall("([0-9]+)/(run|day)", text)}
    return Budget(**counts)


BudgetField = Annotated[Budget, Plain(_budget, _like(_BUDGET), str)]

_SHARE = r"(0|[1-9][0-9]?)(?:\.([0-9]{1,2}))?%"


def _share(value: Any) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"{value} has no %; write {str(value)[:6]}% or another share such as 2%")
    text = text_of(value, "a share such as 2%")
    share = re.fullmatch(_SHARE, text)
    if share is None:
        raise ValueError(f"{shown(text)} is no share; write 0.01% to 99.99%, such as 2%")
    hundredths = int(share[1]) * 100 + int((share[2] or "0").ljust(2, "0"))
    if hundredths == 0:
        raise ValueError(f"{text} spares no task; write a share such as 2%, or delete the key")
    return hundredths


def spell_share(hundredths: int) -> str:
    """Write hundredths of a percent as a policy does: `2%`, `0.25%`."""
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".") + "%"


Holdout = Annotated[int, Plain(_share, _like(_SHARE), spell_share)]


def _payload(value: Any) -> str:
    """JSON text of what YAML read; a key with nothing behind it is null."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=lambda nothing: None)
    except ValueError:
        raise ValueError("JSON has no infinite numbers; quote it, or write another number") from None


Payload = Annotated[str, Plain(_payload, {}, json.loads)]


# Expressions, and limits that hold one.


def _expression(value: Any, example: str) -> Expression:
    if isinstance(value, Expression):
        return value
    text = text_of(value, f"an expression such as {example}").strip()
    _printable(re.sub(r"\s", " ", text))
    try:
        return parse_expression(text, example)
    except BadExpression as error:
        raise ValueError(str(error)) from error


GROUPS = ("function", "qualifier")


def _per(value: Any) -> str | Expression:
    if isinstance(value, str) and value in GROUPS:
        return value
    per = _expression(value, "payload.order_id")
    near = nearest(per.text, GROUPS) if per.unknown_roots == (per.text,) else None
    if near is not None:
        raise ValueError(f"{shown(per.text)} is a field that no record has; did you mean {near}?")
    return per


def _expression_like(example: str) -> Plain:
    return Plain(lambda value: _expression(value, example), _TEXT, str)


_Expression = Annotated[Expression, _expression_like("payload.tier == 'gold'")]
ExpressionField = TypeAliasType("ExpressionField", _Expression)
_From = Annotated[Expression, _expression_like("payload.max_run")]
Per = Annotated[Literal["function", "qualifier"] | Expression, Plain(_per, _TEXT, str)]


class CarriedLimit(Part):
    """A limit that the task carries itself, at most `at_most`.

    `otherwise` is the limit of a task that carries none that can be read; None: then it is unknown.
    """

    model_config = ConfigDict(title="a limit that the task carries", serialize_by_alias=True)
    expression: _From = key(
        "Where the task carries it, as text such as 90m.", "payload.max_run", alias="from"
    )
    at_most: Duration = key("Whatever the task carries, its limit is no more than this.", "6h")
    otherwise: Duration | None = key(
        "The limit of a task that carries none that can be read. Default unknown: kept.",
        "2h",
        None,
        alias="else",
    )

    @model_validator(mode="after")
    def _else_is_within(self) -> CarriedLimit:
        if self.otherwise is not None and self.otherwise > self.at_most:
            most = spell_duration(self.at_most)
            what = f"{spell_duration(self.otherwise)} is more than at_most {most}; write at most {most}"
            raise Fault((("else",), what))
        return self

    def __str__(self) -> str:
        other = "" if self.otherwise is None else f", else {spell_duration(self.otherwise)}"
        return f"from {self.expression}, at most {spell_duration(self.at_most)}{other}"


Limit = TypeAliasType(
    "Limit",
    Annotated[
        Annotated[Duration, Tag("(length)")] | Annotated[CarriedLimit, Tag("(carried)")],
        Discriminator(lambda given: "(carried)" if isinstance(given, (dict, CarriedLimit)) else "(length)"),
    ],
)
