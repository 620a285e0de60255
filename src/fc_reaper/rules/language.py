"""The mappings of the policy language, and what pydantic is told of their values."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import core_schema
from typing_extensions import Self

from fc_reaper.errors import kind_of
from fc_reaper.rules.duration import spell_duration

NOTHING = object()  # the value of a key with nothing behind it, never the same as leaving the key out
Path = tuple["str | int", ...]
Schema = dict[str, Any]


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
    line: ClassVar[int] = 0  # of the key or list item at which it stands, from 1; 0 if not read from a file

    @model_validator(mode="before")
    @classmethod
    def _is_not_empty(cls, given: Any) -> Any:
        if given == {}:
            raise ValueError(f"the mapping is empty; write one key or more of {', '.join(keys_of(cls))}")
        return given

    def model_copy(self, **given: Any) -> Self:
        """A copy; what is derived from its fields and kept is derived anew."""
        copy = super().model_copy(**given)
        for name in list(vars(copy)):
            if isinstance(getattr(type(self), name, None), cached_property):
                del vars(copy)[name]
        return copy

    def know(self, **known: Any) -> Self:
        """Remember what is no key of the language, such as the line; dumps and `==` leave it out."""
        self.__dict__.update(known)
        return self


def key(help: str, example: Any, default: Any = ..., *, alias: str | None = None) -> Any:
    """A field with a line of help and an example for editors; without a default the key is required."""
    return Field(default, alias=alias, description=help, examples=[example])


def keys_of(model: type[Part]) -> dict[str, FieldInfo]:
    """The keys of a mapping, as they are written."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def misplaced(value: Any, wanted: str | None) -> str:
    """What is wrong with a value of another kind than is *wanted*."""
    if value is NOTHING:
        return "it has no value (is every line under it commented out?)"
    kind = "a mapping" if isinstance(value, dict) else kind_of(value)
    return f"{kind} stands where {wanted} belongs"


def text_of(value: Any, what: str) -> str:
    """Answer *value* if it is text that is not blank; else a ValueError says to write *what*."""
    if not isinstance(value, str):
        raise ValueError(f"{misplaced(value, 'text')}; quote it, or write {what}")
    if not value.strip():
        raise ValueError(f"it is empty; write {what}")
    return value


class Plain:
    """In an annotation: a value with a validator of its own, its JSON schema, and how it is written again."""

    def __init__(
        self, read: Callable[[Any], Any], schema: Any = None, write: Callable[[Any], Any] | None = None
    ) -> None:
        self.read, self.schema = read, schema
        self.written: Any = write and core_schema.plain_serializer_function_ser_schema(write)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read, serialization=self.written)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Schema:
        return dict(self.schema or {})


class Later(Plain):
    """In an annotation: a mapping of the model that *described* answers, built only when one is read."""

    def __init__(self, described: Callable[[], Any], read: Callable[[Any], Any] | None = None) -> None:
        super().__init__(read or (lambda given: described().model_validate(given)), described)
        self.written = core_schema.plain_serializer_function_ser_schema(_written, info_arg=True)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Schema:
        described: Schema = handler(TypeAdapter(self.schema()).core_schema)
        return described


def _written(value: Any, info: Any) -> Any:
    if isinstance(value, Part):
        return value.model_dump(mode=info.mode, exclude_defaults=info.exclude_defaults)
    return spell_duration(value)


# In the annotation of a tuple: at least one, and what is written twice counts once.
SOME = Field(min_length=1)
DISTINCT = AfterValidator(lambda listed: tuple(dict.fromkeys(listed)))


class OneOrMore:
    """In the annotation of a tuple, after the others: one item may stand for the list, and is written so."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        write = core_schema.wrap_serializer_function_ser_schema(_one_alone)
        return core_schema.no_info_before_validator_function(_listed, handler(source), serialization=write)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Schema:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


def _listed(given: Any) -> Any:
    return given if isinstance(given, (list, tuple)) else (given,)


def _one_alone(listed: Any, write: Callable[[Any], Any]) -> Any:
    written = write(listed)
    return written[0] if len(written) == 1 else written
