"""A task out of a file: a record as the cloud writes it, of FC 2.0 or 3.0, without asking any cloud."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from fc_reaper.cli.output import CommandError, counted
from fc_reaper.cli.records import called_by_function, function_of, id_of
from fc_reaper.cloud.records import read_moment, read_task
from fc_reaper.errors import InvalidName
from fc_reaper.models import Function, Millis, Task
from fc_reaper.names import check_function
from fc_reaper.rules.target import parse_target

_LISTS = ("invocations", "tasks")
"""Where an answer of List has its records: in 2.0, in 3.0."""

_SHOWN = 5

_SECOND: Millis = 1000
"""A moment may be written without its milliseconds."""


class Record(NamedTuple):
    """One record with its id, and the function that it names; None where it does not say."""

    id: str
    function: Function | None
    fields: dict[str, Any]


def function_named(text: str) -> Function:
    """The one function that a TARGET names.

    Raises:
        CommandError: it is a pattern.
        InvalidName: it has another shape.
    """
    target = parse_target(text)
    if target.needs_discovery:
        raise CommandError(
            f"{text} is a pattern; name the one function of the task, such as media/transcode@prod"
        )
    return target.literal()


def task_in_file(name: str, words: Sequence[str]) -> Task:
    """Read the one task that *words* name out of the file *name*; `-` is standard input.

    The file holds a record, an answer of Get or List, or JSON lines. *words* are a target and an id, or
    either of the two, or nothing where the file has a single record that names its function.

    Raises:
        CommandError: there is not exactly one such task; the text says what is wrong and where.
    """
    spoken = "standard input" if name == "-" else name
    records = list(_records(_text(name, spoken), spoken))
    target, wanted = _meant(words, records)
    record = _only(records, target, wanted, spoken)
    function = target or record.function
    if function is None:
        raise CommandError(
            f"{spoken}: the record names no function; add TARGET, such as media/transcode@prod"
        )
    try:
        check_function(function)
    except InvalidName as error:
        raise CommandError(f"{spoken}: {error}") from None
    return read_task(function, called_by_function(function, record.fields), wanted)


def read_at(text: str) -> Millis:
    """Read the moment of `--at`.

    Raises:
        CommandError: it is none.
    """
    moment = read_moment(text)
    if moment is None:
        raise CommandError(
            f"--at is {text!r}; write it with its zone, as 2026-05-01T12:00:00Z, or as epoch milliseconds"
        )
    return moment


def refuse_earlier(task: Task, moment: Millis) -> None:
    """Refuse to judge a task as of a moment of which its record tells no more: what it was then is not in it.

    Raises:
        CommandError: its last event, or the start of its attempt, is later than *moment*.
    """
    known = [(event.at, f"is {event.status}") for event in task.events[-1:]]
    if task.started_at is not None:
        known.append((task.started_at, "has started"))
    for at, what in known:
        if at > moment + _SECOND:
            raise CommandError(
                f"--at {spoken_moment(moment)} is before {spoken_moment(at)}, since when the task {what}: "
                "its record does not tell how it was then; write a later moment"
            )


def spoken_moment(moment: Millis) -> str:
    """A moment as people read it, to the second, in UTC."""
    spoken = datetime.fromtimestamp(moment / 1000, timezone.utc).isoformat(timespec="seconds")
    return spoken.replace("+00:00", "Z")


def _text(name: str, spoken: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise CommandError(f"{spoken}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{spoken}: byte {error.start} is not UTF-8; a record is JSON") from None
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{spoken}: it cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None


def _records(text: str, spoken: str) -> Iterator[Record]:
    if not text.strip():
        raise CommandError(
            f"{spoken} is empty; a record is JSON, such as an answer of GetStatefulAsyncInvocation"
        )
    whole = _parsed(text)
    if whole is not None:
        yield from _inside(whole, spoken)
        return
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    for number, line in lines:
        value = _parsed(line)
        if value is None:
            raise CommandError(
                f"{spoken}:{number}: {_fault(text if len(lines) == 1 or number == 1 else line)}"
            )
        yield from _inside(value, f"{spoken}:{number}")


def _parsed(text: str) -> Any:
    """The JSON value, None where it is none; a bare null is no record either."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _fault(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"this is no JSON, {error.msg.lower()} at character {error.colno}; a record is one JSON object"
    except (ValueError, RecursionError):
        pass
    return "this is no JSON that can be read; a record is one JSON object"


def _inside(value: Any, spoken: str) -> Iterator[Record]:
    """The records in one JSON value: a list of them, a page, the answer of an SDK, or the record itself."""
    if isinstance(value, list):
        for item in value:
            yield _record(item, spoken)
        return
    if isinstance(value, Mapping):
        inner = next(
            (value[name] for name in (*_LISTS, "body") if isinstance(value.get(name), (list, dict))), None
        )
        if inner is not None and id_of(value) is None:
            yield from _inside(inner, spoken)
            return
    yield _record(value, spoken)


def _record(value: Any, spoken: str) -> Record:
    if not isinstance(value, Mapping):
        raise CommandError(
            f"{spoken}: this is no record; a record is a JSON object with invocationId, or taskId in FC 3.0"
        )
    found = id_of(value)
    if found is None:
        raise CommandError(f"{spoken}: the record has no id; it needs invocationId, or taskId in FC 3.0")
    return Record(found, function_of(value), dict(value))


def _meant(words: Sequence[str], records: Sequence[Record]) -> tuple[Function | None, str | None]:
    """The target and the id that *words* name; a single word is an id where some record has it."""
    if len(words) > 1:
        return function_named(words[0]), words[1]
    if not words:
        return None, None
    word = words[0]
    if any(one.id == word for one in records):
        return None, word
    names = {None if one.function is None else one.function.name for one in records}
    if "/" in word or "@" in word or None in names or word in names:
        return function_named(word), None
    return None, word


def _only(records: Sequence[Record], target: Function | None, wanted: str | None, spoken: str) -> Record:
    fitting = [
        one
        for one in records
        if (wanted is None or one.id == wanted) and (target is None or one.function in (None, target))
    ]
    if not fitting and target is not None:
        # Its qualifier may be an alias here and a version there; of other names the judge has an opinion.
        fitting = [one for one in records if wanted is None or one.id == wanted]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(list(dict.fromkeys(one.id for one in fitting or records))[:_SHOWN])
    if not records:
        raise CommandError(f"{spoken}: there is no record in it")
    if not fitting:
        raise CommandError(f"{spoken}: there is no task {wanted} in it; it has {shown}")
    if wanted is None:
        raise CommandError(
            f"{spoken} has {counted(len(fitting), 'task')}; name one by its id, such as {shown}"
        )
    raise CommandError(
        f"{spoken} has {len(fitting)} records of {wanted}; add TARGET, or keep one of them in the file"
    )
