"""`fc-reaper backtest`: what a policy would have stopped in the history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Option

from fc_reaper.backtest.history import OUTCOMES, Outcome
from fc_reaper.backtest.stats import PolicyReplay, Replay, Reported, Stop, Suggestion, suggest
from fc_reaper.cli.chart import draw, drawn_policy
from fc_reaper.cli.history import (
    HistoryOptions,
    Loaded,
    function_json,
    headline,
    history_json,
    left_out,
    load_history,
    minute,
    print_refused,
    replay_file,
    replay_json,
    replay_options,
    task_json,
)
from fc_reaper.cli.options import (
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
from fc_reaper.clock import iso
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
        cost = _gb_seconds(one.saved, memory)
        rows.append(
            [
                *(one.policy.name, "stop" if stops else "report", str(len(one.found)), *counts),
                format_duration(one.saved) if stops else "-",
                *([] if cost is None else [f"{cost:,.0f}" if stops else "-"]),
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
    if held["budget"]:
        never = one.due - len(one.stops) - held["holdout"]
        rest = f"; {never} of all that were due would never have been stopped" if never > 0 else ""
        yield f"{name}: {counted(held['budget'], 'task')} would have waited for its budget{rest}."
    if one.halted_runs:
        runs, tasks = counted(one.halted_runs, "run"), counted(held["halted"], "task")
        yield f"{name} would have been halted in {runs} by too many due tasks; {tasks} would have waited."
    if held["holdout"]:
        yield f"{name}: holdout would have spared {counted(held['holdout'], 'due task')}."
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


# JSON.


def _json(
    loaded: Loaded,
    file: File | None,
    replayed: Replay | None,
    suggestions: Iterable[Suggestion] | None,
    memory: int | None,
) -> dict[str, Any]:
    whole: dict[str, Any] = {"history": history_json(loaded)}
    if file is not None and replayed is not None:
        whole["policy"] = file.source
        whole["replay"] = replay_json(replayed)
        whole["policies"] = [_policy_json(one, memory) for one in replayed.policies]
    if suggestions is not None:
        whole["suggestions"] = [_suggestion_json(one) for one in suggestions]
    return whole


def _policy_json(one: PolicyReplay, memory: int | None) -> dict[str, Any]:
    stops, found = one.policy.stops, one.found
    return {
        "name": one.policy.name,
        "line": one.policy.line,
        "does": "stop" if stops else "report",
        "tasks": len(found),
        "first": iso(found[0].at) if found else None,
        "last": iso(found[-1].at) if found else None,
        "outcomes": {name: one.outcomes[name] for name in OUTCOMES},
        "false_stops": one.outcomes["succeeded"] if stops else None,
        "saved_s": one.saved / 1000,
        **({} if memory is None else {"saved_gb_s": _gb_seconds(one.saved, memory)}),
        "due": one.due if stops else None,
        "held_back": one.held_back,
        "halted_runs": one.halted_runs,
        "unknown": {"tasks": one.unknown, "why": dict(one.unknown_why.most_common())},
        "found": [_found_json(each) for each in found],
    }


def _found_json(found: Stop | Reported) -> dict[str, Any]:
    verdict = found.verdict
    whole = {
        **task_json(found.task),
        "at": iso(found.at),
        "outcome": found.outcome,
        "status": found.task.status,
        "rule": verdict.rule,
        "age_s": None if verdict.age is None else verdict.age / 1000,
        "limit_s": None if verdict.limit is None else verdict.limit / 1000,
    }
    if isinstance(found, Stop):
        whole |= {
            "due_since": iso(found.due_since), "saved_s": found.saved / 1000, "ran_s": found.lost / 1000
        }  # fmt: skip
    return whole


def _suggestion_json(one: Suggestion) -> dict[str, Any]:
    return {
        **function_json(one.function),
        "ended": dict(sorted(one.ended.items())),
        "stopped": one.stopped,
        "alive": one.alive,
        "unknown": one.unknown,
        "measures": {
            spread.measure: {
                "clock": spread.clock,
                "tasks": spread.tasks,
                "p50_s": spread.p50 / 1000,
                "p95_s": spread.p95 / 1000,
                "p99_s": spread.p99 / 1000,
                "max_s": spread.most / 1000,
                "smallest_limit": None if spread.limit is None else spell_duration(spread.limit),
                "smallest_limit_s": None if spread.limit is None else spread.limit / 1000,
                "unit_s": spread.unit / 1000,
            }
            for spread in one.spreads
        },
    }


def _gb_seconds(length: Millis, memory: int | None) -> float | None:
    """What running so long costs in a function of *memory* MB; a GB has 1024 of them."""
    return None if memory is None else round(length / 1000 * memory / 1024, 3)
