"""Where `backtest` and `diff` get their history from: a file, or the cloud."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from fc_reaper.backtest.history import History, Sifted, sift
from fc_reaper.backtest.replay import ReplayOptions, run_by_timer
from fc_reaper.cli.output import CommandError, console, interruptible
from fc_reaper.cli.planning.planfile import iso
from fc_reaper.cli.replaying.history_cloud import Fetched, Refused, Wish, fetch
from fc_reaper.cli.replaying.history_file import Broken, Saver, read_file, size_of, spoken
from fc_reaper.cloud.records import read_moment
from fc_reaper.errors import CloudError
from fc_reaper.models import Exit, Millis
from fc_reaper.policy import PolicyFile, parse_duration
from fc_reaper.policy.duration import NotADuration
from fc_reaper.rules.target import Target
from fc_reaper.settings import Settings, refuse_foreign_targets
from fc_reaper.sweep.rulebook import is_ourselves

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Given:
    """The options about the history and the moments of the replay, as they were typed."""

    history: str | None = None
    read: bool = False
    save: str | None = None
    interval: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass
class Loaded:
    """A history with all that could not be used of it. `payloads` says whether payloads were asked for."""

    source: str
    history: History
    sifted: Sifted
    broken: list[Broken] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unmatched: list[Target] = field(default_factory=list)
    saved: str | None = None
    saved_records: int = 0
    payloads: bool = False

    @property
    def exit(self) -> Exit:
        """DONE where everything was read; ATTENTION where something of the history is lacking."""
        return Exit.ATTENTION if self.refused or self.broken else Exit.DONE


def load_history(
    given: Given, files: Sequence[PolicyFile], settings: Settings, env: Mapping[str, str]
) -> Loaded:
    """The history that the options name, as far as *files* need it.

    Raises:
        CommandError: the options do not go together, or there is no record to be had.
        SettingsError: the cloud is needed, and a setting for it is missing.
    """
    _refuse(given)
    expressions = [one for file in files for one in _expressions(file)]
    if given.history is not None:
        return _from_file(given.history, with_records=bool(expressions))
    targets = list(dict.fromkeys(target for file in files for target in _targets(file)))
    if not targets:
        raise CommandError("no timer runs any of these policies, so there is nothing to replay")
    for file in files:
        refuse_foreign_targets(settings, file)
    return _from_cloud(given, targets, settings, env, expressions)


def read_terms(given: Given, settings: Settings) -> ReplayOptions:
    """How the history is replayed, from the options and the settings.

    Raises:
        CommandError: an option cannot be read.
    """
    ourselves = settings.ourselves
    terms = ReplayOptions(
        interval=settings.interval if given.interval is None else _length("--interval", given.interval),
        since=None if given.since is None else _moment("--since", given.since),
        until=None if given.until is None else _moment("--until", given.until),
        started_time=settings.started_time,
        own_function=lambda function: ourselves is not None and is_ourselves(function, ourselves),
    )
    if terms.since is not None and terms.until is not None and terms.since > terms.until:
        raise CommandError("--since is later than --until, so that nothing lies between them; exchange them")
    return terms


def refuse_outside(terms: ReplayOptions, history: History) -> None:
    """Refuse a replay of moments of which the history knows nothing.

    Raises:
        CommandError: --since is beyond its end, or --until before its beginning.
    """
    if not history.tasks:
        return
    option = ""
    if terms.since is not None and terms.since > history.end:
        option = f"--since is {iso(terms.since)}"
    elif terms.until is not None and terms.until < history.begin:
        option = f"--until is {iso(terms.until)}"
    if option:
        span = f"{iso(history.begin)} to {iso(history.end)}"
        raise CommandError(f"{option}, outside the history, which tells of {span}; choose moments in between")


def _refuse(given: Given) -> None:
    if given.history is not None and (given.read or given.save is not None):
        option = "--read" if given.read else "--save"
        raise CommandError(f"{option} is about the cloud's records; leave it out, or leave out --history")


def _from_file(name: str, *, with_records: bool) -> Loaded:
    with counting("Reading the history", size_of(name)) as more:
        lines = read_file(name, with_records=with_records, read=more)
    sifted = sift(lines.tasks)
    return Loaded(spoken(name), History(tuple(sifted.tasks), sifted.latest), sifted, lines.broken)


def _from_cloud(
    given: Given,
    targets: Sequence[Target],
    settings: Settings,
    env: Mapping[str, str],
    expressions: Sequence[Any],
) -> Loaded:
    payload = any(one.needs_payload for one in expressions)
    with ExitStack() as stack:
        saver = None if given.save is None else stack.enter_context(Saver(given.save))
        interrupted = stack.enter_context(interruptible())
        more = stack.enter_context(counting("Listing the tasks", None))
        wish = Wish(targets, payload, given.read, bool(expressions), saver)
        fetched = fetch(wish, settings, env, interrupted=interrupted.is_set, seen=more)
        if fetched.refused and not fetched.answered:
            raise _unreachable(fetched)
    sifted = sift(fetched.tasks)
    history = History(tuple(sifted.tasks), sifted.latest if fetched.taken is None else fetched.taken)
    loaded = Loaded("the cloud", history, sifted, [], fetched.refused, fetched.unmatched)
    loaded.saved, loaded.payloads = given.save, payload
    loaded.saved_records = 0 if saver is None else saver.lines
    return loaded


def _unreachable(fetched: Fetched) -> CloudError:
    """Nothing at all could be listed, so that no file is saved either."""
    what, error = fetched.refused[0]
    return CloudError(f"{what}: {error.detail}", http_status=error.http_status, error_code=error.error_code)


def _expressions(file: PolicyFile) -> Iterator[Any]:
    for matcher in file.exempt:
        yield from matcher.expressions
    for policy in file.policies:
        if run_by_timer(policy):
            yield from policy.expressions


def _targets(file: PolicyFile) -> Iterator[Target]:
    return (target for policy in file.policies if run_by_timer(policy) for target in policy.targets)


def _length(option: str, text: str) -> Millis:
    try:
        return parse_duration(text)
    except NotADuration as error:
        raise CommandError(f"{option}: {error}") from None


def _moment(option: str, text: str) -> Millis:
    moment = read_moment(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    if moment is None:
        raise CommandError(
            f"{option} is {text!r}; write a day such as 2026-05-01 (UTC), a moment with its zone such as "
            "2026-05-01T12:00:00Z, or epoch milliseconds"
        )
    return moment


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while the block runs, if that is a terminal; yields whom to tell of steps."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(show_speed=True))
    with Progress(*columns, TimeRemainingColumn(), console=console(sys.stderr), transient=True) as shown:
        bar = shown.add_task(what, total=total)
        yield lambda more: shown.advance(bar, more)
