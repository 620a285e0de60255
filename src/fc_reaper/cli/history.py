"""The history that `backtest`, `diff` and `approve` replay: its source, and what was left out of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import NamedTuple

from fc_reaper.backtest.history import History, Sifted, sift
from fc_reaper.backtest.replay import ReplayOptions, replay, run_by_timer
from fc_reaper.backtest.source import BrokenLine, Listing, Refused, list_tasks, read_file
from fc_reaper.backtest.stats import Replay
from fc_reaper.cli.app import parse_length, parse_moment
from fc_reaper.cli.output import (
    CommandError,
    advice_for,
    check_writable,
    counted,
    interruptible,
    new_file,
    print_error,
    printable,
    progress_bar,
)
from fc_reaper.clock import iso
from fc_reaper.errors import CloudError
from fc_reaper.models import Exit, Millis
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.duration import spell_duration
from fc_reaper.rules.target import Target
from fc_reaper.settings import Context, Settings, read_credentials, refuse_foreign_targets
from fc_reaper.sweep.scope import is_own

_SHOWN = 5


class HistoryOptions(NamedTuple):
    """The options about the history and the runs that are replayed, as they were typed."""

    history: str | None = None
    read: bool = False
    save: str | None = None
    interval: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass
class Loaded:
    """A history, and all that could not be used of it. `payloads` says whether they were asked for."""

    source: str
    history: History
    sifted: Sifted
    broken: list[BrokenLine] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unmatched: list[Target] = field(default_factory=list)
    saved: str | None = None
    payloads: bool = False

    @property
    def begin(self) -> Millis | None:
        """The first moment of the history, None without a task."""
        return self.history.begin if self.history.tasks else None

    @property
    def end(self) -> Millis | None:
        """The last moment of the history, None without a task."""
        return self.history.end if self.history.tasks else None

    @property
    def exit(self) -> Exit:
        """ATTENTION where something of the history is missing."""
        return Exit.ATTENTION if self.refused or self.broken else Exit.DONE


# Loading and replaying.


def load_history(
    options: HistoryOptions, files: Sequence[PolicyFile], settings: Settings, env: Mapping[str, str]
) -> Loaded:
    """Load the history that the options name, as far as *files* need it.

    Raises:
        CommandError: the options do not go together.
        NotARecord: the file holds no record.
        SettingsError: the cloud is needed, and a setting for it is missing.
        CloudError: nothing at all could be listed.
    """
    if options.history is not None and (options.read or options.save is not None):
        option = "--read" if options.read else "--save"
        raise CommandError(f"{option} is about the cloud's records; leave it out, or leave out --history")
    policies = [policy for file in files for policy in file.policies if run_by_timer(policy)]
    expressions = [one for file in files for matcher in file.exempt for one in matcher.expressions]
    expressions += [one for policy in policies for one in policy.expressions]
    if options.history is not None:
        return _from_file(options.history, records=bool(expressions))
    if not policies:
        raise CommandError("no timer runs any of these policies, so there is nothing to replay")
    for file in files:
        refuse_foreign_targets(settings, file)
    targets = list(dict.fromkeys(target for policy in policies for target in policy.targets))
    payloads = any(one.needs_payload for one in expressions)
    listing = Listing(targets, payloads=payloads, read=options.read, records=bool(expressions))
    return _from_cloud(options.save, listing, settings, env)


def _from_file(name: str, *, records: bool) -> Loaded:
    size = None
    with suppress(OSError):
        size = None if name == "-" else os.stat(name).st_size
    with progress_bar("Reading the history", size) as step:
        lines = read_file(name, records=records, step=step)
    sifted = sift(lines.tasks)
    source = "standard input" if name == "-" else name
    return Loaded(source, History(tuple(sifted.tasks), sifted.latest), sifted, lines.broken)


def _from_cloud(save: str | None, listing: Listing, settings: Settings, env: Mapping[str, str]) -> Loaded:
    if save is not None and os.path.lexists(save):
        raise CommandError(f"{save}: the file exists, and a history is not overwritten; choose another name")
    with ExitStack() as stack:
        write = None
        if save is not None:
            check_writable(save)
            file = stack.enter_context(new_file(save, private=True))
            write = lambda record: print(json.dumps(record, separators=(",", ":")), file=file)  # noqa: E731
        interrupted = stack.enter_context(interruptible())
        step = stack.enter_context(progress_bar("Listing the tasks", None))
        listing = replace(listing, save=write, step=step)
        listed = list_tasks(listing, settings, read_credentials(env, Context()), interrupted.is_set)
        if listed.refused and not listed.answered:  # then there is nothing to save, either
            what, error = listed.refused[0]
            why = f"{what}: {error.detail}"
            raise CloudError(why, http_status=error.http_status, error_code=error.error_code)
    sifted = sift(listed.tasks)
    history = History(tuple(sifted.tasks), sifted.latest if listed.taken is None else listed.taken)
    return Loaded("the cloud", history, sifted, [], listed.refused, listed.unmatched, save, listing.payloads)


def replay_options(options: HistoryOptions, settings: Settings) -> ReplayOptions:
    """How the history is replayed.

    Raises:
        CommandError: an option cannot be read.
    """
    own = settings.ourselves
    since, until = parse_moment("--since", options.since), parse_moment("--until", options.until)
    if since is not None and until is not None and since > until:
        raise CommandError("--since is later than --until, so that nothing lies between them; exchange them")
    return ReplayOptions(
        interval=settings.interval
        if options.interval is None
        else parse_length("--interval", options.interval),
        since=since,
        until=until,
        started_time=settings.started_time,
        own_function=lambda function: is_own(function, own),
    )


def replay_file(file: PolicyFile, loaded: Loaded, options: ReplayOptions) -> Replay:
    """Replay the history, with a progress bar on a terminal.

    Raises:
        CommandError: the runs to replay lie outside the history.
    """
    history, option = loaded.history, ""
    if options.since is not None and options.since > history.end:
        option = f"--since is {iso(options.since)}"
    elif options.until is not None and options.until < history.begin:
        option = f"--until is {iso(options.until)}"
    if option and history.tasks:
        span = f"{iso(history.begin)} to {iso(history.end)}"
        raise CommandError(f"{option}, outside the history of {span}; choose moments in between")
    with progress_bar("Replaying", len(history.tasks)) as step:
        return replay(history, file, options, step)


# In words.


def minute(moment: Millis) -> str:
    """A moment in UTC for a table."""
    return datetime.fromtimestamp(moment / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M")


def headline(loaded: Loaded, replayed: Replay | None) -> Iterator[str]:
    """What was read, and how often a timer would have run."""
    history = loaded.history
    span = f" from {minute(history.begin)} to {minute(history.end)} UTC" if history.tasks else ""
    records, tasks = counted(loaded.sifted.records, "record"), counted(len(history.tasks), "task")
    yield f"{printable(loaded.source)}: {records}, {tasks} to be replayed{span}."
    if replayed is not None and replayed.runs:
        times = counted(replayed.runs, "time")
        yield f"A timer every {spell_duration(replayed.interval)} would have run {times}."


def left_out(loaded: Loaded, replays: Iterable[tuple[str, Replay]]) -> Iterator[str]:
    """What was left out, and why; the names of *replays* tell several apart."""
    sifted, broken = loaded.sifted, [f"line {one.line}: {one.why}" for one in loaded.broken]
    inconsistent = [f"{task.invocation_id}: {why}" for task, why in sifted.inconsistent]
    found: list[tuple[str, int, str]] = [
        ("Lines that are no record", len(broken), _first(broken)),
        ("Records without dated events, not replayed", sifted.undated, "; --read asks the cloud for each"),
        ("Records that contradict themselves, not replayed", len(inconsistent), _first(inconsistent)),
        ("Records of a task that has a more complete one", sifted.repeated, ""),
        ("Tasks with more retries than dated events show", sifted.unseen_retries, ""),
    ]
    for name, replayed in replays:
        of = f" of {name}" if name else ""
        found.append((f"Tasks outside the targets{of}", replayed.outside, ""))
        for policy in replayed.not_replayed:
            yield f"{policy.name}{of} was not replayed: only {' or '.join(policy.triggers)} runs it."
        for one in replayed.policies:
            (why, _), *others = [*one.unknown_why.most_common(2), ("", 0)]
            more = ", among other reasons" if len(others) > 1 else ""
            remedy = "; if payloads were not saved, save them with this policy" if "payload" in why else ""
            undecided = f"Tasks that {one.policy.name}{of} could not decide"
            found.append((undecided, one.unknown, f" ({why}{more}){remedy}"))
    yield from (printable(f"{what}: {number}{more}.") for what, number, more in found if number)
    if loaded.unmatched:
        targets = ", ".join(map(str, loaded.unmatched))
        yield printable(f"Targets that fit no function in task mode: {targets}.")
    if loaded.saved is not None:
        payloads = "with" if loaded.payloads else "without"
        saved = counted(sifted.records, "record")
        yield printable(f"{loaded.saved}: {saved} {payloads} payloads, for --history.")


def _first(items: Sequence[str]) -> str:
    more = f"; and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f" ({'; '.join(items[:_SHOWN])}{more})"


def print_refused(loaded: Loaded) -> None:
    """Write to standard error what the cloud refused, and what to check."""
    for what, error in loaded.refused[:20]:
        status = "no answer" if error.http_status is None else f"HTTP {error.http_status}"
        print_error(f"not listed: {what}: {status}, {error.error_code}: {error.detail[:160]}")
    if len(loaded.refused) > 20:
        print_error(f"and {len(loaded.refused) - 20} more")
    print_error(*advice_for(error for _, error in loaded.refused))
