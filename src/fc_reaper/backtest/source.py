"""Where a history comes from: a file of JSON lines, or everything that the cloud still knows.

A line is one record as the cloud writes it, of FC 2.0 or 3.0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.records import function_in_arn, read_moment, read_task
from fc_reaper.errors import CloudError, InvalidName, ReaperError
from fc_reaper.models import FINISHED, LATEST, UNFINISHED, Credentials, Function, Millis, Page, Snapshot, Task
from fc_reaper.names import check_names
from fc_reaper.rules.target import Target
from fc_reaper.settings import Settings, connect
from fc_reaper.sweep.pool import Pool
from fc_reaper.sweep.scanner import Lister, Query
from fc_reaper.sweep.scope import list_functions

PAYLOADS = ("invocationPayload", "taskPayload", "returnPayload")

_DAY = 86_400.0
"""Seconds that a listing may take; a person interrupts it sooner."""


class NotARecord(ReaperError):
    """A piece of a file is no record; the text says what is wrong with it."""


class Record(NamedTuple):
    """One record with its id, and the function that it names; None where it names none."""

    id: str
    function: Function | None
    fields: dict[str, Any]

    def task(self, function: Function) -> Task:
        """The record as a task of *function*."""
        key = "taskId" if function.service is None else "invocationId"
        return read_task(function, {**self.fields, key: _text(self.fields, key) or self.id})


def parse_json(text: str | bytes) -> Any:
    """Parse one JSON value.

    Raises:
        NotARecord: it is not JSON.
    """
    try:
        return json.loads(text)
    except UnicodeDecodeError:
        raise NotARecord("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        what = error.msg.lower().removesuffix(" at")
        raise NotARecord(f"it is not JSON, {what} at character {error.colno}") from None
    except (ValueError, RecursionError):
        raise NotARecord("it is not JSON that can be read") from None


def parse_record(value: Any) -> Record:
    """Read the id and the function of a record.

    A function without a service is one of 3.0, whose ARN may name the qualifier; LATEST where nothing does.

    Raises:
        NotARecord: it is no object, has no id, or names what cannot be a function.
    """
    if not isinstance(value, dict):
        raise NotARecord("it is not a JSON object")
    found = id_of(value)
    if found is None:
        raise NotARecord("it has no id; it needs invocationId, or taskId in FC 3.0")
    service, name, qualifier = (_text(value, key) for key in ("serviceName", "functionName", "qualifier"))
    in_arn = function_in_arn(value.get("functionArn")) if service is None else None
    if in_arn is not None:
        name, qualifier = in_arn[0], qualifier or in_arn[1]
    if name is None:
        return Record(found, None, value)
    function = Function(service, name, qualifier or LATEST)
    try:
        check_names(function)
    except InvalidName as error:
        raise NotARecord(str(error)) from None
    return Record(found, function, value)


def id_of(record: Mapping[str, Any]) -> str | None:
    """The id of a record, in either generation's word; None where it has none."""
    return _text(record, "invocationId") or _text(record, "taskId")


def _text(record: Mapping[str, Any], key: str) -> str | None:
    found = record.get(key)
    return found if isinstance(found, str) and found else None


# A file.


class BrokenLine(NamedTuple):
    """A line that is no record, counted from 1, and why."""

    line: int
    why: str


class Lines(NamedTuple):
    """What a file holds."""

    tasks: list[Task]
    broken: list[BrokenLine]


def read_file(name: str, *, records: bool, step: Callable[[int], None] = lambda size: None) -> Lines:
    """Read a file, or standard input for `-`. Blank lines are skipped.

    *records* keeps with each task what the cloud wrote, which only expressions need. *step* is called with
    the bytes of each line.

    Raises:
        NotARecord: the file cannot be read, or no line of it is a record.
    """
    source = "standard input" if name == "-" else name
    try:
        if name == "-":
            found = _lines(sys.stdin.buffer, records, step)
        else:
            with Path(name).open("rb") as file:
                found = _lines(file, records, step)
    except FileNotFoundError:
        raise NotARecord(
            f"{source}: there is no such file; name one with --history, or leave it out"
        ) from None
    except OSError as error:
        raise NotARecord(f"{source}: it cannot be read: {error.strerror or error}") from None
    if not found.tasks:
        first = f", first: line {found.broken[0].line}, {found.broken[0].why}" if found.broken else ""
        raise NotARecord(
            f"{source}: there is no record in it{first}; a record is one JSON object on one line, as the "
            "cloud writes it"
        )
    return found


def _lines(file: BinaryIO, records: bool, step: Callable[[int], None]) -> Lines:
    found = Lines([], [])
    functions: dict[Function, Function] = {}
    for number, line in enumerate(file, 1):
        step(len(line))
        text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
        if not text:
            continue
        try:
            record = parse_record(parse_json(text))
            if record.function is None:
                what = "it needs serviceName and functionName, or functionArn in FC 3.0"
                raise NotARecord(f"it names no function; {what}")
        except NotARecord as error:
            found.broken.append(BrokenLine(number, str(error)))
            continue
        # One object for each function, however many tasks it has.
        function = functions.setdefault(record.function, record.function)
        task = record._replace(fields=_in_order(record.fields)).task(function)
        found.tasks.append(task if records else task._replace(record=None))
    return found


def _in_order(record: dict[str, Any]) -> dict[str, Any]:
    """*record* with its dated events in the order of time."""
    events = record.get("events")
    if isinstance(events, list) and len(events) > 1 and all(isinstance(event, dict) for event in events):
        order = [(read_moment(event.get("timestamp")), _number(event.get("eventId"))) for event in events]
        if all(at is not None for at, _ in order):
            places = sorted(range(len(events)), key=order.__getitem__)
            return {**record, "events": [events[place] for place in places]}
    return record


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


# The cloud.


class Refused(NamedTuple):
    """What could not be asked: a function, the list of functions, or one task."""

    what: str
    error: CloudError


@dataclass
class Listed:
    """What the cloud still knows.

    `taken` is the moment at which the first page of unfinished tasks was true. `answered` says whether any
    page was read, with tasks or without.
    """

    tasks: list[Task] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unmatched: list[Target] = field(default_factory=list)
    taken: Millis | None = None
    answered: bool = False


@dataclass(frozen=True)
class Listing:
    """What to list: the tasks of *targets*, the unfinished ones first.

    *payloads* asks for payloads, *read* reads each task that is listed without dated events, *records* keeps
    what the cloud wrote. *save* receives each record, with the qualifier that it was found under.
    """

    targets: Sequence[Target]
    statuses: Sequence[Sequence[str]] = (UNFINISHED, FINISHED)
    payloads: bool = False
    read: bool = False
    records: bool = False
    save: Callable[[dict[str, Any]], None] | None = None
    step: Callable[[int], None] = lambda tasks: None


def list_tasks(
    listing: Listing, settings: Settings, credentials: Credentials, interrupted: Callable[[], bool]
) -> Listed:
    """List tasks from the cloud.

    Raises:
        KeyboardInterrupt: *interrupted* returned True.
    """
    cloud = connect(settings, credentials, "backtest", lambda operation: None, clock=SYSTEM_CLOCK)
    pool = Pool(settings.threads, SYSTEM_CLOCK, interrupted)
    history = _History(cloud, pool, listing, settings.may_refuse)
    try:
        history.run()
    finally:
        pool.close()
        cloud.close()
    if interrupted():
        raise KeyboardInterrupt
    return history.listed


class _History:
    def __init__(
        self, cloud: AsyncTaskClient, pool: Pool, listing: Listing, may_refuse: frozenset[str]
    ) -> None:
        self.listed = Listed()
        self._cloud, self._pool, self._listing = cloud, pool, listing
        self._until = SYSTEM_CLOCK.monotonic() + _DAY
        self._lister = Lister(cloud, pool, until=self._until, may_refuse=may_refuse)

    def run(self) -> None:
        functions = self._functions()
        # Those that may still change first: a task that ends meanwhile is then seen twice, and none never.
        for statuses in self._listing.statuses:
            pairs = [(function, status) for function in functions for status in statuses]
            self._list(Query(*pair, payload=self._listing.payloads) for pair in pairs)

    def _functions(self) -> list[Function]:
        patterns = [target for target in self._listing.targets if target.needs_discovery]
        found = {target.literal(): None for target in self._listing.targets if not target.needs_discovery}
        known: list[Function] = []
        for services in sorted({target.service is not None for target in patterns}):
            try:
                known += list_functions(self._cloud, self._pool, services=services, until=self._until)
            except CloudError as error:
                self._refuse(f"the functions of FC {'2.0' if services else '3.0'}", error)
                patterns = [target for target in patterns if (target.service is not None) != services]
        for target in patterns:
            fitting = [function for function in known if target.fits(function)]
            found.update(dict.fromkeys(fitting))
            if not fitting:
                self.listed.unmatched.append(target)
        return list(found)

    def _list(self, queries: Iterable[Query]) -> None:
        for query, answer, task in self._lister.each(queries):
            if isinstance(answer, Page):
                self._take(query, answer)
            elif isinstance(answer, Snapshot):
                self._keep(answer.task)
            elif answer.out_of_time:
                continue
            elif task is None:
                self._refuse(str(query.function), answer)
            else:
                # What the list said of it stands; that it has no dated events will be counted.
                self._keep(task)
                if not answer.missing:
                    self._refuse(f"{task.invocation_id} of {task.function}", answer)

    def _take(self, query: Query, page: Page) -> None:
        self.listed.answered = True
        if query.status in UNFINISHED:
            self.listed.taken = min(page.moment, self.listed.taken or page.moment)
        for task in page.tasks:
            if self._listing.read and not task.events:
                self._lister.read(query, task)
            else:
                self._keep(task)

    def _keep(self, task: Task) -> None:
        record = dict(task.record or {})
        if not self._listing.payloads:  # reading a task by itself brings them along
            record = {name: value for name, value in record.items() if name not in PAYLOADS}
        if self._listing.save is not None:
            self._listing.save({**record, "qualifier": task.function.qualifier})
        self._listing.step(1)
        kept = _in_order(record) if self._listing.records else None
        self.listed.tasks.append(task._replace(record=kept))

    def _refuse(self, what: str, error: CloudError) -> None:
        if not any(one.what == what for one in self.listed.refused):
            self.listed.refused.append(Refused(what, error))
