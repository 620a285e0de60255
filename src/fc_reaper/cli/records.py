"""Records out of a file, of FC 2.0 or 3.0: one, an answer of the cloud, or JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fc_reaper.backtest.source import NotARecord, Record, id_of, parse_json, parse_record
from fc_reaper.cli.output import CommandError, counted
from fc_reaper.models import Function, Task
from fc_reaper.rules.target import parse_target


def literal_function(text: str) -> Function:
    """The one function that a TARGET names.

    Raises:
        CommandError: it is a pattern.
        InvalidName: it is not a target.
    """
    target = parse_target(text)
    if target.needs_discovery:
        raise CommandError(
            f"{text} is a pattern; name the function of the task, such as media/transcode@prod"
        )
    return target.literal()


def task_in_file(name: str, words: Sequence[str]) -> Task:
    """Read the one task that *words* name out of the file *name*; `-` is standard input.

    *words* are a target and an id, or one of them, or nothing where the file has a single record that names
    its function.

    Raises:
        CommandError: there is not exactly one such task.
    """
    source = "standard input" if name == "-" else name
    records = list(_records(_read(name, source), source))
    target, wanted = _target_and_id(words, records)
    record = _only_one(records, target, wanted, source)
    function = target or record.function
    if function is None:
        raise CommandError(
            f"{source}: the record names no function; add TARGET, such as media/transcode@prod"
        )
    return record.task(function)


def _read(name: str, source: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise CommandError(f"{source}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{source}: byte {error.start} is not UTF-8; a record is JSON") from None
    except OSError as error:
        raise CommandError(f"{source}: it cannot be read: {error.strerror}") from None


def _records(text: str, source: str) -> Iterator[Record]:
    """The records of the whole text, else those of its lines."""
    if not text.strip():
        raise CommandError(f"{source} is empty; it needs a record, such as an answer of Get")
    try:
        json.loads(text)
        pieces = [(source, text)]
    except (ValueError, RecursionError):
        lines = enumerate(text.splitlines(), 1)
        pieces = [(f"{source}:{number}", line) for number, line in lines if line.strip()]
    for place, piece in pieces:
        try:
            yield from map(parse_record, _unwrapped(parse_json(piece)))
        except NotARecord as error:
            raise CommandError(f"{place}: {error}") from None


def _unwrapped(value: Any) -> list[Any]:
    """The records in a list, an answer of List (2.0, 3.0) or of an SDK; else *value* itself."""
    if isinstance(value, Mapping) and id_of(value) is None:
        for key in ("invocations", "tasks", "body"):
            if isinstance(value.get(key), (list, dict)):
                return _unwrapped(value[key])
    return value if isinstance(value, list) else [value]


def _target_and_id(words: Sequence[str], records: Sequence[Record]) -> tuple[Function | None, str | None]:
    """What *words* mean; a single one is an id where a record has it, else a target where it can be one."""
    if len(words) == 2:
        return literal_function(words[0]), words[1]
    if not words:
        return None, None
    (word,) = words
    names = [one.function.name if one.function else word for one in records]
    is_target = "/" in word or "@" in word or word in names
    if is_target and word not in [one.id for one in records]:
        return literal_function(word), None
    return None, word


def _only_one(records: Sequence[Record], target: Function | None, wanted: str | None, source: str) -> Record:
    named = [one for one in records if wanted in (None, one.id)]
    # Its qualifier may be an alias here and a version there, so a target that fits none excludes none.
    fitting = [one for one in named if target is None or one.function in (None, target)] or named
    if len(fitting) == 1:
        return fitting[0]
    ids = ", ".join(list(dict.fromkeys(one.id for one in fitting or records))[:5])
    found = counted(len(fitting), "record fits", "records fit") if fitting else "no record fits"
    raise CommandError(f"{source}: {found}; name one with TARGET and ID{f': it has {ids}' if ids else ''}")
