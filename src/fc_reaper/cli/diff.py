"""`fc-reaper diff`: what a change of policy would have changed in the history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from rich.table import Table
from rich.text import Text
from typer import Argument, Option

from fc_reaper.backtest.history import OUTCOMES, Outcome
from fc_reaper.backtest.stats import CHANGES, Change, Comparison, Replay, Stop, compare
from fc_reaper.cli.backtest import IN_TRUTH, outcome_columns
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
from fc_reaper.cli.options import (
    Api,
    AsJson,
    Endpoint,
    History,
    Interval,
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
    counted,
    dump,
    print_json,
    print_line,
    printable,
    short,
    show,
    table,
)
from fc_reaper.cli.replay_views import ChangeView, HistoryView, RunsView
from fc_reaper.errors import Issue, PolicyError
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy
from fc_reaper.rules.duration import format_duration
from fc_reaper.settings import Context, read_settings

ROWS = 20
"""Tasks in a table; the rest is counted."""


class Side(NamedTuple):
    """A policy file as it was named, and its replay."""

    name: str
    replayed: Replay


def diff(
    old: Annotated[str, Argument(metavar="OLD", help="The policy file as it is.")],
    new: Annotated[str, Argument(metavar="NEW", help="The policy file as it would be.")],
    history: History = None,
    read: Read = False,
    save: Save = None,
    interval: Interval = None,
    since: Since = None,
    until: Until = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    as_markdown: Annotated[bool, Option("--markdown", help="Print a table for a pull request.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show what a change of policy would have changed. Stops nothing.

    Both policies are replayed over the same history: a file of records, or all that the cloud still knows of
    their targets.

    \b
    Example:
      fc-reaper diff policy.yaml examples/stricter.yaml \\
        --history examples/history.jsonl
    """
    if as_json and as_markdown:
        raise CommandError("--json and --markdown exclude each other; choose one")
    env = environment(endpoint=endpoint, api_version=api_version)
    settings = read_settings(env, Context())
    files = _read_policies((old, new), env)
    options = HistoryOptions(history, read, save, interval, since, until)
    runs = replay_options(options, settings)
    loaded = load_history(options, files, settings, env)
    sides = [
        Side(name, replay_file(file, loaded, runs)) for name, file in zip((old, new), files, strict=True)
    ]
    comparison = compare(sides[0].replayed, sides[1].replayed)
    head, missing = list(headline(loaded, sides[1].replayed)), list(left_out(loaded, sides))
    if as_json:
        print_json(_json(loaded, sides, comparison))
    elif as_markdown:
        print_line("\n".join(_markdown(sides, comparison, [*head, *missing])))
    else:
        show(*head, "", _counts(comparison), "", *_details(comparison), *_sentences(sides, comparison))
        if missing:
            show("", *missing)
    print_refused(loaded)
    return loaded.exit


def _read_policies(names: Iterable[str], env: Mapping[str, str]) -> list[PolicyFile]:
    """Both files.

    Raises:
        PolicyError: every fault in either of them.
    """
    files: list[PolicyFile] = []
    issues: list[Issue] = []
    for name in names:
        if not name.strip() or "\n" in name:
            raise CommandError("OLD and NEW are files with a policy; name them")
        if not Path(name).exists():
            remedy = "diff compares two policy files, OLD and NEW"
            issues.append(Issue(name, None, None, "there is no such file", remedy))
            continue
        own = {**env, "REAPER_POLICY": environment(policy=name)["REAPER_POLICY"]}
        try:
            files.append(read_policy(read_settings(own, Context())))
        except PolicyError as error:
            issues += error.issues
    if issues:
        raise PolicyError(*issues)
    return files


def _counts(comparison: Comparison) -> Table:
    """One row for each kind of change."""
    outcomes = outcome_columns(map(comparison.outcomes, CHANGES))
    rows: list[list[Text | str]] = []
    for how in CHANGES:
        counts = [Text(str(comparison.outcomes(how)[outcome])) for outcome in outcomes]
        if how in ("more", "earlier") and comparison.outcomes(how)["succeeded"]:
            counts[0].stylize(BAD)
        rows.append([f"stopped {how}", str(len(comparison.of(how))), *counts])
    heads = ("", "tasks", *outcomes)
    return table(heads, rows, right=heads[1:])


def _details(comparison: Comparison) -> Iterator[str | Text | Table]:
    """The tasks themselves, those that succeeded in truth first."""
    for how in CHANGES:
        changes = comparison.of(how)
        if changes:
            yield Text(f"Stopped {how}:", STRONG)
            rows = (_cells(change) for change in changes[:ROWS])
            yield table(("task", "function", "policy", "old, UTC", "new, UTC", "in truth"), rows)
            if len(changes) > ROWS:
                yield f"... and {len(changes) - ROWS} more; --json names them all"
            yield ""


def _cells(change: Change) -> list[Text | str]:
    old, new = (_when(stop)[5:] or "-" for stop in (change.old, change.new))
    outcome = Text(change.outcome, BAD if change.outcome == "succeeded" else "")
    return [
        printable(change.task.invocation_id),
        short(*change.task.function),
        _policies(change),
        old,
        new,
        outcome,
    ]


def _policies(change: Change) -> str:
    names = (stop.verdict.policy or "" for stop in (change.old, change.new) if stop is not None)
    return " > ".join(dict.fromkeys(names))


def _when(stop: Stop | None) -> str:
    return "" if stop is None else minute(stop.at)


def _sentences(sides: Iterable[Side], comparison: Comparison) -> Iterator[str]:
    """How many stops, how many false ones, and what the new policy saves."""
    for name, replayed in sides:
        wrong = sum(stop.outcome == "succeeded" for stop in replayed.stops)
        reported = sum(len(one.reported) for one in replayed.policies)
        more = f" and reported {counted(reported, 'task')}" if reported else ""
        stops = counted(len(replayed.stops), "task")
        yield f"{printable(name)} would have stopped {stops}, {wrong} of which succeeded in truth{more}."
    yield f"Stopped at the same run by both: {counted(comparison.same, 'task')}."
    if comparison.saved:
        more = "more" if comparison.saved > 0 else "less"
        yield f"{format_duration(abs(comparison.saved))} {more} of task time is saved by the new one."


# Markdown.


def _markdown(sides: list[Side], comparison: Comparison, remarks: Iterable[str]) -> Iterator[str]:
    outcomes = outcome_columns(map(comparison.outcomes, CHANGES))
    yield from (f"### What `{_code(sides[1].name)}` changes against `{_code(sides[0].name)}`", "")
    yield from _markdown_table(
        ("", "tasks", *outcomes),
        (
            [f"stopped {how}", len(comparison.of(how)), *(comparison.outcomes(how)[one] for one in outcomes)]
            for how in CHANGES
        ),
    )
    yield from ("", *(f"- {_escaped(sentence)}" for sentence in _sentences(sides, comparison)), "")
    if comparison.changes:
        heads = ("", "task", "function", "policy", "old", "new", "in truth")
        yield from _markdown_table(heads, map(_markdown_cells, comparison.changes[:ROWS]))
        if len(comparison.changes) > ROWS:
            yield from ("", f"... and {len(comparison.changes) - ROWS} more.")
        yield ""
    seen = {change.outcome for change in comparison.changes}
    yield from (f"- {outcome}: {words}" for outcome, words in IN_TRUTH.items() if outcome in seen)
    yield from (f"- {_escaped(remark)}" for remark in remarks)


def _markdown_table(heads: Iterable[object], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    lines = [list(map(str, row)) for row in (heads, *rows)]
    lines.insert(1, ["---:" if row.isdigit() else "---" for row in lines[1]])
    return (f"| {' | '.join(cells)} |" for cells in lines)


def _markdown_cells(change: Change) -> list[str]:
    task = f"`{_code(change.task.invocation_id)}`", f"`{_code(short(*change.task.function))}`"
    times = _when(change.old) or "-", _when(change.new) or "-"
    bold = "**" if change.outcome == "succeeded" else ""
    return [change.how, *task, f"`{_code(_policies(change))}`", *times, f"{bold}{change.outcome}{bold}"]


def _code(text: str) -> str:
    """*text* for a code span in a table, which nothing in it may end."""
    return printable(text).replace("`", "'").replace("|", "\\|")


def _escaped(text: str) -> str:
    """*text* as it is, whatever Markdown or HTML could make of it."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#~" else char for char in printable(text))


def _json(loaded: Loaded, sides: list[Side], comparison: Comparison) -> dict[str, Any]:
    old, new = map(_side_json, sides)
    return {
        "history": dump(HistoryView, loaded),
        "old": old,
        "new": new,
        "counts": {
            how: {"tasks": len(comparison.of(how)), **_by_outcome(comparison.outcomes(how))}
            for how in CHANGES
        },
        "same": comparison.same,
        "saved_s": comparison.saved / 1000,
        "changes": [dump(ChangeView, change) for change in comparison.changes],
    }


def _side_json(side: Side) -> dict[str, Any]:
    stops, policies = side.replayed.stops, side.replayed.policies
    return {
        "policy": side.name,
        "stops": len(stops),
        "outcomes": _by_outcome(Counter(stop.outcome for stop in stops)),
        "reported": sum(len(one.reported) for one in policies),
        "unknown": {one.policy.name: one.unknown for one in policies if one.unknown},
        "saved_s": sum(stop.saved for stop in stops) / 1000,
        "replay": dump(RunsView, side.replayed),
    }


def _by_outcome(counts: Counter[Outcome]) -> dict[str, int]:
    return {outcome: counts[outcome] for outcome in OUTCOMES}
