"""Where a history comes from: a file of records as the cloud writes them, or what the cloud still knows."""

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fc_reaper.backtest.history import BrokenLine
from fc_reaper.clock import SYSTEM_CLOCK, Pool
from fc_reaper.cloud import ReadOnlyClient
from fc_reaper.cloud.api import ASYNC_TASK, STATEFUL
from fc_reaper.cloud.records import function_of, read_moment, read_task
from fc_reaper.errors import CloudError, EventRefused, InvalidName, ReaperError
from fc_reaper.events.parser import NUMBERS
from fc_reaper.models import FINISHED, UNFINISHED, Credentials, Function, Millis, Page, Query, Target, Task
from fc_reaper.rules.expression import RAW_PAYLOADS, RECORD_FIELDS
from fc_reaper.settings import Settings, connect
from fc_reaper.sweep.savings import Configurations, read_configurations
from fc_reaper.sweep.scanner import Lister
from fc_reaper.sweep.scope import list_functions, resolve

_LONGEST = 86_400.0  # seconds that a listing may take, a Retry-After of the cloud included
_SAVED_OF_EVENTS = ("eventId", "status", "timestamp")  # `eventDetail` may be what the function put out


class NotARecord(ReaperError):
    """A piece of a file is no record; the text says what is wrong with it."""


class Record(NamedTuple):
    """One record with its line, and the function that it names, if any; without an id its configuration."""

    line: int
    id: str
    function: Function | None
    fields: dict[str, Any]

    def task(self, function: Function) -> Task:
        """The record as a task of *function*."""
        id_field = (STATEFUL if function.service else ASYNC_TASK).id_field
        return read_task(function, {**self.fields, id_field: self.id})


def read_records(name: str) -> Iterator[Record | BrokenLine]:
    """Read the records in a file, or on standard input for `-`, and the lines that are none.

    A line holds a record or several: a list, an answer of List, what an SDK makes of one. So does a file that
    is one JSON value over several lines. Blank lines are skipped. Raises NotARecord: the file cannot be read.
    """
    for number, line in enumerate(_pieces(name), 1):
        try:
            for value in _unwrapped(json.loads(line, **NUMBERS)) if line else ():
                yield _parse_record(value, number)
        except (NotARecord, InvalidName, EventRefused) as error:
            yield BrokenLine(line=number, why=str(error))
        except (ValueError, RecursionError) as error:
            yield BrokenLine(line=number, why=f"it is not JSON: {error}")


def _pieces(name: str) -> Iterator[bytes]:
    """The lines of a file, without their ends; all in one where they are one JSON value."""
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            first = file.readline().removeprefix(b"\xef\xbb\xbf")
            if _is_json(first):
                yield first.strip()
                yield from map(bytes.strip, file)
            else:
                whole = first + file.read()
                yield from [whole] if _is_json(whole) else map(bytes.strip, whole.splitlines())
    except OSError as error:
        source = "standard input" if name == "-" else name
        raise NotARecord(f"{source}: it cannot be read: {error.strerror or error}") from None


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text, **NUMBERS)
    except (ValueError, RecursionError, EventRefused):
        return False
    return True


def _unwrapped(value: Any) -> list[Any]:
    if isinstance(value, dict) and not (value.get("invocationId") or value.get("taskId")):
        for key in ("invocations", "tasks", "body"):
            if isinstance(value.get(key), (list, dict)):
                return _unwrapped(value[key])
    return value if isinstance(value, list) else [value]


def _parse_record(value: Any, line: int) -> Record:
    """Read the id and the function of a record."""
    if not isinstance(value, dict):
        raise NotARecord("it is not a JSON object")
    ids = [value.get(name) for name in ("invocationId", "taskId")]
    found = next((one for one in ids if isinstance(one, str) and one), "")
    if not found and "memorySize" not in value:
        raise NotARecord("it has no id; it needs invocationId, or taskId in FC 3.0")
    return Record(line, found, function_of(value), value)


def read_file(name: str, broken: list[BrokenLine], known: Configurations) -> Iterator[Task]:
    """Read the tasks in a file, NotARecord without any; *broken* and *known* receive what else is there."""
    found = False
    for record in read_records(name):
        if isinstance(record, BrokenLine):
            broken.append(record)
        elif record.function is None:
            what = "it names no function; it needs serviceName and functionName, or functionArn in FC 3.0"
            broken.append(BrokenLine(line=record.line, why=what))
        elif not record.id:
            known[record.function] = record.fields
        else:
            found = True
            yield record.task(record.function)
    if not found:
        first = f", first: line {broken[0].line}, {broken[0].why}" if broken else ""
        source = "standard input" if name == "-" else name
        what = "a record is one JSON object on one line, as the cloud writes it"
        raise NotARecord(f"{source}: there is no record in it{first}; {what}")


def only(reads: Collection[str], task: Task) -> Task:
    """*task* with those fields of its record that are among *reads* (all, if `@` is), its events in order."""
    record = {name: value for name, value in (task.record or {}).items() if name in reads or "@" in reads}
    with suppress(KeyError, TypeError, ValueError, OverflowError):  # no events, or one without date or number
        record["events"] = sorted(
            record["events"], key=lambda event: (read_moment(event["timestamp"]), int(event["eventId"]))
        )
    return task._replace(record=record or None)


@dataclass
class Listing:
    """A listing of the tasks of *targets*, the unfinished ones first.

    A task that ends meanwhile comes twice, and none never. *payload* asks for payloads, *read* reads each
    task that is listed without dated events. `refused` has the refusals by what was asked. `unmatched` are
    targets that fit no function. `taken` is the moment of the first page of unfinished tasks, 0 without one.
    *known* receives the configuration of each function that has tasks.
    """

    targets: Iterable[Target]
    statuses: Sequence[Sequence[str]] = (UNFINISHED, FINISHED)
    payload: bool = False
    read: bool = False
    refused: dict[str, CloudError] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    taken: Millis = 0
    answered: bool = False
    known: Configurations | None = None

    def tasks(
        self, settings: Settings, credentials: Credentials, interrupted: Callable[[], bool]
    ) -> Iterator[Task]:
        """List the tasks; raises KeyboardInterrupt when *interrupted* returned True."""
        cloud = connect(settings, credentials, "backtest", clock=SYSTEM_CLOCK, kind=ReadOnlyClient)
        pool = Pool(settings.concurrency, SYSTEM_CLOCK, interrupted)
        until = SYSTEM_CLOCK.monotonic() + _LONGEST
        lister = Lister(cloud, pool, until=until, api_version=settings.api_version)

        @cache
        def known(services: bool) -> list[Function] | None:
            try:
                return list_functions(cloud, pool, services=services, until=until)
            except CloudError as error:
                self.refused[f"the functions of FC {'2.0' if services else '3.0'}"] = error
                return None

        with closing(cloud):
            functions, unmatched = resolve(self.targets, known)
            self.unmatched += map(str, unmatched)
            having: dict[Function, None] = {}
            for some in self.statuses:
                queries = [Query(one, status, payload=self.payload) for one in functions for status in some]
                for query, answer, task in lister.each(queries):
                    if isinstance(answer, Page):
                        self.answered = True
                        if answer.tasks:
                            having[query.function] = None
                        if query.status in UNFINISHED:
                            self.taken = min(answer.moment.earliest, self.taken or answer.moment.earliest)
                        for one in answer.tasks:
                            if self.read and not one.events:
                                lister.read(query, one)
                            else:
                                yield one
                    elif not isinstance(answer, CloudError):
                        yield answer.task
                    elif task is None:
                        self.refused.setdefault(str(query.function), answer)
                    else:
                        yield task  # what the list said of it; that it has no dated events will be counted
                        if not answer.missing:
                            self.refused[f"{task.invocation_id} of {task.function}"] = answer
            if self.known is not None:
                self.known |= read_configurations(cloud, pool, having, until)
        if interrupted():
            raise KeyboardInterrupt


def to_be_saved(record: Mapping[str, Any], *, payload: bool = True) -> dict[str, Any]:
    """What a saved history holds of *record*: known fields, and nothing that the function put out.

    Reading a task by itself brings its *payload* along, which is left out if nobody asked for it.
    """
    left_out = ("returnPayload", *(() if payload else RAW_PAYLOADS))
    saved = {name: record[name] for name in RECORD_FIELDS if name in record and name not in left_out}
    events = saved.get("events")
    if events is not None:
        dated = [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []
        saved["events"] = [{name: one[name] for name in _SAVED_OF_EVENTS if name in one} for one in dated]
    return saved
