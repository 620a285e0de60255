"""The steps through a YAML document. Only here PyYAML is asked, and nothing of it that builds objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

DEEPEST = 24
"""Levels of nesting, itself allowed; a policy needs seven, payloads aside."""

_KINDS = {
    "DocumentStartEvent": "document",
    "ScalarEvent": "scalar",
    "SequenceStartEvent": "list",
    "MappingStartEvent": "mapping",
    "SequenceEndEvent": "end",
    "MappingEndEvent": "end",
    "AliasEvent": "alias",
}


class Event(NamedTuple):
    """One step through the document: document, scalar, list, mapping, end, alias.

    `line` counts from 1, `offset` from 0. `reads_as` is YAML's word for what it makes of a scalar:
    `str`, `int`, `float`, `bool`, `null`, `timestamp`, `merge`, `value`; or ours, `unquoted`.
    `plain` is true for a scalar without quotes and tag.
    """

    kind: str
    line: int
    offset: int
    text: str
    reads_as: str
    anchor: str | None
    tag: str | None
    plain: bool = False


class TooDeep(Exception):
    """Nested more deeply than any policy; `args[0]` is the line."""


def parse(text: str) -> Iterator[Event]:
    """Step through *text* without recursion, in time bounded by its length.

    Raises:
        yaml.YAMLError: it is not YAML.
        ValueError, OverflowError: an escape or version number beyond all bounds; PyYAML lets these out.
        TooDeep: more than `DEEPEST` levels.
    """
    import yaml  # takes a while, and only who reads a policy needs it
    from yaml.resolver import Resolver

    resolver = Resolver()
    depth = 0
    for raw in yaml.parse(text, Loader=yaml.SafeLoader):
        kind = _KINDS.get(type(raw).__name__)
        if kind is None:
            continue
        event = _event(kind, raw, resolver)
        depth += (kind in ("list", "mapping")) - (kind == "end")
        if depth > DEEPEST:
            raise TooDeep(event.line)
        yield event


def _event(kind: str, raw: Any, resolver: Any) -> Event:
    tag = getattr(raw, "tag", None)
    return Event(
        kind,
        line=raw.start_mark.line + 1,
        offset=raw.start_mark.index,
        text=getattr(raw, "value", ""),
        reads_as=_reads_as(raw, resolver) if kind == "scalar" and tag is None else "str",
        anchor=getattr(raw, "anchor", None),
        tag=tag,
        plain=kind == "scalar" and tag is None and bool(raw.implicit[0]),
    )


def _reads_as(raw: Any, resolver: Any) -> str:
    from yaml.nodes import ScalarNode

    if not raw.implicit[0]:  # it is quoted
        return "str"
    return str(resolver.resolve(ScalarNode, raw.value, (True, False))).rpartition(":")[2]
