"""What commands read and write: tables, JSON, error lines and files; and what a signal does meanwhile.

Results go to standard output, everything else to standard error. Tables are 80 columns wide where the
terminal does not say otherwise, and coloured on a terminal only. Text from outside must not steer a terminal:
`show`, `table`, `print_line`, `print_error` and `ask` make everything printable, and JSON has escapes.
"""

import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from secrets import token_hex
from threading import Event
from types import FrameType
from typing import Any, TextIO

from pydantic import BaseModel
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from fc_reaper.errors import CloudError, ReaperError
from fc_reaper.log_lines import ListFailed, TaskLine
from fc_reaper.models import LATEST, Exit
from fc_reaper.models import printable as on_one_line
from fc_reaper.rules.duration import format_duration

WIDTH = 80
_NEEDED = {"--svg": ("matplotlib",), "--html": ("jinja2", "matplotlib")}  # packages of `[plot]`
keys_from: ContextVar[str] = ContextVar("keys_from", default="the keys")  # where this command has them from
GOOD, BAD, SOFT, STRONG = "green", "bold red", "dim", "bold"


class CommandError(ReaperError):
    """A command cannot go on: the text says why and what to do, `exit` is the exit code."""

    def __init__(self, message: str, exit: Exit = Exit.REFUSED) -> None:
        super().__init__(message)
        self.exit = exit


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Write the lines of *text*, made printable; CommandError if standard output cannot be written."""
    _print("\n".join(map(printable, f"{text}\n".split("\n"))), stream or sys.stdout)


def print_json(value: BaseModel | Mapping[str, Any]) -> None:
    """Write one JSON object on one line to standard output.

    An object in it is shown by `as_json`, as a pydantic model, or by its fields.
    """
    _print(f"{json.dumps(value, default=_as_json)}\n", sys.stdout)


def _as_json(one: Any) -> Any:
    if isinstance(one, BaseModel):
        return one.model_dump(mode="json", by_alias=True)
    return one.as_json() if hasattr(one, "as_json") else vars(one)


def print_error(*texts: str) -> None:
    """Write each line of *texts* to standard error."""
    for line in (line for text in texts for line in text.splitlines()):
        print_line(f"fc-reaper: {line}", sys.stderr)


def ask(question: str) -> str:
    """Put a question on standard output; return the answer from standard input, empty where there is none."""
    _print(f"{printable(question)} ", sys.stdout)
    try:
        return input().strip()
    except (EOFError, RuntimeError):  # at its end, or closed
        print_line("")
        return ""


def printable(text: str) -> str:
    """*text* on one line, with escapes for what could steer the terminal or change the direction of text."""
    return on_one_line(text, 1_000_000)


def printable_json(text: str) -> str:
    """*text*, which is JSON in lines, with escapes for all that is not printable."""
    text = text.replace("\x7f", "\\u007f")  # json leaves it as it is
    if text.isascii():
        return text
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def as_typed(command: str, *words: str, **options: str | None) -> str:
    """The command line with these words, and those *options* that are given, as it works from here."""
    named = [(f"--{name.replace('_', '-')}", value) for name, value in options.items() if value]
    started = Path(sys.argv[0])
    program = ["fc-reaper"]
    if started.parts[-2:] == ("fc_reaper", "__main__.py"):
        program = [min(os.path.relpath(sys.executable), sys.executable, key=len), "-m", "fc_reaper"]
    elif started.name == "fc-reaper" and shutil.which("fc-reaper") != str(started):
        program = [str(started)]
    return shlex.join([*program, command, *chain(*named), *words])


class LogStream(io.StringIO):
    """Passes log lines on without ever raising; `fault` says why they were not all written, or is None."""

    def __init__(self, through: TextIO) -> None:
        super().__init__()
        self.fault: str | None = None
        self._through = through

    def write(self, text: str) -> int:
        """Write *text*, which is JSON, and flush it."""
        self.fault = self.fault or write(self._through, printable_json(text))
        return len(text)


def _print(text: str, stream: TextIO) -> None:
    fault = write(stream, text)
    if fault is not None and stream is sys.stdout:
        raise CommandError(f"standard output: {fault}", Exit.ATTENTION)


def write(stream: TextIO, text: str) -> str | None:
    """Write and flush *text*; return why that failed. A closed pipe, as in `| head`, is no failure."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # From here on everything is discarded, also what the interpreter flushes when it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return None if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    return None


def advice_for(failures: Iterable[CloudError | ListFailed | TaskLine]) -> list[str]:
    """What to check after these failures, one line each, each advice once."""
    return list(dict.fromkeys(map(_advice, failures)))


def refusal(failure: CloudError | ListFailed | TaskLine) -> str:
    """How the cloud refused, or that it did not answer."""
    status = "no answer" if failure.http_status is None else f"HTTP {failure.http_status}"
    request = f" (request {failure.fc_request_id})" if failure.fc_request_id else ""
    error = failure.detail if isinstance(failure, CloudError) else failure.error
    return f"{status}, {failure.error_code}: {error[:160]}{request}"


def lacks_right(failure: CloudError | ListFailed | TaskLine) -> bool:
    """Whether the keys are good, and RAM does not allow the call."""
    words = "denied|permission|forbidden|unauthorized"
    return failure.http_status in (401, 403) and bool(re.search(words, failure.error_code.lower()))


def _advice(failure: CloudError | ListFailed | TaskLine) -> str:
    http_status, code, keys = failure.http_status, failure.error_code.lower(), keys_from.get()
    if http_status is None:
        endpoint = "REAPER_ENDPOINT or --endpoint, such as https://ACCOUNT.REGION.fc.aliyuncs.com"
        return f"check the endpoint ({endpoint}), that the region has Function Compute, and the way to it"
    if "expired" in code and "timestamp" not in code:
        return f"these keys have run out: get new ones (aliyun configure) for {keys}, or choose a --profile"
    if lacks_right(failure):
        rights = "fc:ListStatefulAsyncInvocations (for FC 3.0 fc:ListAsyncTasks)"
        return f"check that RAM allows {rights} and what else docs/real-account.md says"
    if http_status in (401, 403) or re.match("invalid(accesskey|security|timestamp)|signature", code):
        rest = "this machine's clock; and that the endpoint is that of the keys' account"
        return f"check {keys}, or choose another --profile; {rest}"
    if http_status == 429 or "throttl" in code or http_status >= 500:
        return "try again later, or with a lower REAPER_RATE"
    return "check the names and the qualifier in the policy, the region of the endpoint, and --api-version"


def console(stream: TextIO, file: TextIO | None = None) -> Console:
    """A console as wide as *stream* or COLUMNS says, else 80 columns; it may write to *file* instead."""
    terminal = stream.isatty() or None
    wide = None if terminal or os.environ.get("COLUMNS", "").isdigit() else WIDTH
    return Console(
        file=file or stream, width=wide, force_terminal=terminal, markup=False, highlight=False, emoji=False
    )


def show(*things: Table | Text | str, stream: TextIO | None = None) -> None:
    """Print tables, lines and texts one below the other; a line break within one is made printable."""
    stream, drawn = stream or sys.stdout, io.StringIO()
    screen = console(stream, drawn)
    for thing in things:
        screen.print(thing if isinstance(thing, Table) else _cell(thing))
    # Not by rich itself, which ends the program when the reader of a pipe has gone.
    _print("".join(f"{line.rstrip()}\n" for line in drawn.getvalue().splitlines()), stream)


def table(heads: Sequence[str], rows: Iterable[Sequence[Text | str]], *, right: Sequence[str] = ()) -> Table:
    """A table whose columns named in *right* are right-aligned; long words are folded, never cut."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STRONG)
    for head in heads:
        drawn.add_column(head, justify="right" if head in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*map(_cell, row))
    return drawn


def _cell(text: Text | str) -> Text:
    """*text* as it may be shown, in its styles."""
    if isinstance(text, str):
        return Text(printable(text))
    pieces = text.render(console(sys.stdout), end="")
    return Text.assemble(*((printable(piece.text), piece.style or text.style) for piece in pieces))


def short(service: str | None, name: str, qualifier: str) -> str:
    """`[service/]function[@qualifier]`, without `@LATEST`."""
    path = name if service is None else f"{service}/{name}"
    return path if qualifier == LATEST else f"{path}@{qualifier}"


def format_seconds(seconds: float | None) -> str:
    """A duration such as `1h5m`; a dash for None."""
    return "-" if seconds is None else format_duration(round(seconds * 1000))


def saved_text(saved: Mapping[str, Any], verb: str) -> Iterator[str]:
    """What stops save, in one sentence that takes no sum of some tasks for the whole; none without stops."""
    tasks, unknown = counted(saved["tasks"], "stop"), saved["unknown"]
    if unknown < saved["tasks"]:
        units = {"vcpu_s": "vCPU-s", "gb_s": "GB-s", "gpu_gb_s": "GB-s of GPU memory"}
        sums = ", ".join(f"{saved[name]:,.0f} {unit}" for name, unit in units.items())
        yield f"The stops {verb} {sums}{f'; unknown for {unknown} of {tasks}' if unknown else ''}."
    elif unknown:
        yield f"What {tasks} {verb} is unknown (docs/cost.md says why)."


def counted(number: int, one: str, many: str = "") -> str:
    """`1 task`, `2,000 tasks`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the block runs, if that is a terminal; yield what advances it."""
    screen = console(sys.stderr)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as shown:
        bar = shown.add_task(what, total=total)
        yield lambda steps: shown.advance(bar, steps)


def read_input(name: str, most: int = -1) -> bytes:
    """Read at most *most* bytes of a file, of standard input for `-`; CommandError if that fails."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(most)
        with Path(name).open("rb") as file:
            return file.read(most)
    except OSError as error:
        remedy = "write the path of a file, or - for standard input"
        raise CommandError(f"{name}: it cannot be read: {error.strerror}; {remedy}") from None


def check_writable(name: str, *, force: bool = False) -> None:
    """Refuse early what `new_file` refuses: the file exists and *force* is False, or there can be none."""
    if name in ("", "-"):
        raise CommandError(f"{name!r} names no file; write one, such as ./{name or 'FILE'}")
    if os.path.exists(name) and not os.path.isfile(name):
        raise CommandError(f"{name}: it cannot be written: this is not a regular file")
    if not force and os.path.lexists(name):
        raise CommandError(f"{name}: the file exists; choose another name, or add --force")
    folder = os.path.dirname(os.path.realpath(name))
    if not os.path.isdir(folder):
        raise CommandError(f"{name}: there is no folder {folder}; create it first")


def check_files(*, force: bool, **files: str | None) -> None:
    """Refuse early, by a CommandError, *files* by option that cannot be made or written, or are one file."""
    given = {f"--{option}": name for option, name in files.items() if name is not None}
    for option, name in given.items():
        check_writable(name, force=force or option == "--save")  # which no --force overwrites
        for package in _NEEDED.get(option, ()):
            if find_spec(package) is None:
                raise CommandError(f"{option} needs {package}; install it: pip install 'fc-reaper[plot]'")
    if len(set(map(os.path.realpath, given.values()))) < len(given):
        raise CommandError(f"two of {', '.join(given)} are the same file; choose another name for one")


def write_file(name: str, text: str, *, force: bool = False, private: bool = True) -> None:
    """Write *text* whole or not at all, as `new_file` does."""
    with new_file(name, force=force, private=private) as file:
        file.write(text)


@contextmanager
def new_file(name: str, *, force: bool = False, private: bool = True) -> Iterator[TextIO]:
    """Open a text file that appears whole once the block has ended, and not at all if the block fails.

    A symbolic link is followed, and an existing file keeps its permissions; a *private* new file is readable
    by its owner only. The block must do nothing with files but write to this one. CommandError if the file
    may not or cannot be written; its exit code is 1 if the disk is full.
    """
    check_writable(name, force=force)
    path = Path(os.path.realpath(name))
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
        why = getattr(error, "strerror", None) or error
        end = Exit.ATTENTION if getattr(error, "errno", None) == errno.ENOSPC else Exit.REFUSED
        raise CommandError(f"{name}: it cannot be written: {why}", end) from None
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def interruptible(*, at_once: bool = False) -> Iterator[Event]:
    """Within the block the first SIGINT or SIGTERM sets the event.

    The second, or *at_once* the first, raises KeyboardInterrupt.
    """
    interrupted = Event()

    def handle(signum: int, frame: FrameType | None) -> None:
        if at_once or interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = {signum: signal.signal(signum, handle) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for signum, its_handler in before.items():
            signal.signal(signum, its_handler)
