"""A YAML document as a tree that remembers lines and what was really written; nothing is interpreted.

YAML 1.1 turns `on` into true, `12:30` into 750 and a key without a value into null. Here a scalar
keeps its own text beside what YAML makes of it, so that a message can quote the one and name the
other. Tags build nothing, merge keys merge nothing, aliases cannot multiply: any text at all gives
a tree or findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fc_reaper.policy.events import Event
from fc_reaper.policy.findings import Findings, shown
from fc_reaper.policy.syntax import read_events

MOST_NODES = 20_000
"""Keys, values and items in one document, aliases counted as what they stand for."""


class Scalar(NamedTuple):
    """A single value: its own text, and what YAML makes of it.

    `reads_as` is as in `Event`, or `alias` for a reference to something that is not there. `plain` is true
    for a text without quotes.
    """

    text: str
    reads_as: str
    line: int
    plain: bool = False


class Items(NamedTuple):
    """A list."""

    nodes: tuple[Node, ...]
    line: int


class Entries(NamedTuple):
    """A mapping. `opening` is its first character: a `?x` in brackets makes one by accident."""

    pairs: tuple[tuple[Node, Node], ...]
    line: int
    opening: str


Node = Scalar | Items | Entries


def read_document(text: str, findings: Findings) -> Node | None:
    """Read the one document in *text*; None when a finding says why there is nothing to look at."""
    parsed = read_events(text, findings)
    if parsed is None:
        return None
    events, sound = parsed
    try:
        root = _Composer(events, sound, findings).document()
    except _TooMany as error:
        findings.add(error.args[0], "", f"more than {MOST_NODES} keys and values; split the policy")
        return None
    if root is None or (isinstance(root, Scalar) and root.reads_as == "null"):
        findings.add(1, "", f"the {findings.whole} is empty; start with version: 1")
        return None
    return root


class _TooMany(Exception):
    """More nodes than any policy needs; `args[0]` is the line."""


class _Composer:
    """Builds the tree from events, whose nesting is bounded already."""

    def __init__(self, events: Iterable[Event], text: str, findings: Findings) -> None:
        self._events = iter(events)
        self._text = text
        self._findings = findings
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def document(self) -> Node | None:
        """The root of the first document; a second one is a finding."""
        root: Node | None = None
        for event in self._events:
            if event.kind == "document" and root is None:
                root = self._node(next(self._events))
            elif event.kind == "document":
                self._wrong(event, "a second document begins here; a policy is one, delete the ---")
                break
        return root

    def _node(self, event: Event) -> Node:
        if event.kind == "alias":
            return self._alias(event)
        before = self._count
        self._grow(1, event)
        node = self._new(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node, self._count - before
        return node

    def _new(self, event: Event) -> Node:
        if event.kind == "scalar" and (event.tag or "").startswith("!"):
            # An expression that begins with ! and stands unquoted: no form takes what reads so.
            return Scalar(f"{event.tag} {event.text}".rstrip(), "unquoted", event.line)
        if event.tag is not None:
            self._wrong(event, f"the tag {shown(event.tag)} is not used in a policy; delete it")
        if event.kind == "list":
            return Items(tuple(self._children()), event.line)
        if event.kind == "mapping":
            children = list(self._children())
            pairs = tuple(zip(children[::2], children[1::2], strict=True))
            return Entries(pairs, event.line, self._text[event.offset : event.offset + 1])
        return Scalar(event.text, event.reads_as, event.line, event.plain)

    def _children(self) -> Iterator[Node]:
        for event in self._events:
            if event.kind == "end":
                return
            yield self._node(event)

    def _alias(self, event: Event) -> Node:
        if event.anchor not in self._anchors:
            return Scalar(f"*{event.anchor}", "alias", event.line)
        node, size = self._anchors[event.anchor]
        self._grow(size, event)
        return node

    def _grow(self, size: int, event: Event) -> None:
        self._count += size
        if self._count > MOST_NODES:
            raise _TooMany(event.line)

    def _wrong(self, event: Event, what: str) -> None:
        self._findings.add(event.line, "", what)
