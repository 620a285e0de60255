"""The line on which a key stands: a policy remembers only where its matchers begin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy.document import Entries, Items, Node, Scalar, read_document
from fc_reaper.policy.findings import Findings

_STEP = re.compile(r"\[(?P<item>[0-9]+)\]|(?P<key>[^.\[\]]+)")


def document(text: str) -> Node | None:
    """What *text* says, as it is written; None where it is empty or no YAML."""
    return read_document(text, Findings()) if text else None


def placed(remarks: Iterable[Remark], root: Node | None) -> Iterator[Remark]:
    """The remarks, each with the line of the last part of its path that is written in *root*."""
    for remark in remarks:
        found = None if root is None or remark.path is None else _found(root, remark.path)
        yield remark if found is None else remark._replace(line=found[0])


def written(root: Node | None, path: str) -> str | None:
    """What stands in *root* as the single value at *path*; None where there is none."""
    found = None if root is None else _found(root, path)
    return found[1].text if found is not None and isinstance(found[1], Scalar) else None


def listed(root: Node | None, path: str) -> list[str]:
    """The single values in the list at *path*; empty where there is none, or where it holds others."""
    found = None if root is None else _found(root, path)
    nodes = found[1].nodes if found is not None and isinstance(found[1], Items) else ()
    texts = [node.text for node in nodes if isinstance(node, Scalar)]
    return texts if len(texts) == len(nodes) else []


def _found(root: Node, path: str) -> tuple[int, Node] | None:
    """The last part of *path* that is written, with its line."""
    here: Node | None = root
    last: tuple[int, Node] | None = None
    for step in _STEP.finditer(path):
        found = None
        if step["item"] is not None:
            found = _item(here, int(step["item"]))
        elif isinstance(here, Entries):
            found = _value(here, step["key"])
        if found is None:
            return last
        last, here = found, found[1]
    return last


def _item(node: Node | None, number: int) -> tuple[int, Node] | None:
    if not isinstance(node, Items) or number >= len(node.nodes):
        return None
    return node.nodes[number].line, node.nodes[number]


def _value(node: Entries, name: str) -> tuple[int, Node] | None:
    pairs = ((key, value) for key, value in node.pairs if isinstance(key, Scalar) and key.text == name)
    return next(((key.line, value) for key, value in pairs), None)
