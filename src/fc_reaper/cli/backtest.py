"""`fc-reaper backtest`: what a policy would have stopped in the history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Option

from fc_reaper.backtest.history import OUTCOMES, History, Outcome
from fc_reaper.backtest.stats import PolicyReplay, Replay, Stop, Suggestion, by_outcome, suggest
from fc_reaper.cli import app
from fc_reaper.cli.chart import draw, drawn_policy
from fc_reaper.cli.history import Past, load_past, minute
from fc_reaper.cli.output import (
    BAD,
    STRONG,
    CommandError,
    check_writable,
    counted,
    print_json,
    printable,
    short,
    show,
    table,
    write_file,
)
from fc_reaper.models import Millis
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy
from fc_reaper.rules.duration import format_duration
from fc_reaper.settings import Context, read_settings

_SHOWN = 5

IN_TRUTH: dict[Outcome, str] = {
    "succeeded": "succeeded in truth",
    "failed": "failed, expired or invalid",
    "censored": "stopped by somebody, so how it would have ended is unknown",
    "open": "still alive when the history ends",
    "unknown": "in an unknown status, so how it ended is unknown",
}
"""How a task ended in truth, in words."""


def backtest(
    policy: app.PolicyFile = None,
    history: app.History = None,
    read: app.Read = False,
    save: app.Save = None,
    interval: app.Interval = None,
    since: app.Since = None,
    until: app.Until = None,
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
    endpoint: app.Endpoint = None,
    api_version: app.Api = None,
    as_json: app.AsJson = False,
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
    env = app.environment(policy=policy, endpoint=endpoint, api_version=api_version)
    settings = read_settings(env, Context())
    missing = "\n" not in settings.policy and not (settings.folder / settings.policy).exists()
    needed = not suggested or history is None or svg is not None or bool(env.get("REAPER_POLICY"))
    file = None if missing and not needed else read_policy(settings)
    to_draw = None if svg is None or file is None else drawn_policy(file, drawn)
    files = [] if file is None else [file]
    past = load_past(files, settings, env, history, read, save, interval, since, until)
    replayed = None if file is None else past.replay(file)
    if svg is not None and replayed is not None and to_draw is not None:
        write_file(svg, draw(past.history, replayed, to_draw), force=force)
    suggestions = list(_suggest(past.history, file)) if suggested else None
    if as_json:
        print_json(_json(past, file, replayed, suggestions, memory))
    else:
        show(*past.headline(replayed))
        if replayed is not None and replayed.policies:
            show("", overview(replayed.policies, memory), "")
            show(*(line for one in replayed.policies for line in summary(one)))
        if suggestions is not None:
            show("", *_measures(suggestions))
        show("", *past.left_out([] if replayed is None else [("", replayed)]))
        if svg is not None:
            show(f"{svg}: written.")
        if replayed is not None:
            show("Replayed, not run: what a stop would have changed for others is not in it.")
    return past.print_refused()


def _suggest(history: History, file: PolicyFile | None) -> Iterator[Suggestion]:
    """Measure the functions that the policies watch, whatever triggers these have; all without a policy."""
    watched = {task.function for task in history.tasks}
    if file is not None:
        targets = {target for policy in file.policies for target in policy.targets}
        watched = {one for one in watched if any(target.fits(one) for target in targets)}
    return suggest(task for task in history.tasks if task.function in watched)


# Tables.


def outcome_columns(counts: Iterable[Mapping[Outcome, int]]) -> list[Outcome]:
    """The outcomes that a table shows: `unknown` only where there is one, since it is rare."""
    rare = any(one["unknown"] for one in counts)
    return [outcome for outcome in OUTCOMES if outcome != "unknown" or rare]


def overview(replays: Sequence[PolicyReplay], memory: int | None = None) -> Table:
    """One row for each policy that was replayed."""
    counts = [by_outcome(one.found) for one in replays]
    outcomes = outcome_columns(counts)
    heads = ["policy", "would", "tasks", *outcomes, "saved", *(["GB-s"] if memory is not None else [])]
    rows: list[list[Text | str]] = []
    for one, count in zip(replays, counts, strict=True):
        stops = one.policy.stops
        cells = [Text(str(count[outcome])) for outcome in outcomes]
        if stops and count["succeeded"]:
            cells[0].stylize(BAD)
        row = [one.policy.name, "stop" if stops else "report", str(len(one.found)), *cells]
        row.append(format_duration(one.saved) if stops else "-")
        if memory is not None:
            row.append(f"{_gb_seconds(one.saved, memory):,.0f}" if stops else "-")
        rows.append(row)
    return table(heads, rows, right=heads[2:])


def summary(one: PolicyReplay) -> Iterator[str | Text | Table]:
    """What there is to say of one policy, its worst false stops included."""
    name, found, held, stops = one.policy.name, one.found, one.held_back, one.policy.stops
    does = "stopped" if stops else "reported"
    if found:
        first, last = minute(found[0].at), minute(found[-1].at)
        when = f"at {first}" if len(found) == 1 else f"the first at {first}, the last at {last}"
        ends = "; ".join(f"{count} {IN_TRUTH[end]}" for end, count in by_outcome(found).items() if count)
        yield f"{name} would have {does} {counted(len(found), 'task')}, {when} UTC: {ends}."
    else:
        yield f"{name} would have {does} nothing."
    waited = {
        "waited for its budget": held["budget"],
        f"waited while it was halted ({counted(one.halted_runs, 'run')})": held["halted"],
        "were spared by holdout": held["holdout"],
        "were never stopped": max(0, one.due - len(found) - held["holdout"]) if stops else 0,
    }
    if any(waited.values()):
        due = ", ".join(f"{tasks} {what}" for what, tasks in waited.items() if tasks)
        yield f"Of {counted(one.due, 'task')} that would have been due by {name}, {due}."
    wrong = one.false_stops
    if wrong:
        yield Text(f"False stops of {name}, those that had run longest first:", BAD)
        heads = ("task", "function", "stopped at", "rule", "age", "limit", "done in")
        yield table(heads, map(_false_stop, wrong[:_SHOWN]), right=heads[4:])
        if len(wrong) > _SHOWN:
            yield f"... and {len(wrong) - _SHOWN} more; --json names them all"


def _false_stop(stop: Stop) -> list[str]:
    task, verdict = stop.task, stop.verdict
    lengths = (verdict.age, verdict.limit, max(0, task.events[-1].at - stop.at))
    return [
        printable(task.invocation_id),
        short(*task.function),
        minute(stop.at),
        verdict.rule or "-",
        *("-" if length is None else format_duration(length) for length in lengths),
    ]


def _measures(suggestions: Iterable[Suggestion]) -> Iterator[str | Text | Table]:
    """How long tasks take, function by function, and the smallest limits."""
    for one in suggestions:
        ended = ", ".join(f"{number} {status}" for status, number in sorted(one.ended.items()))
        tasks = counted(sum(one.ended.values()), "task ended by itself", "tasks ended by themselves")
        function = short(one.service, one.function, one.qualifier)
        yield Text.assemble((function, STRONG), f": {tasks}{f' ({ended})' if ended else ''}.")
        others = {
            "stopped by somebody": one.stopped,
            "still alive": one.alive,
            "in an unknown status": one.unknown,
        }
        if any(others.values()):
            yield f"Not measured: {', '.join(f'{number} {why}' for why, number in others.items() if number)}."
        if one.measures:
            rows = (
                (
                    *(measure, spread.clock, str(spread.tasks)),
                    *map(format_duration, (spread.p50, spread.p95, spread.p99, spread.most)),
                    spread.smallest_limit or "none succeeded",
                )
                for measure, spread in one.measures.items()
            )
            heads = ("", "limit by", "tasks", "p50", "p95", "p99", "max", "smallest limit")
            yield table(heads, rows, right=heads[2:])
        yield ""
    yield (
        "The smallest limit is the least that spares every task that succeeded; it leaves no room for a "
        "slower one. Percentiles are by nearest rank; run is the longest attempt."
    )


def _json(
    past: Past,
    file: PolicyFile | None,
    replayed: Replay | None,
    suggestions: Sequence[Suggestion] | None,
    memory: int | None,
) -> dict[str, Any]:
    whole: dict[str, Any] = {"history": past.history}
    if file is not None and replayed is not None:
        policies = [one.model_dump(mode="json", by_alias=True) for one in replayed.policies]
        if memory is not None:
            for policy, one in zip(policies, replayed.policies, strict=True):
                policy["saved_gb_s"] = _gb_seconds(one.saved, memory)
        whole |= {"policy": file.source, "replay": replayed, "policies": policies}
    return whole if suggestions is None else {**whole, "suggestions": suggestions}


def _gb_seconds(length: Millis, memory: int) -> float:
    """What running so long costs in a function of *memory* MB; a GB has 1024 of them."""
    return round(length / 1000 * memory / 1024, 3)
