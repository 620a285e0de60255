"""The single values of the policy language as pydantic types, and the limit that a task carries."""

import json
import re
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import Self, TypeAliasType

from fc_reaper.errors import InvalidName, nearest, shown
from fc_reaper.models import LATEST, PART, UNFINISHED, Millis, Target, iso
from fc_reaper.rules.duration import LENGTH, PATTERN, parse_duration, spell_duration
from fc_reaper.rules.expression import Expression
from fc_reaper.rules.language import Fault, Later, Part, Plain, Schema, key, text_of

_TEXT: Schema = {"type": "string", "minLength": 1}
_CONTROL = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"


def _like(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def _printable(text: str) -> str:
    strange = None if text.isprintable() else re.search(_CONTROL, text)  # compiling it takes a millisecond
    if strange is not None:
        raise ValueError(f"the character {strange[0]!a} cannot be shown; delete it")
    return text


def _line(value: Any, what: str, longest: int) -> str:
    """A line for people: blanks and line breaks are folded into one blank."""
    line = _printable(" ".join(text_of(value, what).split()))
    if len(line) > longest:
        raise ValueError(f"it has {len(line)} characters; write at most {longest}")
    return line


Name = Annotated[str, Plain(lambda value: _line(value, "a name", 100), _TEXT)]
Reason = Annotated[str, Plain(lambda value: _line(value, "the reason in words", 500), _TEXT)]

MOST = 999_999_999  # the largest count that can be written; far beyond what an account holds
Version = Annotated[int, Field(strict=True, ge=1, le=1)]
Count = Annotated[int, Field(strict=True, ge=1, le=MOST)]
CountOrZero = Annotated[int, Field(strict=True, ge=0, le=MOST)]


def _duration(value: Any) -> Millis:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return parse_duration(json.dumps(value) if number else text_of(value, LENGTH))


Duration = TypeAliasType("Duration", Annotated[Millis, Plain(_duration, _like(PATTERN), spell_duration)])


def parse_target(text: str, *, default_qualifier: str = LATEST) -> Target:
    """Read `[service/]function[@qualifier]`; InvalidName for what has another shape."""
    match = re.fullmatch(f"(?:({PART})/)?({PART})(?:@({PART}))?", text)
    if match is None:
        write = "[service/]function[@qualifier] of letters, digits, _ - and * ?"
        raise InvalidName(f"{shown(text)} is not a target; write {write}")
    return Target(match[1], match[2], match[3] or default_qualifier)


def _target(value: Any, default: str = LATEST) -> Target:
    return parse_target(text_of(value, "a target such as media/transcode@prod"), default_qualifier=default)


def _function(value: Any) -> Target:
    target = _target(value)
    if target.needs_discovery:
        raise ValueError(f"{target} has a pattern; write the function of one task, media/transcode@prod")
    return target


_TARGETS = f"({PART}/)?{PART}(@{PART})?"
_spared = Plain(lambda value: _target(value, "*"), _like(_TARGETS), str)
TargetField = TypeAliasType("TargetField", Annotated[Target, Plain(_target, _like(_TARGETS), str)])
SparedTarget = TypeAliasType("SparedTarget", Annotated[Target, _spared])
FunctionField = Annotated[Target, Plain(_function, _like(_TARGETS.replace("*?", "")), str)]

TRIGGERS = ("timer", "alert", "command", "task")
ID_GLOB = "[A-Za-z0-9_*?-]{1,128}"
_ID = "[A-Za-z0-9_-]{1,128}"
_TIMER = f"timer:{_ID}"


def _fitting(pattern: str, what: str) -> Plain:
    """Text that fits *pattern*; *what* says what to write."""

    def read(value: Any) -> str:
        if not re.fullmatch(pattern, text_of(value, what)):
            raise ValueError(f"{shown(value)} cannot be used; write {what}")
        return str(value)

    return Plain(read, _like(pattern))


def _one_of(what: str, known: tuple[str, ...], schema: Schema, pattern: str = "") -> Plain:
    """One of the *known* words, or text that fits *pattern*."""

    def read(value: Any) -> str:
        text = text_of(value, f"{what} such as {known[-1]}")
        if text not in known and not (pattern and re.fullmatch(pattern, text)):
            near = nearest(text, known)
            write = f"did you mean {near}?" if near else f"write one of {', '.join(known)}"
            raise ValueError(f"{shown(text)} is not {what}; {write}")
        return text

    return Plain(read, schema)


_globs = _fitting(ID_GLOB, "letters, digits, _ and -, with * and ?, such as 'nightly-*'")
_statuses = _one_of("a status of a task that is not over", UNFINISHED, {"enum": list(UNFINISHED)})
_any_trigger = _like(f"{'|'.join(TRIGGERS)}|{_TIMER}")
InvocationId = Annotated[str, _fitting(_ID, "1 to 128 letters, digits, _ and -, such as job-17")]
IdGlob = TypeAliasType("IdGlob", Annotated[str, _globs])
Status = TypeAliasType("Status", Annotated[str, _statuses])
Trigger = Annotated[str, _one_of("a trigger", (*TRIGGERS, "timer:NAME"), _any_trigger, _TIMER)]


class Budget(NamedTuple):
    """The most stops in one run, and within a day; None: the day has no limit."""

    per_run: int = 20
    per_day: int | None = None

    def __str__(self) -> str:
        return f"{self.per_run}/run" + ("" if self.per_day is None else f", {self.per_day}/day")


_RUN, _DAY = "[1-9][0-9]{0,8}/run", "[1-9][0-9]{0,8}/day"
_BUDGET = f"{_RUN}(?: *, *{_DAY})?|{_DAY}(?: *, *{_RUN})?"
_budgets = _fitting(_BUDGET, "N/run, N/day or both, such as 20/run, 200/day")


def _budget(value: Any) -> Budget:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{value} does not say per what; write {value}/run")
    written = re.findall("([0-9]+)/(run|day)", _budgets.read(value))
    return Budget(**{f"per_{unit}": int(count) for count, unit in written})


BudgetField = Annotated[Budget, Plain(_budget, _budgets.schema, str)]
_shares = _fitting(r"(?=.*[1-9])(?:0|[1-9][0-9]?)(?:\.[0-9]{1,2})?%", "0.01% to 99.99%, such as 2%")


def spell_share(hundredths: int) -> str:
    """Write hundredths of a percent as a policy does: `2%`, `0.25%`."""
    return f"{hundredths / 100:g}%"


_share = Plain(lambda value: round(float(_shares.read(value)[:-1]) * 100), _shares.schema, spell_share)
Holdout = Annotated[int, _share]


def _payload(value: Any) -> str:
    """JSON text of what YAML read; a key with nothing behind it is null."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=lambda nothing: None)
    except ValueError:
        raise ValueError("JSON has no infinite numbers; quote it, or write another number") from None


Payload = Annotated[str, Plain(_payload, {}, json.loads)]


def _expression(value: Any, example: str) -> Expression:
    text = text_of(value, f"an expression such as {example}").strip()
    _printable(re.sub(r"\s", " ", text))
    from fc_reaper.rules.interpreter import parse_expression  # imports jmespath

    return parse_expression(text, example)


GROUPS = ("function", "qualifier")


def _per(value: Any) -> str | Expression:
    if isinstance(value, str) and value in GROUPS:
        return value
    per = _expression(value, "payload.order_id")
    near = nearest(per.text, GROUPS) if per.unknown_roots == (per.text,) else None
    if near is not None:
        raise ValueError(f"{shown(per.text)} is a field that no record has; did you mean {near}?")
    return per


_from = Plain(lambda value: _expression(value, "payload.max_run"), _TEXT, str)

_SUCH, _EAST = "2026-12-01T00:00:00+08:00", 28_800_000


def _until(value: Any) -> Millis:
    """A moment of this century with its zone; what has no zone is an error that names two readings."""
    text = value.isoformat() if isinstance(value, date) else text_of(value, f"a moment such as {_SUCH}")
    found = re.fullmatch(r"(?a)(20\d\d-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?", text)
    day, time, zone = found.groups() if found else ("", None, None)
    bare, moment = f"{day}T{time or '23:59:59'}", 0
    with suppress(ValueError):
        moment = int(datetime.fromisoformat(bare + (zone or "Z").replace("Z", "+00:00")).timestamp()) * 1000
    if not spell_moment(moment).startswith("20"):  # as a policy.lock has it, which is read again
        raise ValueError(f"{shown(text)} is no moment from 2000 to 2099; write it as in {_SUCH}")
    if zone is None:
        readings = f"by UTC it is {spell_moment(moment)}, by +08:00 {spell_moment(moment - _EAST)}"
        raise ValueError(f"{text} has no zone: {readings}; write {bare}Z or {bare}+08:00")
    return moment


def spell_moment(moment: Millis) -> str:
    """Write a moment in UTC, to the second: such texts sort as moments do."""
    return f"{iso(moment)[:19]}Z"


Until = Annotated[Millis, Plain(_until, {"type": "string", "format": "date-time"}, spell_moment)]

_where = Plain(lambda value: _expression(value, "payload.tier == 'gold'"), _TEXT, str)
ExpressionField = TypeAliasType("ExpressionField", Annotated[Expression, _where])
Per = Annotated[Literal["function", "qualifier"] | Expression, Plain(_per, _TEXT, str)]


def _owner(value: Any) -> str | Expression:
    if not isinstance(value, dict):
        return _line(value, "who it is", 128)
    if value.keys() != {"from"}:
        raise ValueError("it has other keys than from; write who it is, or {from: payload.team}")
    return _expression(value["from"], "payload.team")


_read = {"from": {**_TEXT, "description": "Where the record names it, such as payload.team."}}
_FROM = {"type": "object", "properties": _read, "required": ["from"], "additionalProperties": False}
_own = Plain(_owner, {"anyOf": [_TEXT, _FROM]}, lambda it: it if isinstance(it, str) else {"from": it.text})
Owner = Annotated[str | Expression, _own]


class CarriedLimit(Part):
    """A limit that the task carries itself, at most `at_most`; `else` where none can be read."""

    model_config = ConfigDict(title="a limit that the task carries", serialize_by_alias=True)
    expression: Annotated[Expression, _from] = key(
        "Where the task carries it, as text such as 90m.", "payload.max_run", alias="from"
    )
    at_most: Duration = key("Whatever the task carries, its limit is no more than this.", "6h")
    otherwise: Duration | None = key(
        "The limit of a task that carries none. Default unknown: kept.", "2h", None, alias="else"
    )

    @model_validator(mode="after")
    def _else_is_within(self) -> Self:
        if self.otherwise is not None and self.otherwise > self.at_most:
            other, most = spell_duration(self.otherwise), spell_duration(self.at_most)
            raise Fault((("else",), f"{other} is more than at_most {most}; write at most {most}"))
        return self

    def __str__(self) -> str:
        other = "" if self.otherwise is None else f", else {spell_duration(self.otherwise)}"
        return f"from {self.expression}, at most {spell_duration(self.at_most)}{other}"


def _limit(value: Any) -> Millis | CarriedLimit:
    return CarriedLimit.model_validate(value) if isinstance(value, (dict, CarriedLimit)) else _duration(value)


_any_limit = Later(lambda: Duration | CarriedLimit, _limit)
Limit = TypeAliasType("Limit", Annotated[Millis | CarriedLimit, _any_limit])
