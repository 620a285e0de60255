"""From the text of a policy file to its model, or to every fault with its line and what to write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError

from fc_reaper.errors import Issue, PolicyError
from fc_reaper.names import nearest, shown
from fc_reaper.policy.document import Document, Found, find_in_values, read_document, write_key, write_yaml
from fc_reaper.policy.model import Example, Given, Keep, Policy, PolicyFile, matcher_model, policy_file_model
from fc_reaper.rules.fields import NOTHING, CarriedLimit, Part, Path, keys_of

Find = Callable[[Path], Found]
"""Finds what stands at a path of the values that are validated."""

Models = Mapping[str, type[Part]]
"""The model of a mapping by the key at which it stands, or in whose list; empty for the whole file."""


def load_policy(text: str, *, source: str) -> PolicyFile:
    """Read the text of a policy file; *source* is how messages call the file.

    Raises:
        PolicyError: anything is wrong. Its issues, in the order of the file, are all that could be found in
            one go.
    """
    document = read_document(text, source, "policy")
    file = _validated(document.value, source, document.find, document.issues)
    file._document = document
    _place(file, document, ())
    return file


def validate_policy(values: dict[str, Any], *, source: str) -> PolicyFile:
    """Make a policy file of plain *values*, as its text would hold them; no part of it has a line.

    Raises:
        PolicyError: as `load_policy`; its issues have a path and no line.
    """
    return _validated(values, source, partial(find_in_values, values), [])


def _validated(values: Any, source: str, find: Find, issues: Sequence[Issue]) -> PolicyFile:
    """The file of these *values*, unless there are *issues* already."""
    try:
        file = policy_file_model().model_validate(values)
    except ValidationError as error:
        faults = _faults(error, find, policy_models())
        found = [Issue.of(source, line or None, path or "policy", what) for line, path, what in faults]
    else:
        file._source, found = source, []
        if not issues:
            return file
    raise PolicyError(*sorted(dict.fromkeys((*issues, *found)), key=lambda issue: issue.line or 0))


def _place(value: Any, document: Document, path: Path) -> None:
    """Give every part of a loaded file its line."""
    if isinstance(value, Part):
        value._line = document.find(path).line
        for name, field in type(value).model_fields.items():
            _place(getattr(value, name), document, (*path, field.alias or name))
    elif isinstance(value, tuple):
        for at, item in enumerate(value):
            _place(item, document, (*path, at))


def policy_models() -> Models:
    """The models of a policy file, by the keys at which their mappings stand."""
    exemption = matcher_model(in_match=False)
    return {
        "": policy_file_model(), "policies": Policy, "keep": Keep, "match": matcher_model(in_match=True),
        "(carried)": CarriedLimit, "unless": exemption, "exempt": exemption,
        "examples": Example, "given": Given,
    }  # fmt: skip


def dump_policy(file: PolicyFile) -> str:
    """Write a whole policy file; loading that gives the same policy, without comments and spellings."""
    return write_yaml(file.model_dump(mode="json", exclude_defaults=True))


def _faults(error: ValidationError, find: Find, models: Models) -> Iterator[tuple[int, str, str]]:
    """Line, path and sentence of each thing that pydantic found wrong."""
    said = error.errors(include_url=False)
    unknown = [(one["loc"][:-1], str(one["loc"][-1])) for one in said if one["type"] == "extra_forbidden"]
    meant = {(loc, _meant(key, _model_of(loc, models), models)) for loc, key in unknown}
    for one in said:
        loc, kind, given = one["loc"], one["type"], one["input"]
        found = find(loc)
        if kind == "value_error":
            cause = one["ctx"]["error"]
            for at, what in getattr(cause, "faults", [((), str(cause))]):
                inner = find((*loc, *at))
                yield inner.line if at else inner.value_line, inner.path, what
        elif kind == "extra_forbidden":
            yield found.line, found.path, _unknown_key(str(loc[-1]), loc[:-1], models)
        elif kind == "missing":
            if (loc[:-1], loc[-1]) not in meant:  # A misspelt key is not also a missing one.
                path = f"{found.path}.{loc[-1]}".removeprefix(".")
                yield found.value_line, path, f"it is missing; write {_example(loc, models)}"
        else:
            yield found.value_line, found.path, f"{_wrong(kind, given)}; write {_example(loc, models)}"


def _wrong(kind: str, given: Any) -> str:
    """What is wrong with a value that pydantic itself refuses."""
    if given is NOTHING:
        return "it has no value (is every line under it commented out?)"
    wanted = {"model_type": "a mapping", "tuple_type": "a list", "int_type": "a whole number"}.get(kind)
    if isinstance(given, (list, tuple, dict)):
        stands = "a mapping" if isinstance(given, dict) else "a list"
        return f"{stands} stands where {wanted or 'a single value'} belongs"
    if wanted in ("a mapping", "a list"):
        return f"a single value stands where {wanted} belongs"
    text = shown(given) if isinstance(given, str) else json.dumps(given)
    return f"{text} is not {wanted}" if wanted else f"{text} cannot be used"


def _unknown_key(key: str, loc: Path, models: Models) -> str:
    """What is wrong with a key that its mapping does not have: misspelt, glued, or of another mapping."""
    model = _model_of(loc, models)
    names, title = keys_of(model), model.model_config.get("title")
    name, colon, rest = key.partition(":")
    if colon and name in names:
        return f"a blank must follow the colon; write {name}: {shown(rest.strip())[1:-1]}"
    if key == "target" and "targets" not in names:
        return f"it does not belong in {title}; write it in `targets`, beside `match`"
    meant = _meant(key, model, models)
    if meant is None:
        return f"{title} has no such key; the keys are {', '.join(names)}"
    if meant in names and key not in keys_of(models.get(meant, model)):
        return f"{title} has no such key; did you mean {meant}?"
    return f"it does not belong in {title}; write it in {models[meant].model_config.get('title')}"


def _meant(key: str, model: type[Part], models: Models) -> str | None:
    """The key of *model* that a strange one stands for, or the key of the mapping that has it."""
    near = nearest(key, keys_of(model))
    if near is not None:
        return near
    places = list(models)
    at = next(number for number, place in enumerate(places) if models[place] is model)
    return next((place for place in places[at + 1 :] + places[:at] if key in keys_of(models[place])), None)


def _model_of(loc: Path, models: Models) -> type[Part]:
    """The model of the mapping that holds what stands at *loc*."""
    return models[next((step for step in reversed(loc) if isinstance(step, str) and step in models), "")]


def _example(loc: Path, models: Models) -> str:
    """How the key at *loc* is written, or the one around it; of the whole file its first key."""
    for end in range(len(loc), 0, -1):
        for name, field in _model_of(loc[: end - 1], models).model_fields.items():
            if (field.alias or name) == loc[end - 1] and field.examples:
                return write_key(field.alias or name, field.examples[0])
    name, field = next(iter(models[""].model_fields.items()))
    return write_key(name, field.examples and field.examples[0])
