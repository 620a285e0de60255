"""What a change of policy would change, as text, as JSON, and as a table for a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from fc_reaper.backtest.history import OUTCOMES, Outcome
from fc_reaper.backtest.stats import CHANGES, Change, Comparison, Replay, Stop
from fc_reaper.cli.output import BAD, STRONG, counted, printable, table
from fc_reaper.cli.planning.planfile import iso
from fc_reaper.cli.replaying.history_view import OUTCOME_WORDS, columns, identity, minute, place, seconds
from fc_reaper.models import Millis
from fc_reaper.policy import format_duration

ROWS = 20
"""Tasks in a table; the rest is counted."""

_WORDS = {
    "more": "stopped more",
    "less": "stopped less",
    "earlier": "stopped earlier",
    "later": "stopped later",
}


def summary(comparison: Comparison) -> Table:
    """One row for each kind of change."""
    shown = columns(map(comparison.outcomes, CHANGES))
    rows = (_counts(how, comparison, shown) for how in CHANGES)
    heads = ("", "tasks", *shown)
    return table(heads, rows, right=heads[1:])


def _counts(how: Any, comparison: Comparison, shown: Sequence[Outcome]) -> list[Text | str]:
    outcomes = comparison.outcomes(how)
    worse = how in ("more", "earlier") and outcomes["succeeded"]
    succeeded = Text(str(outcomes["succeeded"]), BAD if worse else "")
    return [
        _WORDS[how],
        str(len(comparison.of(how))),
        succeeded,
        *(str(outcomes[one]) for one in shown[1:]),
    ]


def details(comparison: Comparison) -> Iterator[str | Text | Table]:
    """The tasks themselves, those that succeeded in truth first."""
    for how in CHANGES:
        changes = comparison.of(how)
        if changes:
            yield Text(f"{_WORDS[how].capitalize()}:", STRONG)
            yield _tasks(changes[:ROWS])
            if len(changes) > ROWS:
                yield f"... and {len(changes) - ROWS} more; --json names them all"
            yield ""


def _tasks(changes: Iterable[Change]) -> Table:
    rows = (
        (
            printable(change.task.invocation_id),
            place(change.task),
            _policies(change),
            _day(change.old),
            _day(change.new),
            Text(change.outcome, BAD if change.outcome == "succeeded" else ""),
        )
        for change in changes
    )
    return table(("task", "function", "policy", "old, UTC", "new, UTC", "in truth"), rows)


def _policies(change: Change) -> str:
    names = dict.fromkeys(stop.verdict.policy or "" for stop in (change.old, change.new) if stop is not None)
    return " > ".join(names)


def _when(stop: Stop | None) -> str:
    return "-" if stop is None else minute(stop.at)


def _day(stop: Stop | None) -> str:
    return "-" if stop is None else minute(stop.at)[5:]


def sentences(comparison: Comparison, old: Replay, new: Replay, names: tuple[str, str]) -> Iterator[str]:
    """The whole in words: how many stops, how many false ones, and what it saves."""
    for name, replay in zip(names, (old, new), strict=True):
        wrong = sum(stop.outcome == "succeeded" for stop in replay.stops)
        reported = sum(len(one.reported) for one in replay.policies)
        said = f" and reported {counted(reported, 'task')}" if reported else ""
        stops = counted(len(replay.stops), "task")
        yield f"{printable(name)} would have stopped {stops}, {wrong} of which succeeded in truth{said}."
    yield f"Stopped at the same run by both: {counted(comparison.same, 'task')}."
    if comparison.saved:
        more = "more" if comparison.saved > 0 else "less"
        yield f"{format_duration(abs(comparison.saved))} {more} of task time is saved by the new one."


def markdown(
    comparison: Comparison, old: Replay, new: Replay, names: tuple[str, str], remarks: Iterable[str]
) -> str:
    """The same for a pull request."""
    lines = [f"### What `{_code(names[1])}` changes against `{_code(names[0])}`", ""]
    shown = columns(map(comparison.outcomes, CHANGES))
    lines += [f"| | tasks | {' | '.join(shown)} |", f"|---|{'---:|' * (len(shown) + 1)}"]
    for how in CHANGES:
        outcomes = comparison.outcomes(how)
        numbers = [len(comparison.of(how)), *(outcomes[one] for one in shown)]
        lines.append(f"| {_WORDS[how]} | {' | '.join(map(str, numbers))} |")
    lines += ["", *(f"- {_escaped(line)}" for line in sentences(comparison, old, new, names)), ""]
    if comparison.changes:
        lines += ["| | task | function | policy | old | new | in truth |", "|---|---|---|---|---|---|---|"]
        lines += [_row(change) for change in comparison.changes[:ROWS]]
        if len(comparison.changes) > ROWS:
            lines += ["", f"... and {len(comparison.changes) - ROWS} more."]
        lines.append("")
    used = [name for name in OUTCOMES if any(change.outcome == name for change in comparison.changes)]
    lines += [f"- {name}: {OUTCOME_WORDS[name][1]}" for name in used]
    lines += [f"- {_escaped(line)}" for line in remarks]
    return "\n".join(lines).rstrip() + "\n"


def _row(change: Change) -> str:
    truth = f"**{change.outcome}**" if change.outcome == "succeeded" else change.outcome
    cells = (
        change.how,
        f"`{_code(change.task.invocation_id)}`",
        f"`{_code(place(change.task))}`",
        f"`{_code(_policies(change))}`",
        _when(change.old),
        _when(change.new),
        truth,
    )
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """*text* for a code span in a table: nothing in it may end the one or the other."""
    return printable(text).replace("`", "'").replace("|", "\\|")


def _escaped(text: str) -> str:
    """*text* as it is, whatever Markdown or HTML could make of it."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#~" else char for char in printable(text))


def comparison_as_json(comparison: Comparison) -> dict[str, Any]:
    """The same for programs, with every task."""
    return {
        "counts": {
            how: {
                "tasks": len(comparison.of(how)),
                **{one: comparison.outcomes(how)[one] for one in OUTCOMES},
            }
            for how in CHANGES
        },
        "same": comparison.same,
        "saved_s": seconds(comparison.saved),
        "changes": [_change(change) for change in comparison.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "how": change.how,
        **identity(change.task),
        "outcome": change.outcome,
        "old": None if change.old is None else _stop(change.old),
        "new": None if change.new is None else _stop(change.new),
    }


def _stop(stop: Stop) -> dict[str, Any]:
    verdict = stop.verdict
    return {
        "policy": verdict.policy,
        "rule": verdict.rule,
        "at": iso(stop.at),
        "saved_s": seconds(stop.saved),
    }


def stops_as_json(name: str, replay: Replay) -> dict[str, Any]:
    """One side in numbers."""
    saved: Millis = sum(stop.saved for stop in replay.stops)
    outcomes = {one: sum(stop.outcome == one for stop in replay.stops) for one in OUTCOMES}
    reported = sum(len(one.reported) for one in replay.policies)
    unknown = {one.policy.name: one.unknown for one in replay.policies if one.unknown}
    return {
        "policy": name,
        "stops": len(replay.stops),
        "outcomes": outcomes,
        "reported": reported,
        "unknown": unknown,
        "saved_s": seconds(saved),
    }
