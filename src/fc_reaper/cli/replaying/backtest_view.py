"""A replay and its suggestions, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from fc_reaper.backtest.history import OUTCOMES, Outcome
from fc_reaper.backtest.stats import PolicyReplay, Replay, Reported, Spread, Stop, Suggestion
from fc_reaper.cli.output import BAD, STRONG, counted, printable, short, table
from fc_reaper.cli.planning.planfile import iso
from fc_reaper.cli.replaying.history_view import columns, fate, identity, minute, place, seconds
from fc_reaper.models import Millis
from fc_reaper.policy import format_duration, spell_duration
from fc_reaper.sweep.report import place_fields

_SHOWN = 5
_COUNTS = ("tasks", *OUTCOMES, "saved", "GB-s")


def gb_seconds(length: Millis, memory: int | None) -> float | None:
    """What so much running costs in a function of *memory* MB; a GB has 1024 of them."""
    return None if memory is None else round(length / 1000 * memory / 1024, 3)


def overview(replay: Replay, memory: int | None) -> Table:
    """One row for each policy that was replayed."""
    outcomes = columns(one.outcomes for one in replay.policies)
    heads = ["policy", "would", "tasks", *outcomes, "saved", *(["GB-s"] if memory is not None else [])]
    return table(heads, (_row(one, outcomes, memory) for one in replay.policies), right=_COUNTS)


def _row(one: PolicyReplay, shown: Sequence[Outcome], memory: int | None) -> list[Text | str]:
    stops, outcomes = one.policy.stops, one.outcomes
    wrong = Text(str(outcomes["succeeded"]), BAD if stops and outcomes["succeeded"] else "")
    others = [str(outcomes[name]) for name in shown[1:]]
    saved = format_duration(one.saved) if stops else "-"
    cost = gb_seconds(one.saved, memory)
    costs = [] if cost is None else [f"{cost:,.0f}" if stops else "-"]
    return [
        one.policy.name,
        "stop" if stops else "report",
        str(len(one.found)),
        wrong,
        *others,
        saved,
        *costs,
    ]


def about(one: PolicyReplay) -> Iterator[str | Text | Table]:
    """What there is to say of one policy, its worst false stops included."""
    name, found = one.policy.name, one.found
    does = "stopped" if one.policy.stops else "reported"
    if not found:
        yield f"{name} would have {does} nothing{'' if not one.due else ' in the end'}."
    else:
        when = f"the first at {minute(found[0].at)}, the last at {minute(found[-1].at)}"
        when = f"at {minute(found[0].at)}" if len(found) == 1 else when
        yield f"{name} would have {does} {counted(len(found), 'task')}, {when} UTC: {_fates(one)}."
    yield from _held_back(one)
    wrong = one.false_stops
    if wrong:
        yield Text(f"False stops of {name}, those that had run longest first:", BAD)
        yield _false_stops(wrong[:_SHOWN])
        if len(wrong) > _SHOWN:
            yield f"... and {len(wrong) - _SHOWN} more; --json names them all"


def _fates(one: PolicyReplay) -> str:
    said = [fate(name, one.outcomes[name]) for name in OUTCOMES if one.outcomes[name]]
    if not one.policy.stops and one.outcomes["succeeded"]:
        said[0] = f"{one.outcomes['succeeded']} succeeded in truth"
    return "; ".join(said)


def _held_back(one: PolicyReplay) -> Iterator[str]:
    name, held = one.policy.name, one.held_back
    if held["budget"]:
        never = one.due - len(one.stops) - held["holdout"]
        was = "was" if never == 1 else "were"
        ended = f"; {never} of all that were due {was} never stopped by it" if never > 0 else ""
        yield f"{name}: {counted(held['budget'], 'task')} had to wait for its budget{ended}."
    if one.halted_runs:
        runs = counted(one.halted_runs, "run")
        said = f"{counted(held['halted'], 'task')} had to wait for that"
        yield f"{name} would have been halted in {runs}, too many being due at once; {said}."
    if held["holdout"]:
        spared = counted(held["holdout"], "task that was", "tasks that were")
        yield f"{name}: holdout spared {spared} due."


def _false_stops(stops: Sequence[Stop]) -> Table:
    rows = (
        (
            printable(stop.task.invocation_id),
            place(stop.task),
            minute(stop.at),
            stop.verdict.rule or "-",
            _spelt(stop.verdict.age),
            _spelt(stop.verdict.limit),
            format_duration(max(0, stop.task.events[-1].at - stop.at)),
        )
        for stop in stops
    )
    heads = ("task", "function", "stopped at", "rule", "age", "limit", "done in")
    return table(heads, rows, right=("age", "limit", "done in"))


def _spelt(length: Millis | None) -> str:
    return "-" if length is None else format_duration(length)


def suggestions(found: Iterable[Suggestion]) -> Iterator[str | Text | Table]:
    """How long tasks take, function by function, and the smallest limits."""
    for one in found:
        ended = ", ".join(f"{number} {status}" for status, number in sorted(one.ended.items()))
        number = sum(one.ended.values())
        yield Text.assemble(
            (short(*one.function), STRONG),
            f": {counted(number, 'task ended by itself', 'tasks ended by themselves')}",
            f" ({ended})." if ended else ".",
        )
        left_out = [
            f"{one.stopped} stopped by somebody" * bool(one.stopped),
            f"{one.alive} still alive" * bool(one.alive),
            f"{one.unknown} in a status that nobody here knows" * bool(one.unknown),
        ]
        if any(left_out):
            yield f"Not measured: {', '.join(filter(None, left_out))}."
        if one.spreads:
            rows = (_measured(spread) for spread in one.spreads)
            heads = ("", "limit by", "tasks", "p50", "p95", "p99", "max", "smallest limit")
            yield table(heads, rows, right=heads[2:])
        yield ""
    yield (
        "The smallest limit is the least that spares every task that succeeded; it leaves no room for a "
        "slower one. Percentiles are by nearest rank; run is the longest attempt."
    )


def _measured(spread: Spread) -> tuple[str, ...]:
    lengths = (format_duration(length) for length in (spread.p50, spread.p95, spread.p99, spread.most))
    limit = "none succeeded" if spread.limit is None else spell_duration(spread.limit)
    return spread.measure, spread.clock, str(spread.tasks), *lengths, limit


def policy_as_json(one: PolicyReplay, memory: int | None) -> dict[str, Any]:
    """One policy, with every task that it is about."""
    policy, found = one.policy, one.found
    saved = {} if memory is None else {"saved_gb_s": gb_seconds(one.saved, memory)}
    return {
        "name": policy.name,
        "line": policy.line,
        "does": "stop" if policy.stops else "report",
        "tasks": len(found),
        "first": iso(found[0].at) if found else None,
        "last": iso(found[-1].at) if found else None,
        "outcomes": {name: one.outcomes[name] for name in OUTCOMES},
        "false_stops": one.outcomes["succeeded"] if policy.stops else None,
        "saved_s": seconds(one.saved),
        **saved,
        "due": one.due if policy.stops else None,
        "held_back": dict(one.held_back),
        "halted_runs": one.halted_runs,
        "unknown": {"tasks": one.unknown, "why": dict(one.unknown_why.most_common())},
        "found": [found_as_json(each) for each in found],
    }


def found_as_json(found: Stop | Reported) -> dict[str, Any]:
    """One task that would have been stopped or reported."""
    verdict = found.verdict
    more: dict[str, Any] = {}
    if isinstance(found, Stop):
        more = {
            "due_since": iso(found.due_since),
            "saved_s": seconds(found.saved),
            "ran_s": seconds(found.lost),
        }
    return {
        **identity(found.task),
        "at": iso(found.at),
        "outcome": found.outcome,
        "status": found.task.status,
        "rule": verdict.rule,
        "age_s": None if verdict.age is None else seconds(verdict.age),
        "limit_s": None if verdict.limit is None else seconds(verdict.limit),
        **more,
    }


def suggestion_as_json(one: Suggestion) -> dict[str, Any]:
    """One function and its measures."""
    return {
        **place_fields(one.function),
        "ended": dict(sorted(one.ended.items())),
        "stopped": one.stopped,
        "alive": one.alive,
        "unknown": one.unknown,
        "measures": {spread.measure: _spread_as_json(spread) for spread in one.spreads},
    }


def _spread_as_json(spread: Spread) -> dict[str, Any]:
    return {
        "clock": spread.clock,
        "tasks": spread.tasks,
        "p50_s": seconds(spread.p50),
        "p95_s": seconds(spread.p95),
        "p99_s": seconds(spread.p99),
        "max_s": seconds(spread.most),
        "smallest_limit": None if spread.limit is None else spell_duration(spread.limit),
        "smallest_limit_s": None if spread.limit is None else seconds(spread.limit),
        "unit_s": seconds(spread.unit),
    }
