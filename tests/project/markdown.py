"""Reading our own Markdown: fences, sections, rows of tables, pieces of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
_CODE = re.compile(r"(?<![`\\])(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_BAR = re.compile(r"(?<!\\)\|")


class Fence(NamedTuple):
    """A block of code: the words behind its opening, and its text."""

    info: str
    text: str


def fences(markdown: str, info: str | None = None) -> list[Fence]:
    """All blocks, or those of one kind, in their order."""
    found = [Fence(one["info"].strip(), one["text"]) for one in _FENCE.finditer(markdown)]
    return [one for one in found if info in (None, one.info)]


def sections(markdown: str) -> dict[str, str]:
    """The text below each heading of the second level, by the heading's words."""
    parts = _HEADING.split(_FENCE.sub(_without_headings, markdown))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _without_headings(fence: re.Match[str]) -> str:
    return re.sub(r"^#", " #", fence[0], flags=re.MULTILINE)


def tables(markdown: str) -> Iterator[list[list[str]]]:
    """Each table as its rows of cells, the header first."""
    rows: list[list[str]] = []
    for line in [*_FENCE.sub("", markdown).splitlines(), ""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in _BAR.split(line)[1:-1]]
            if not all(re.fullmatch(":?-+:?", cell) for cell in cells):
                rows.append(cells)
        elif rows:
            yield rows
            rows = []


def code(cell: str) -> list[str]:
    """The pieces of code in a cell, as a reader sees them."""
    return [found[1].strip().replace("\\|", "|") for found in _CODE.findall(cell)]


def plain(cell: str) -> str:
    """A cell as it was before Markdown's own characters were escaped."""
    return re.sub(r"\\([`*|_])", r"\1", cell)
