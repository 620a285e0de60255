"""The base of the models of what users write. Messages say where, what is wrong and what to write."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainValidator, ValidationError
from pydantic.alias_generators import to_camel

from fc_emulator.times import Moment, parse_duration, parse_moment


class Model(BaseModel):
    """Keys are camel case, unknown ones are refused, and no value is converted to another type."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


M = TypeVar("M", bound=Model)


def _encodable(text: str) -> str:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"{text!a} has half of a surrogate pair; write the whole character")
    return text


Str = Annotated[str, AfterValidator(_encodable)]
"""Text that a response can carry."""

Duration = Annotated[int, BeforeValidator(parse_duration)]
"""Milliseconds, written as `1h30m`."""

Timestamp = Annotated[Moment, PlainValidator(parse_moment)]
"""A moment, written as `-2h30m`, `now`, ISO 8601 or epoch milliseconds."""

Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]
"""Text that may be written as a number."""


def parse(model: type[M], text: str, what: str, wanted: str) -> M:
    """Read JSON text as a *model*; a message calls it *what*, and says what is *wanted* in its place.

    Raises:
        ValueError: it is not JSON, or as `validate`.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON ({error}); {wanted}") from None
    return validate(model, value)


def validate(model: type[M], value: object) -> M:
    """Read *value*, parsed JSON, as a *model*.

    Raises:
        ValueError: it is not one; a line for each problem, which begins with the path of the key.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        lines = [_line(model, problem) for problem in error.errors(include_url=False)]
        raise ValueError("\n".join(lines)) from None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean ...?` when a known word is similar, otherwise all of them."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}?" if close else f"write one of {', '.join(known)}"


_MESSAGES = {
    "missing": "is missing; this key is required",
    "string_type": "{value} is not text; write it in quotes",
    "too_short": "is empty; write a name",
    "int_type": "{value} is not a whole number; write one, without quotes",
    "bool_type": "{value} is neither true nor false; write one of them, without quotes",
    "list_type": "{value} is not a list; write it in brackets, [...]",
    "model_type": "{value} is not an object; write it in braces, {{...}}",
    "dict_type": "{value} is not an object; write it in braces, {{...}}",
    "greater_than_equal": "{value} is too small; write {ge} or more",
    "less_than_equal": "{value} is too large; write {le} or less",
    "literal_error": "{value} is not known; write {expected}",
    "value_error": "{error}",
}


def _line(model: type[BaseModel], problem: Mapping[str, Any]) -> str:
    loc, kind = problem["loc"], problem["type"]
    steps = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc if part != "[key]"]
    path = "".join(steps).lstrip(".")
    if kind == "extra_forbidden":
        message = f"is not a known key; {suggestion(str(loc[-1]), _keys(model, loc[:-1]))}"
    else:
        value = json.dumps(problem["input"], default=str)
        shown = value if len(value) <= 60 else value[:60] + "..."
        template = _MESSAGES.get(kind, "{value} is refused: {msg}")
        message = template.format(value=shown, msg=problem["msg"], **problem.get("ctx", {}))
    return f"{path}: {message}" if path else message


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are known at *loc*."""
    for key in loc:
        if isinstance(key, str):
            (field,) = [field for field in model.model_fields.values() if field.alias == key]
            model = next(inner for inner in _flat(field.annotation) if issubclass(inner, BaseModel))
    return [str(field.alias) for field in model.model_fields.values()]


def _flat(annotation: Any) -> list[type]:
    """The classes in a type such as `list[Event] | None`."""
    inner = [each for argument in get_args(annotation) for each in _flat(argument)]
    return inner or [annotation]
