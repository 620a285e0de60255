"""The keys of a mapping: which there are, what each of them holds, and what to say to the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from fc_reaper.policy.document import Entries, Node, Scalar
from fc_reaper.policy.findings import Place, nearest, shown
from fc_reaper.policy.forms import Form, kind_of, misread

T = TypeVar("T")


class Key(NamedTuple):
    """One key: its name, the form of its value, how it may be written, a line of help for editors."""

    name: str
    form: Form[Any]
    example: str
    help: str


class KeyTable(NamedTuple):
    """All keys of one kind of mapping, called *what* in messages (with its article).

    `elsewhere` names keys that are known, but belong somewhere else, and says where.
    """

    what: str
    keys: tuple[Key, ...]
    required: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = {}


class Fields(NamedTuple):
    """What a mapping holds.

    `values` has only what could be read, `lines` every key that was written, however badly.
    """

    values: dict[str, Any]
    lines: dict[str, int]

    def broken(self, name: str) -> bool:
        """Whether *name* was written but could not be read."""
        return name in self.lines and name not in self.values


def read_keys(node: Entries, place: Place, table: KeyTable) -> Fields:
    """Read every key of *table* in *node*; report the strange, the double and the missing ones."""
    known = {key.name: key for key in table.keys}
    fields = Fields({}, {})
    strange = []
    for key_node, value in node.pairs:
        if isinstance(key_node, Scalar) and key_node.reads_as == "str" and key_node.text in known:
            _read_value(known[key_node.text], value, place.key(key_node.text, key_node.line), fields)
        else:
            strange.append(key_node)
    for key_node in strange:
        meant = _meant(key_node, place, table)
        if meant is not None:
            fields.lines.setdefault(meant, key_node.line)
    for name in table.required:
        if name not in fields.lines:
            place.key(name, node.line).wrong(f"it is missing; write {known[name].example}")
    return fields


def mapping(
    table: KeyTable, make: Callable[[Fields, Place], T | None], remedy: str, name: str = ""
) -> Form[T]:
    """A mapping with the keys of *table*, at least one of them; *remedy* says how one is written.

    *make* is called only when every key could be read. It may report what is wrong between them, and
    then answers None.
    """

    def read(node: Node, place: Place) -> T | None:
        if not isinstance(node, Entries):
            place.wrong(f"{_no_mapping(node)}; {remedy}", node.line)
            return None
        if not node.pairs:
            place.wrong(f"the mapping is empty; {remedy}", node.line)
            return None
        faults = len(place.findings)
        fields = read_keys(node, place, table)
        return None if len(place.findings) > faults else make(fields, place)

    return Form(read, {**schema_of(table), "minProperties": 1}, name)


def _no_mapping(node: Node) -> str:
    if isinstance(node, Scalar) and node.reads_as == "null":
        return f"{misread(node)} (is every line under it commented out?)"
    return f"{kind_of(node)} stands where a mapping belongs"


def _read_value(key: Key, value: Node, place: Place, fields: Fields) -> None:
    if key.name in fields.lines:
        place.wrong(f"it is written twice, on lines {fields.lines[key.name]} and {place.line}; keep one")
        return
    fields.lines[key.name] = place.line
    read = key.form.read(value, place)
    if read is not None:
        fields.values[key.name] = read


def _meant(node: Node, place: Place, table: KeyTable) -> str | None:
    """Report a key that is none of *table*; answer the one that was probably meant, None for neither."""
    names = [key.name for key in table.keys]
    if isinstance(node, Scalar):
        return _strange(node, place, table, names)
    place.wrong(f"a list or mapping stands where a key belongs; {_one_of(names)}", node.line)
    return None


def _strange(node: Scalar, place: Place, table: KeyTable, names: Sequence[str]) -> str | None:
    here = place.key(_segment(node.text), node.line)
    if node.reads_as == "merge":
        here.wrong("merge keys are not supported; write the keys out")
    elif node.reads_as != "str":
        here.wrong(f"{misread(node)}, and no key is called so; {_one_of(names)}")
    elif node.text in table.elsewhere:
        here.wrong(f"it does not belong in {table.what}; write it in {table.elsewhere[node.text]}")
        # Who wrote `target` for `targets` need not be told that `targets` is missing.
        return next((name for name in names if table.elsewhere[node.text] == f"`{name}`"), None)
    elif re.fullmatch("[0-9]+/(run|day)", node.text):
        here.wrong("a comma between braces begins a new key; quote the budget: '20/run, 200/day'")
    elif (glued := node.text.partition(":"))[0] in names:
        here.wrong(f"a blank must follow the colon; write {glued[0]}: {shown(glued[2].strip())[1:-1]}")
        return glued[0]
    else:
        return _unknown(node.text, here, table, names)
    return None


def _unknown(text: str, here: Place, table: KeyTable, names: Sequence[str]) -> str | None:
    near = nearest(text, names)
    remedy = f"did you mean {near}?" if near else _one_of(names)
    here.wrong(f"{table.what} has no such key; {remedy}")
    return near


def _segment(text: str) -> str:
    """A key as a path may show it: as it is written where that is harmless, quoted otherwise."""
    return text if re.fullmatch("[A-Za-z0-9_-]{1,60}", text) else shown(text)


def _one_of(names: Sequence[str]) -> str:
    return f"the keys are {', '.join(names)}"


def schema_of(table: KeyTable) -> dict[str, Any]:
    """The JSON schema of a mapping with these keys and no others."""
    properties = {key.name: {**key.form.reference, "description": key.help} for key in table.keys}
    required = {"required": list(table.required)} if table.required else {}
    return {"type": "object", "additionalProperties": False, "properties": properties, **required}
