"""A history from the cloud: all that it still knows of the tasks of some targets. Stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from fc_reaper.cli.replaying.history_file import PAYLOADS, Saver, records_of
from fc_reaper.clock import SYSTEM_CLOCK, Deadline
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.models import FINISHED, UNFINISHED, Function, Millis, Page, Snapshot, Task
from fc_reaper.rules.target import Target
from fc_reaper.settings import Context, Settings, connect, read_credentials
from fc_reaper.sweep.discovery import existing
from fc_reaper.sweep.pool import Pool, Work
from fc_reaper.sweep.ports import Cloud

_PATIENCE = 86_400.0
"""Seconds: a long history takes its time, and Ctrl-C ends it."""


class Wish(NamedTuple):
    """What is wanted of the cloud.

    *payload* asks for payloads, *read* reads by itself each task whose list entry has no dated events,
    *records* keeps what the cloud wrote. *saver* is given every record.
    """

    targets: Sequence[Target]
    payload: bool
    read: bool
    records: bool
    saver: Saver | None


class Refused(NamedTuple):
    """What could not be asked: a function, a generation, or one task."""

    what: str
    error: CloudError


class Fetched:
    """What came of it.

    `taken` is the moment at which the first page of unfinished tasks was true. `answered` says whether any
    page was, with tasks or without.
    """

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.refused: list[Refused] = []
        self.unmatched: list[Target] = []
        self.functions: list[Function] = []
        self.taken: Millis | None = None
        self.answered = False


def fetch(
    wish: Wish,
    settings: Settings,
    env: Mapping[str, str],
    *,
    interrupted: Callable[[], bool],
    seen: Callable[[int], None] = lambda count: None,
) -> Fetched:
    """List every task of the targets, unfinished ones first; *seen* is told how many more there are.

    Raises:
        KeyboardInterrupt: *interrupted* answered true.
    """
    cloud = connect(settings, read_credentials(env, Context()), "backtest", lambda operation: None)
    hands = min(settings.concurrency, max(1, int(settings.rate[0] / settings.rate[1])))
    crew = Pool(hands, SYSTEM_CLOCK, interrupted)
    may_refuse = frozenset(("Dequeued",) if settings.api_version == "2021-04-06" else ())
    fetcher = _Fetcher(cloud, crew, wish, may_refuse, seen)
    try:
        fetcher.run()
    finally:
        crew.dismiss()
        cloud.close()
    if interrupted():
        raise KeyboardInterrupt
    return fetcher.fetched


class _Fetcher:
    def __init__(
        self, cloud: Cloud, crew: Pool, wish: Wish, may_refuse: frozenset[str], seen: Callable[[int], None]
    ) -> None:
        self.fetched = Fetched()
        self._cloud, self._crew, self._wish, self._seen = cloud, crew, wish, seen
        self._may_refuse = may_refuse
        self._until: Deadline = SYSTEM_CLOCK.monotonic() + _PATIENCE
        self._dead: set[Function] = set()

    def run(self) -> None:
        functions = self._functions()
        self.fetched.functions = functions
        # Those that may still change first: whoever ends meanwhile is then seen twice, and nobody never.
        for statuses in (UNFINISHED, FINISHED):
            self._list(functions, statuses)

    def _functions(self) -> list[Function]:
        patterns = [target for target in self._wish.targets if target.needs_discovery]
        found = {target.literal(): None for target in self._wish.targets if not target.needs_discovery}
        known: list[Function] = []
        for services in sorted({target.service is not None for target in patterns}):
            try:
                known += existing(self._cloud, self._crew, services=services, until=self._until)
            except CloudError as error:
                what = f"the functions of {'FC 2.0' if services else 'FC 3.0'}"
                self.fetched.refused.append(Refused(what, error))
                patterns = [target for target in patterns if (target.service is not None) != services]
        for target in patterns:
            fitting = [function for function in known if target.fits(function)]
            found.update(dict.fromkeys(fitting))
            if not fitting:
                self.fetched.unmatched.append(target)
        return list(found)

    def _list(self, functions: Iterable[Function], statuses: Sequence[str]) -> None:
        work: Work[tuple[Function, str, str | None], Page | None] = Work()
        turns: set[tuple[Function, str, str]] = set()
        for function in functions:
            for status in statuses:
                work.add((function, status, None), partial(self._page, function, status, None))
        unread: list[Task] = []
        for done in self._crew.each(work, self._until):
            function, status, _ = done.tag
            try:
                page = done.result()
            except TimeoutError:
                return
            except (CloudError, InvalidName) as error:
                self._failed(function, status, error)
                continue
            if page is None:
                continue
            self._take(page, status, unread)
            if page.token is not None and (function, status, page.token) in turns:
                circle = CloudError("the listing leads in circles", error_code="UnreadableAnswer")
                self._failed(function, status, circle)
            elif page.token is not None:
                turns.add((function, status, page.token))
                tag = (function, status, page.token)
                work.add(tag, partial(self._page, *tag))
        self._read(unread)

    def _page(self, function: Function, status: str, token: str | None) -> Page | None:
        if function in self._dead:
            return None
        payload = self._wish.payload
        return self._cloud.list_page(
            function, status=status, token=token, include_payload=payload, deadline=self._until
        )

    def _take(self, page: Page, status: str, unread: list[Task]) -> None:
        self.fetched.answered = True
        if status in UNFINISHED and (self.fetched.taken is None or page.moment < self.fetched.taken):
            self.fetched.taken = page.moment
        read = [task for task in page.tasks if not (self._wish.read and not task.events)]
        unread += [task for task in page.tasks if self._wish.read and not task.events]
        self._keep(read)

    def _keep(self, tasks: Sequence[Task]) -> None:
        if self._wish.saver is not None:
            self._wish.saver.save(records_of(tasks, with_payload=self._wish.payload))
        self._seen(len(tasks))
        for task in tasks:
            record = _ordered(task.record) if self._wish.records else None
            self.fetched.tasks.append(task._replace(record=record))

    def _read(self, tasks: Sequence[Task]) -> None:
        work: Work[Task, Snapshot] = Work()
        for task in tasks:
            get = partial(self._cloud.get, task.function, task.invocation_id, deadline=self._until)
            work.add(task, get)
        for done in self._crew.each(work, self._until):
            try:
                self._keep([self._without_payload(done.result().task)])
            except TimeoutError:
                return
            except (CloudError, InvalidName) as error:
                # What the list said of it stands; that it has no dated events will be counted.
                self._keep([done.tag])
                if not (isinstance(error, CloudError) and error.missing):
                    what = f"{done.tag.invocation_id} of {done.tag.function}"
                    self.fetched.refused.append(Refused(what, _as_cloud_error(error)))

    def _without_payload(self, task: Task) -> Task:
        if self._wish.payload or task.record is None:
            return task
        return task._replace(record={k: v for k, v in task.record.items() if k not in PAYLOADS})

    def _failed(self, function: Function, status: str, error: CloudError | InvalidName) -> None:
        error = _as_cloud_error(error)
        refused = error.http_status == 400 and error.error_code == "InvalidArgument"
        if refused and function.service is not None and status in self._may_refuse:
            return
        if error.http_status == 403 or error.missing:
            self._dead.add(function)
        if not any(one.what == str(function) for one in self.fetched.refused):
            self.fetched.refused.append(Refused(str(function), error))


def _as_cloud_error(error: CloudError | InvalidName) -> CloudError:
    return error if isinstance(error, CloudError) else CloudError(str(error), error_code="InvalidName")


def _ordered(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    from fc_reaper.cli.replaying.history_file import in_order

    return None if record is None else in_order(dict(record))
