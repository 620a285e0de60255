"""`fc-reaper backtest`: what a policy would have stopped in the history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Option

from fc_reaper.backtest.history import OUTCOMES, Outcome
from fc_reaper.backtest.stats import PolicyReplay, Replay, Stop, Suggestion, suggest
from fc_reaper.cli.app import (
    Api,
    AsJson,
    Endpoint,
    History,
    Interval,
    PolicyFile,
    Read,
    Save,
    Since,
    Until,
    environment,
)
from fc_reaper.cli.chart import draw, drawn_policy
from fc_reaper.cli.history import (
    HistoryOptions,
    Loaded,
    headline,
    left_out,
    load_history,
    minute,
    print_refused,
    replay_file,
    replay_options,
)
from fc_reaper.cli.output import (
    BAD,
    STRONG,
    CommandError,
    check_writable,
    counted,
    dump,
    print_json,
    printable,
    short,
    show,
    table,
    write_file,
)
from fc_reaper.cli.replay_views import HistoryView, PolicyView, RunsView, SuggestionView
from fc_reaper.models import Millis
from fc_reaper.policy import PolicyFile as File
from fc_reaper.policy_files import read_policy
from fc_reaper.rules.duration import format_duration, spell_duration
from fc_reaper.settings import Context, Settings, read_settings

_SHOWN = 5

IN_TRUTH: dict[Outcome, str] = {
    "succeeded": "succeeded",
    "failed": "failed, expired or invalid",
    "censored": "stopped by somebody, so how it would have ended is unknown",
    "open": "still alive when the history ends",
    "unknown": "in an unknown status, so how it ended is unknown",
}
"""How a task ended in truth, in words."""


def backtest(
    policy: PolicyFile = None,
    history: History = None,
    read: Read = False,
    save: Save = None,
    interval: Interval = None,
    since: Since = None,
    until: Until = None,
    memory: Annotated[
        int | None,
        Option("--memory", metavar="MB", min=1, max=1_048_576, help="Function memory; adds GB-seconds."),
    ] = None,
    suggested: Annotated[
        bool, Option("--suggest", help="Also measure the tasks and suggest limits.")
    ] = False,
    svg: Annotated[
        str | None, Option("--svg", metavar="FILE", help="Draw lengths, limit and false stops.")
    ] = None,
    drawn: Annotated[
        str | None, Option("--draw", metavar="POLICY", help="Policy to draw; default: the first.")
    ] = None,
    force: Annotated[bool, Option("--force", help="Let --svg overwrite a file.")] = False,
    endpoint: Endpoint = None,
    api_version: Api = None,
    as_json: AsJson = False,
) -> int:
    """Show what the policy would have stopped in the history.

    And what became of these tasks. The history is a file of records, or all that the cloud still knows of the
    policy's targets. Stops nothing.

    \b
    Examples:
      fc-reaper backtest --history examples/history.jsonl --suggest
      fc-reaper backtest --save history.jsonl
    """
    if svg is not None:
        check_writable(svg, force=force)
    elif drawn is not None or force:
        option = "--force" if drawn is None else "--draw"
        raise CommandError(f"{option} is about the chart; add --svg FILE, or leave it out")
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version)
    settings = read_settings(env, Context())
    options = HistoryOptions(history, read, save, interval, since, until)
    runs = replay_options(options, settings)
    file = _policy(settings, needed=not suggested or bool(env.get("REAPER_POLICY")))
    if file is None and (history is None or svg is not None):
        raise CommandError(f"{settings.policy}: there is no such file; name a policy with --policy")
    to_draw = None if svg is None or file is None else drawn_policy(file, drawn)
    loaded = load_history(options, [] if file is None else [file], settings, env)
    replayed = None if file is None else replay_file(file, loaded, runs)
    if svg is not None and replayed is not None and to_draw is not None:
        write_file(svg, draw(loaded.history, replayed, to_draw, loaded.source), force=force)
    suggestions = _suggest(loaded, file) if suggested else None
    if as_json:
        print_json(_json(loaded, file, replayed, suggestions, memory))
    else:
        show(*headline(loaded, replayed))
        if replayed is not None and replayed.policies:
            show("", overview(replayed.policies, memory), "")
            show(*(line for one in replayed.policies for line in summary(one)))
        if suggestions is not None:
            show("", *_measures(suggestions))
        missing = list(left_out(loaded, [] if replayed is None else [("", replayed)]))
        if missing:
            show("", *missing)
        if svg is not None:
            show(f"{svg}: written.")
        if replayed is not None:
            show("Replayed, not run: what a stop would have changed for others is not in it.")
    print_refused(loaded)
    return loaded.exit


def _policy(settings: Settings, *, needed: bool) -> File | None:
    """The policy; None where there is none, and it is not *needed*."""
    if not needed and "\n" not in settings.policy and not (settings.folder / settings.policy).exists():
        return None
    return read_policy(settings)


def _suggest(loaded: Loaded, file: File | None) -> list[Suggestion]:
    """Measure the functions that the policies watch, whatever triggers these have; all without a policy."""
    tasks = loaded.history.tasks
    if file is not None:
        targets = {target for policy in file.policies for target in policy.targets}
        functions = {task.function for task in tasks}
        watched = {one for one in functions if any(target.fits(one) for target in targets)}
        return suggest(task for task in tasks if task.function in watched)
    return suggest(tasks)


# Tables.


def outcome_columns(counts: Iterable[Mapping[Outcome, int]]) -> list[Outcome]:
    """The outcomes that a table shows: `unknown` only where there is one, since it is rare."""
    rare = any(one.get("unknown") for one in counts)
    return [outcome for outcome in OUTCOMES if outcome != "unknown" or rare]


def overview(replays: Sequence[PolicyReplay], memory: int | None = None) -> Table:
    """One row for each policy that was replayed."""
    outcomes = outcome_columns(one.outcomes for one in replays)
    heads = ["policy", "would", "tasks", *outcomes, "saved", *(["GB-s"] if memory is not None else [])]
    rows: list[list[Text | str]] = []
    for one in replays:
        stops = one.policy.stops
        counts = [Text(str(one.outcomes[outcome])) for outcome in outcomes]
        if stops and one.outcomes["succeeded"]:
            counts[0].stylize(BAD)
        rows.append(
            [
                *(one.policy.name, "stop" if stops else "report", str(len(one.found)), *counts),
                format_duration(one.saved) if stops else "-",
                *([] if memory is None else [f"{_gb_seconds(one.saved, memory):,.0f}" if stops else "-"]),
            ]
        )
    return table(heads, rows, right=heads[2:])


def summary(one: PolicyReplay) -> Iterator[str | Text | Table]:
    """What there is to say of one policy, its worst false stops included."""
    name, found, held = one.policy.name, one.found, one.held_back
    does = "stopped" if one.policy.stops else "reported"
    if found:
        first, last = minute(found[0].at), minute(found[-1].at)
        when = f"at {first}" if len(found) == 1 else f"the first at {first}, the last at {last}"
        ends = [f"{one.outcomes[end]} {words}" for end, words in IN_TRUTH.items() if one.outcomes[end]]
        if one.policy.stops and one.outcomes["succeeded"]:
            ends[0] += f" in truth: {'a false stop' if one.outcomes['succeeded'] == 1 else 'false stops'}"
        yield f"{name} would have {does} {counted(len(found), 'task')}, {when} UTC: {'; '.join(ends)}."
    else:
        yield f"{name} would have {does} nothing."
    waited = {
        "waited for its budget": held["budget"],
        f"waited while it was halted ({counted(one.halted_runs, 'run')})": held["halted"],
        "were spared by holdout": held["holdout"],
        "were never stopped": max(0, one.due - len(one.stops) - held["holdout"]) if one.policy.stops else 0,
    }
    if any(waited.values()):
        due = ", ".join(f"{tasks} {what}" for what, tasks in waited.items() if tasks)
        yield f"Of {counted(one.due, 'task')} that would have been due by {name}, {due}."
    wrong = one.false_stops
    if wrong:
        yield Text(f"False stops of {name}, those that had run longest first:", BAD)
        yield _false_stops(wrong[:_SHOWN])
        if len(wrong) > _SHOWN:
            yield f"... and {len(wrong) - _SHOWN} more; --json names them all"


def _false_stops(stops: Iterable[Stop]) -> Table:
    rows = (
        (
            printable(stop.task.invocation_id),
            short(*stop.task.function),
            minute(stop.at),
            stop.verdict.rule or "-",
            _length(stop.verdict.age),
            _length(stop.verdict.limit),
            _length(max(0, stop.task.events[-1].at - stop.at)),
        )
        for stop in stops
    )
    heads = ("task", "function", "stopped at", "rule", "age", "limit", "done in")
    return table(heads, rows, right=("age", "limit", "done in"))


def _length(length: Millis | None) -> str:
    return "-" if length is None else format_duration(length)


def _measures(suggestions: Iterable[Suggestion]) -> Iterator[str | Text | Table]:
    """How long tasks take, function by function, and the smallest limits."""
    for one in suggestions:
        ended = ", ".join(f"{number} {status}" for status, number in sorted(one.ended.items()))
        tasks = counted(sum(one.ended.values()), "task ended by itself", "tasks ended by themselves")
        yield Text.assemble((short(*one.function), STRONG), f": {tasks}{f' ({ended})' if ended else ''}.")
        others = {
            "stopped by somebody": one.stopped,
            "still alive": one.alive,
            "in an unknown status": one.unknown,
        }
        if any(others.values()):
            yield f"Not measured: {', '.join(f'{number} {why}' for why, number in others.items() if number)}."
        if one.spreads:
            rows = (
                (
                    *(spread.measure, spread.clock, str(spread.tasks)),
                    *map(format_duration, (spread.p50, spread.p95, spread.p99, spread.most)),
                    "none succeeded" if spread.limit is None else spell_duration(spread.limit),
                )
                for spread in one.spreads
            )
            heads = ("", "limit by", "tasks", "p50", "p95", "p99", "max", "smallest limit")
            yield table(heads, rows, right=heads[2:])
        yield ""
    yield (
        "The smallest limit is the least that spares every task that succeeded; it leaves no room for a "
        "slower one. Percentiles are by nearest rank; run is the longest attempt."
    )


def _json(
    loaded: Loaded,
    file: File | None,
    replayed: Replay | None,
    suggestions: Iterable[Suggestion] | None,
    memory: int | None,
) -> dict[str, Any]:
    whole: dict[str, Any] = {"history": dump(HistoryView, loaded)}
    if file is not None and replayed is not None:
        policies = [dump(PolicyView, one) for one in replayed.policies]
        if memory is not None:
            for policy, one in zip(policies, replayed.policies, strict=True):
                policy["saved_gb_s"] = _gb_seconds(one.saved, memory)
        whole |= {"policy": file.source, "replay": dump(RunsView, replayed), "policies": policies}
    if suggestions is not None:
        whole["suggestions"] = [dump(SuggestionView, one) for one in suggestions]
    return whole


def _gb_seconds(length: Millis, memory: int) -> float:
    """What running so long costs in a function of *memory* MB; a GB has 1024 of them."""
    return round(length / 1000 * memory / 1024, 3)
