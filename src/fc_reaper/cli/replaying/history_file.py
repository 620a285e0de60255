"""A history in a file: JSON lines, one record a line as the cloud writes it, of FC 2.0 or 3.0."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from fc_reaper.cli.output import CommandError
from fc_reaper.cli.records import NotARecord, parse_json, parse_record
from fc_reaper.cloud.records import read_moment
from fc_reaper.models import Function, Task

_FORM = "a record is one JSON object on one line, as the cloud writes it"


class Broken(NamedTuple):
    """A line that is no record, counted from 1, and why."""

    line: int
    why: str


class Lines(NamedTuple):
    """What a file holds."""

    tasks: list[Task]
    broken: list[Broken]


def read_file(name: str, *, with_records: bool, read: Callable[[int], None] = lambda count: None) -> Lines:
    """Read a file, or standard input for `-`; *read* is told how many more bytes have been.

    *with_records* keeps what the cloud wrote with each task, which only expressions need. Blank lines count
    for nothing.

    Raises:
        CommandError: it cannot be opened, or no line of it is a record.
    """
    found = Lines([], [])
    try:
        if name == "-":
            _read(sys.stdin.buffer, found, with_records, read)
        else:
            with Path(name).open("rb") as file:
                _read(file, found, with_records, read)
    except FileNotFoundError:
        raise CommandError(
            f"{name}: there is no such file; name one with --history, or leave it out"
        ) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CommandError(f"{name}: it cannot be read: {why}") from None
    if not found.tasks:
        first = f", first: line {found.broken[0].line}, {found.broken[0].why}" if found.broken else ""
        raise CommandError(f"{spoken(name)}: there is no record in it{first}; {_FORM}")
    return found


def size_of(name: str) -> int | None:
    """The bytes of the file, None where that cannot be told beforehand."""
    with suppress(OSError, ValueError):
        return os.stat(name).st_size if name != "-" else None
    return None


def spoken(name: str) -> str:
    """How the file is called in a sentence."""
    return "standard input" if name == "-" else name


def _read(file: BinaryIO, found: Lines, with_records: bool, read: Callable[[int], None]) -> None:
    functions: dict[Function, Function] = {}
    for number, line in enumerate(file, 1):
        read(len(line))
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            task = _task(text, functions)
        except NotARecord as error:
            found.broken.append(Broken(number, str(error)))
            continue
        found.tasks.append(task if with_records else task._replace(record=None))


def _task(line: bytes, functions: dict[Function, Function]) -> Task:
    try:
        record = parse_record(parse_json(line.strip().decode()))
    except UnicodeDecodeError:
        raise NotARecord("it is not UTF-8") from None
    if record.function is None:
        raise NotARecord(
            "it names no function; it needs serviceName and functionName, or functionArn in FC 3.0"
        )
    # One object for each function, however many tasks it has.
    function = functions.setdefault(record.function, record.function)
    return record._replace(fields=in_order(record.fields)).task(function)


def in_order(record: dict[str, Any]) -> dict[str, Any]:
    """*record* with its dated events in the order of time."""
    events = record.get("events")
    if isinstance(events, list) and len(events) > 1 and all(isinstance(one, Mapping) for one in events):
        moments = [(read_moment(one.get("timestamp")), _number(one.get("eventId"))) for one in events]
        if all(at is not None for at, _ in moments):
            order = sorted(range(len(events)), key=lambda place: moments[place])
            if order != list(range(len(events))):
                return {**record, "events": [events[place] for place in order]}
    return record


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


class Saver:
    """Writes records to a new file: whole when the block ends well, else not at all.

    Only its owner may read the file, since records may hold payloads.

    Raises:
        CommandError: there is such a file already, or it cannot be written.
    """

    def __init__(self, name: str) -> None:
        self._name, self._path = name, Path(name)
        self._beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        self.lines = 0

    def __enter__(self) -> Saver:
        if os.path.lexists(self._path):
            raise _taken(self._name)
        try:
            self._file = os.fdopen(
                os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            )
        except (OSError, ValueError) as error:
            raise self._ended(error) from None
        return self

    def save(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write one line for each record."""
        for record in records:
            self._file.write(f"{json.dumps(record, separators=(',', ':'))}\n")
            self.lines += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if kind is None:
                os.link(self._beside, self._path)
        except FileExistsError:
            raise _taken(self._name) from None
        except OSError as fault:
            raise self._ended(fault) from None
        finally:
            with suppress(OSError):
                self._beside.unlink()

    def _ended(self, error: OSError | ValueError) -> CommandError:
        return CommandError(
            f"{self._name}: it cannot be written: {getattr(error, 'strerror', None) or error}"
        )


def records_of(tasks: Iterable[Task], *, with_payload: bool) -> Iterator[dict[str, Any]]:
    """The records of *tasks* for a file, each with the qualifier that it was found under."""
    for task in tasks:
        kept = dict(task.record or {})
        if not with_payload:
            for name in PAYLOADS:
                kept.pop(name, None)
        yield {**kept, "qualifier": task.function.qualifier}


PAYLOADS = ("invocationPayload", "taskPayload", "returnPayload")


def _taken(name: str) -> CommandError:
    return CommandError(f"{name}: there is such a file already, and a history is not written over")
