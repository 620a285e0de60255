"""What commands write: tables, JSON, error lines and files; and what a signal does meanwhile.

Results go to standard output, everything else to standard error. Tables are 80 columns wide where the
terminal does not say otherwise, and coloured on a terminal only.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from threading import Event
from types import FrameType
from typing import Any, TextIO, cast

from pydantic import AliasPath, BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fc_reaper.errors import PolicyError, ReaperError
from fc_reaper.models import LATEST, Exit
from fc_reaper.rules.duration import format_duration

WIDTH = 80

GOOD, BAD, SOFT, STRONG = "green", "bold red", "dim", "bold"


class CommandError(ReaperError):
    """A command cannot go on: the text says why and what to do, `exit` is the exit code."""

    def __init__(self, message: str, exit: Exit = Exit.REFUSED) -> None:
        super().__init__(message)
        self.exit = exit


# Lines


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Write *text* and a line break to *stream*, standard output by default.

    Raises:
        CommandError: standard output cannot be written, for example because the disk is full.
    """
    stream = stream or sys.stdout
    fault = write(stream, f"{text}\n")
    if fault is not None and stream is sys.stdout:
        raise CommandError(f"standard output: {fault}", Exit.ATTENTION)


def write(stream: TextIO, text: str) -> str | None:
    """Write and flush *text*; return why that failed, None if it did not.

    After a failure everything is discarded, also what the interpreter flushes when it ends. A closed pipe, as
    in `| head`, is no failure.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return None if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    return None


class LogStream(io.StringIO):
    """Passes log lines on to a stream without ever raising, so that a run does not end in the middle.

    `fault` says why they were not all written, None if they were.
    """

    def __init__(self, through: TextIO) -> None:
        super().__init__()
        self.fault: str | None = None
        self._through = through

    def write(self, text: str) -> int:
        """Write *text* and flush it."""
        self.fault = self.fault or write(self._through, text)
        return len(text)


def print_json(value: BaseModel | Mapping[str, Any]) -> None:
    """Write one JSON object, with any models in it, on one line to standard output."""
    print_line(json.dumps(value, default=lambda model: model.model_dump(mode="json", by_alias=True)))


def print_error(*texts: str) -> None:
    """Write each line of *texts* to standard error."""
    for line in (line for text in texts for line in text.splitlines()):
        print_line(f"fc-reaper: {printable(line)}", sys.stderr)


def print_issues(error: PolicyError) -> None:
    """Write each issue of a policy to standard error as `FILE:LINE: …`, where editors can jump to."""
    for issue in error.issues:
        print_line(printable(issue.text), sys.stderr)


def printable(text: str) -> str:
    """*text* on one line without control characters: text from outside must not steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


class View(BaseModel):
    """Base of what `--json` prints; it can be validated from any object with its attributes."""

    model_config = ConfigDict(from_attributes=True)


def inner(name: str, *further: str | int) -> Any:
    """A field that takes the attribute of another name, or one further inside; None where there is none."""
    return Field(None, validation_alias=AliasPath(name, *further))


# Tables


def console(stream: TextIO) -> Console:
    """A console that interprets no markup; as wide as the terminal or COLUMNS says, else 80 columns."""
    wide = None if stream.isatty() or os.environ.get("COLUMNS", "").isdigit() else WIDTH
    return Console(file=stream, width=wide, markup=False, highlight=False, emoji=False, soft_wrap=False)


def show(*things: Table | Text | str, stream: TextIO | None = None) -> None:
    """Print tables and texts one below the other."""
    screen = console(stream or sys.stdout)
    with screen.capture() as drawn:
        for thing in things:
            screen.print(thing)
    # Not through rich, which ends the program when the reader of a pipe has gone.
    print_line("\n".join(line.rstrip() for line in drawn.get().splitlines()), cast("TextIO", screen.file))


def table(heads: Sequence[str], rows: Iterable[Sequence[Text | str]], *, right: Sequence[str] = ()) -> Table:
    """A table whose columns named in *right* are right-aligned; long words are folded, never cut."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STRONG)
    for head in heads:
        drawn.add_column(head, justify="right" if head in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return drawn


def short(service: str | None, name: str, qualifier: str) -> str:
    """`[service/]function[@qualifier]`, without `@LATEST`."""
    path = name if service is None else f"{service}/{name}"
    return path if qualifier == LATEST else f"{path}@{qualifier}"


def format_seconds(seconds: float | None) -> str:
    """A duration such as `1h5m`; a dash for None."""
    return "-" if seconds is None else format_duration(round(seconds * 1000))


def counted(number: int, one: str, many: str = "") -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def percent(share: int) -> str:
    """A share in hundredths of a percent as text: `2%`, `0.25%`."""
    return f"{share / 100:.2f}".rstrip("0").rstrip(".") + "%"


@contextmanager
def progress(sentence: str) -> Iterator[None]:
    """Show *sentence* on standard error while the block runs, if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with console(sys.stderr).status(sentence):
        yield


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the block runs, if that is a terminal; yield what advances it."""
    if not sys.stderr.isatty():
        yield lambda steps: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as shown:
        bar = shown.add_task(what, total=total)
        yield lambda steps: shown.advance(bar, steps)


# Files


def check_writable(name: str, *, force: bool = False) -> None:
    """Refuse early what `new_file` would refuse.

    Raises:
        CommandError: the file exists and *force* is False, it is no regular file, or its folder is missing.
    """
    if os.path.exists(name) and not os.path.isfile(name):
        raise CommandError(f"{name}: it cannot be written: this is not a regular file")
    if not force and os.path.lexists(name):
        raise CommandError(f"{name}: the file exists; choose another name, or add --force")
    folder = _followed(name).parent
    if not folder.is_dir():
        raise CommandError(f"{name}: there is no folder {folder}; create it first")


def write_file(name: str, text: str, *, force: bool = False) -> None:
    """Write *text* whole or not at all.

    Raises:
        CommandError: as in `new_file`.
    """
    with new_file(name, force=force) as file:
        file.write(text)


@contextmanager
def new_file(name: str, *, force: bool = False, private: bool = False) -> Iterator[TextIO]:
    """Open a text file that appears whole once the block has ended, and not at all if the block fails.

    A symbolic link is followed, and an existing file keeps its permissions. A *private* new file is readable
    by its owner only. The block must do nothing with files but write to this one.

    Raises:
        CommandError: as in `check_writable`, or the file cannot be written.
    """
    check_writable(name, force=force)
    path = _followed(name)
    beside = path.with_name(f".fc-reaper-{token_hex(8)}.tmp")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
        with open(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, beside)
        if not force:
            path.open("x").close()  # reserves the name: no other process can create the file from here on
        beside.replace(path)
    except (OSError, UnicodeError) as error:
        raise CommandError(
            f"{name}: it cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from None
    finally:
        beside.unlink(missing_ok=True)


def _followed(name: str) -> Path:
    """The file that *name* stands for, also where that is a symbolic link."""
    return Path(os.path.realpath(name) if os.path.islink(name) else name)


# Signals


@contextmanager
def interruptible() -> Iterator[Event]:
    """Within the block the first SIGINT or SIGTERM sets the event; the second raises KeyboardInterrupt."""
    interrupted = Event()

    def handle(signum: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    with on_signals(handle):
        yield interrupted


@contextmanager
def on_signals(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Within the block *handler* handles SIGINT and SIGTERM."""
    before = {signum: signal.signal(signum, handler) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, its_handler in before.items():
            signal.signal(signum, its_handler)
