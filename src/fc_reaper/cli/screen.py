"""Tables and sentences for people: 80 columns where nobody says otherwise, colour only on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fc_reaper.cli.ending import plain as plain
from fc_reaper.cli.ending import say
from fc_reaper.models import LATEST
from fc_reaper.policy import format_duration

WIDTH = 80

GOOD, BAD, SOFT, STRONG = "green", "bold red", "dim", "bold"


def screen(stream: TextIO | None = None) -> Console:
    """A console on *stream*, standard output by default, that neither marks up nor highlights text.

    It is as wide as the terminal, or as COLUMNS says; 80 where there is neither.
    """
    stream = stream or sys.stdout
    wide = None if stream.isatty() or os.environ.get("COLUMNS", "").isdigit() else WIDTH
    return Console(file=stream, width=wide, markup=False, highlight=False, emoji=False, soft_wrap=False)


def show(console: Console, *things: Table | Text | str) -> None:
    """Print *things* one below the other."""
    with console.capture() as drawn:
        for thing in things:
            console.print(thing)
    # Not through rich, which ends the program when a reader has gone, as in `| head`.
    lines = [line.rstrip() for line in drawn.get().splitlines()]
    say("\n".join(lines), cast("TextIO", console.file))


def table(heads: Sequence[str], rows: Iterable[Sequence[Text | str]], *, right: Sequence[str] = ()) -> Table:
    """Columns with their *heads*, those in *right* set to the right; long words are folded, never cut."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STRONG)
    for head in heads:
        drawn.add_column(head, justify="right" if head in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return drawn


def short(service: str | None, name: str, qualifier: str) -> str:
    """`[service/]function[@qualifier]` as people write it, where no `@` means `@LATEST`."""
    path = name if service is None else f"{service}/{name}"
    return path if qualifier == LATEST else f"{path}@{qualifier}"


def length(seconds: float | None) -> str:
    """A length of time in a table; a dash where there is none."""
    return "-" if seconds is None else format_duration(round(seconds * 1000))


def counted(number: int, one: str, many: str = "") -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def percent(share: int) -> str:
    """A share in hundredths of a percent as people write it: `2%`, `0.25%`."""
    return f"{share / 100:.2f}".rstrip("0").rstrip(".") + "%"


@contextmanager
def progress(sentence: str) -> Iterator[None]:
    """Show *sentence* on standard error while the block runs, if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with screen(sys.stderr).status(sentence):
        yield
