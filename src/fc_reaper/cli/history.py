"""The history that `backtest`, `diff` and `approve` replay: its source, and what was left out of it."""

import inspect
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from inspect import Parameter
from typing import Annotated, Any, NamedTuple

from typer import Option

from fc_reaper.backtest.history import BrokenLine, History, Tasks, make_history
from fc_reaper.backtest.replay import ReplayOptions, replay, run_by_timer
from fc_reaper.backtest.source import Listing, only, read_file, to_be_saved
from fc_reaper.backtest.stats import Found, Replay
from fc_reaper.cli import output
from fc_reaper.cli.app import Command, parse_length, parse_moment, with_options
from fc_reaper.cli.output import CommandError, counted
from fc_reaper.models import Exit, Millis, iso
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.duration import spell_duration
from fc_reaper.rules.expression import RAW_PAYLOADS, Expression
from fc_reaper.settings import Context, Settings, read_credentials, refuse_targets
from fc_reaper.sweep.report import total
from fc_reaper.sweep.savings import Configurations, amounts
from fc_reaper.sweep.scope import is_own

_Text = str | None

_SHOWN = 5


def minute(moment: Millis) -> str:
    """A moment in UTC for a table."""
    return iso(moment)[:16].replace("T", " ")


class Past(NamedTuple):
    """A history, and which runs are replayed over it."""

    history: History
    runs: ReplayOptions

    def replay(self, file: PolicyFile) -> Replay:
        """Replay the history, with a progress bar on a terminal."""
        with output.progress("Replaying", len(self.runs.ticks(self.history))) as step:
            return replay(self.history, file, self.runs, step)

    def headline(self, replayed: Replay | None) -> Iterator[str]:
        """What was read, and how often a timer would have run."""
        history = self.history
        span = f" from {minute(history.begin)} to {minute(history.end)} UTC" if history.tasks else ""
        records, tasks = counted(history.records, "record"), counted(len(history.tasks), "task")
        yield f"{history.source}: {records}, {tasks} to be replayed{span}."
        if replayed is not None and replayed.ticks:
            every, times = spell_duration(replayed.ticks.step), counted(len(replayed.ticks), "time")
            yield f"A timer every {every} would have run {times}."

    def saved(self, stops: Sequence[Found]) -> dict[str, Any]:
        """The sums of what *stops* would have saved; of one that succeeded, nothing."""
        found, pairs = self.history.configurations, ((one.task.function, one.saved / 1000) for one in stops)
        return total([amounts(on, found.get(on, {}), seconds) for on, seconds in pairs])

    def left_out(self, replays: Iterable[tuple[str, Replay]]) -> Iterator[str]:
        """What was left out, and why; the names of *replays* tell several apart."""
        history = self.history
        broken = [f"line {one.line}: {one.why}" for one in history.broken_lines]
        at_odds = [f"{one.invocation_id}: {one.inconsistency}" for one in history.contradicting]
        found: list[tuple[str, int, Sequence[str]]] = [
            ("Lines that are no record", len(broken), broken),
            ("Records without dated events, not replayed", history.undated, ["--read asks for each"]),
            ("Records that contradict themselves, not replayed", len(at_odds), at_odds),
            ("Records of a task that has a more complete one", history.repeated, ()),
            ("Tasks with more retries than dated events show", history.retried_more_than_told, ()),
            ("Targets that fit no function in task mode", len(history.unmatched), history.unmatched),
        ]
        for name, replayed in replays:
            of, unseen = f" of {name}" if name else "", replayed.unseen
            found.append((f"Tasks outside the replayed targets{of}", replayed.outside, ()))
            found.append((f"Targets{of} without a task in the history", len(unseen), unseen))
            others = [f"{one.name}: {' or '.join(one.triggers)}" for one in replayed.not_replayed]
            found.append((f"Policies{of} that no timer runs, not replayed", len(others), others))
            whys = [why for why, _ in replayed.unknown.most_common()]
            what = f"Tasks that {name or 'the policy'} could not decide"
            found.append((what, replayed.unknown.total(), whys))
        for what, number, reasons in found:
            why = "; ".join([*reasons[:_SHOWN], *(["..."] if len(reasons) > _SHOWN else [])])
            yield from [f"{what}: {number:,}{f' ({why})' if why else ''}."] if number else []
        if history.saved is not None:
            yield f"{history.saved}: {counted(history.records, 'record')}, for --history."

    def print_refused(self) -> Exit:
        """Write to standard error what the cloud refused; ATTENTION where some of the history is missing."""
        refused = self.history.not_listed
        lines = [f"not listed: {what}: {output.refusal(error)}" for what, error in refused.items()]
        lines[20:] = [f"and {len(lines) - 20:,} more"] if len(lines) > 20 else []
        output.print_error(*lines, *output.advice_for(refused.values()))
        return Exit.ATTENTION if refused or self.history.broken_lines else Exit.DONE


def with_history_options(*names: str) -> Callable[[Command], Command]:
    """Give a command those keywords of `load_past` as options (default: all) for its `**options`."""
    keywords = inspect.signature(load_past).parameters.values()
    given = [one for one in keywords if one.kind is Parameter.KEYWORD_ONLY]
    options = [one for one in given if not names or one.name in names]
    return lambda command: with_options(command, options)


def load_past(
    files: Sequence[PolicyFile],
    settings: Settings,
    env: Mapping[str, str],
    *,
    history: Annotated[_Text, Option(metavar="FILE", help="JSON records; default: the cloud's.")] = None,
    read: Annotated[bool, Option("--read", help="Read each task that is listed without events.")] = False,
    save: Annotated[_Text, Option(metavar="FILE", help="Write the records to a new file.")] = None,
    interval: Annotated[_Text, Option(metavar="TIME", help="Time between runs; REAPER_INTERVAL, 5m.")] = None,
    since: Annotated[_Text, Option(metavar="TIME", help="First run: 2026-05-01 or ISO 8601.")] = None,
    until: Annotated[_Text, Option(metavar="TIME", help="Last run: 2026-05-01 or ISO 8601.")] = None,
) -> Past:
    """Load the history, from the file *history* or from the cloud, as far as *files* need it.

    Its keywords are options of the commands (`with_history_options`). CommandError if they cannot be read or
    leave no run, NotARecord if the file holds no record, CloudError if nothing at all could be listed.
    """
    if history is not None and (read or save is not None):
        option = "--read" if read else "--save"
        raise CommandError(f"{option} is about the cloud's records; leave it out, or leave out --history")
    runs = ReplayOptions(
        interval=settings.interval if interval is None else parse_length("--interval", interval),
        since=parse_moment("--since", since),
        until=parse_moment("--until", until),
        started_time=settings.started_time,
        own_function=lambda function: is_own(function, settings.ourselves),
    )
    policies = [policy for file in files for policy in file.policies if run_by_timer(policy)]
    expressions = [one for file in files for matcher in file.exempt for one in matcher.expressions]
    expressions += [one for policy in policies for one in policy.expressions]
    expressions += [policy.owner for policy in policies if isinstance(policy.owner, Expression)]
    payloads = any(one.needs_payload for one in expressions)
    reads = {root for one in expressions for root in (*one.roots, *(RAW_PAYLOADS if payloads else ()))}
    configurations: Configurations = {}
    if history is not None:
        source, broken = "standard input" if history == "-" else history, list[BrokenLine]()
        with output.progress("Reading the history"):
            tasks = Tasks(only(reads, task) for task in read_file(history, broken, configurations))
        past = make_history(tasks, source=source, broken_lines=broken, configurations=configurations)
    elif policies:
        for file in files:
            refuse_targets(settings, file, enforce=False)
        targets = dict.fromkeys(target for policy in policies for target in policy.targets)
        listing = Listing(targets, payload=payloads, read=read, known=configurations)
        tasks = _from_cloud(listing, reads, save, settings, env)
        known = {"saved": save, "not_listed": listing.refused, "unmatched": listing.unmatched}
        past = make_history(tasks, listing.taken, source="the cloud", configurations=configurations, **known)
    else:
        raise CommandError("no timer runs any of these policies, so there is nothing to replay")
    if past.tasks and (since or until) and not runs.ticks(past):
        span = f"{iso(past.begin)} to {iso(past.end)}"
        raise CommandError(f"no run from --since to --until lies in the history, which is of {span}")
    return Past(past, runs)


def _from_cloud(
    listing: Listing, reads: Collection[str], save: str | None, settings: Settings, env: Mapping[str, str]
) -> Tasks:
    if save is not None and os.path.lexists(save):
        raise CommandError(f"{save}: the file exists, and a history is not overwritten; choose another name")
    tasks, keys = Tasks(), read_credentials(env, Context())
    with (
        nullcontext() if save is None else output.new_file(save) as file,
        output.progress("Listing the tasks") as step,
        output.interruptible() as interrupted,
    ):
        for task in listing.tasks(settings, keys, interrupted.is_set):
            step(1)
            tasks.append(only(reads, task))
            if file is not None:
                saved = to_be_saved(task.record or {}, payload=listing.payload)
                saved["qualifier"] = task.function.qualifier
                print(json.dumps(saved, separators=(",", ":")), file=file)
        for function, facts in (listing.known or {}).items():
            if file is not None and "memorySize" in facts:
                named = dict(zip(("serviceName", "functionName", "qualifier"), function, strict=True))
                print(json.dumps({**named, **facts}, separators=(",", ":")), file=file)
        if listing.refused and not listing.answered:  # then there is nothing to save, either
            raise next(iter(listing.refused.values()))
    return tasks
