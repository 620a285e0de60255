"""What the models of the policy language are made of: a base, annotations, and words for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import core_schema
from typing_extensions import Self

NOTHING = object()
"""The value of a key with nothing behind it, which is never the same as leaving the key out."""

Path = tuple["str | int", ...]


class Fault(ValueError):
    """What is wrong between several keys; each fault has its path within the model that raises it."""

    def __init__(self, *faults: tuple[Path, str]) -> None:
        super().__init__("; ".join(what for _, what in faults))
        self.faults = faults


class Part(BaseModel):
    """A mapping of the policy language. Two are equal that say the same, wherever they stand."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, json_schema_extra={"minProperties": 1}
    )
    _line: int = PrivateAttr(0)

    @property
    def line(self) -> int:
        """The line of the key or list item at which it stands, from 1; 0 if it was not read from a file."""
        return self._line

    @model_validator(mode="before")
    @classmethod
    def _is_not_empty(cls, given: Any) -> Any:
        if given == {}:
            raise ValueError(f"the mapping is empty; write one key or more of {', '.join(keys_of(cls))}")
        return given

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; what is derived from its fields and kept is derived anew."""
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[name]
        return copy

    def __eq__(self, other: object) -> bool:
        fields = type(self).model_fields
        return type(self) is type(other) and all(getattr(self, one) == getattr(other, one) for one in fields)


def key(help: str, example: Any, default: Any = ..., *, alias: str | None = None) -> Any:
    """A field with a line of help and an example for editors; without a default the key is required."""
    return Field(default, alias=alias, description=help, examples=[example])


def keys_of(model: type[Part]) -> list[str]:
    """The keys of a mapping, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


# Words for messages.


def shown(text: str) -> str:
    """*text* as a message may quote it: on one line, printable, not long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def quoted(text: str) -> str:
    """*text* as YAML takes it literally."""
    return "'" + text.replace("'", "''") + "'"


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that *word* probably stands for, None when none is near."""
    from difflib import get_close_matches  # only a policy with a fault needs it

    plain = {re.sub("[-_ ]", "", name.lower()): name for name in known}
    close = get_close_matches(re.sub("[-_ ]", "", word[:60].lower()), list(plain), n=1, cutoff=0.7)
    return plain[close[0]] if close else None


def one_of(word: str, known: Collection[str]) -> str:
    """What to write in place of a word that is not one of *known*."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else f"write one of {', '.join(known)}"


def text_of(value: Any, what: str) -> str:
    """Answer *value* if it is text; *what* names the thing with its article, and perhaps an example.

    Raises:
        ValueError: it is blank or anything else.
    """
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, (bool, int, float)):
        plain = json.dumps(value)[:60]
        kind = "not text" if isinstance(value, bool) else "a number, not text"
        raise ValueError(f"{plain} is {kind}; quote it: {quoted(plain)}, or write {what}")
    if isinstance(value, (list, tuple, dict)):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        raise ValueError(f"{kind} stands where {what} belongs; quote it if it is text")
    raise ValueError(f"it {'is empty' if isinstance(value, str) else 'has no value'}; write {what}")


class Plain:
    """In an annotation: a value with a validator of its own, its JSON schema, and how it is written again."""

    def __init__(
        self,
        validate: Callable[[Any], Any],
        schema: dict[str, Any],
        write: Callable[[Any], Any] | None = None,
    ) -> None:
        self._validate, self._schema, self._write = validate, schema, write

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        write = self._write and core_schema.plain_serializer_function_ser_schema(self._write)
        return core_schema.no_info_plain_validator_function(self._validate, serialization=write)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return dict(self._schema)


class Several:
    """In the annotation of a tuple: a list of at least one, in which what is written twice counts once.

    With *or_one* one item may stand for the list of it, and is written so again.
    """

    def __init__(self, *, or_one: bool = False, distinct: bool = True) -> None:
        self._or_one, self._distinct = or_one, distinct

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        listed = core_schema.no_info_after_validator_function(self._once, handler(source))
        write = core_schema.wrap_serializer_function_ser_schema(self._written) if self._or_one else None
        return core_schema.no_info_before_validator_function(self._listed, listed, serialization=write)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        several = {**handler(schema), "minItems": 1}
        return {"anyOf": [several["items"], several]} if self._or_one else several

    def _listed(self, given: Any) -> Any:
        if isinstance(given, (list, tuple)) and not given:
            raise ValueError("the list is empty; write at least one, or delete the key")
        return (given,) if self._or_one and not isinstance(given, (list, tuple)) else given

    def _once(self, listed: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(listed)) if self._distinct else listed

    @staticmethod
    def _written(listed: Any, write: Callable[[Any], Any]) -> Any:
        written = write(listed)
        return written[0] if len(written) == 1 else written
