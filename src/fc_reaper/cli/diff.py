"""`fc-reaper diff`: what a change of policy would have changed in the history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from rich.table import Table
from rich.text import Text
from typer import Argument, Option

from fc_reaper.backtest.history import OUTCOMES, Outcome
from fc_reaper.backtest.stats import CHANGES, Change, Comparison, Replay, compare
from fc_reaper.cli.app import (
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

_HEADS = ("", "task", "function", "policy", "old, UTC", "new, UTC", "in truth")


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
        show(*head, "", *_tables(comparison), *_sentences(sides, comparison))
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


def _counts(comparison: Comparison) -> tuple[Sequence[str], list[list[str]]]:
    """Heads and rows of a table with one row for each kind of change."""
    counts = {how: comparison.outcomes(how) for how in CHANGES}
    outcomes = outcome_columns(counts.values())
    rows = [
        [f"stopped {how}", str(of.total()), *(str(of[outcome]) for outcome in outcomes)]
        for how, of in counts.items()
    ]
    return ("", "tasks", *outcomes), rows


def _row(change: Change) -> list[str]:
    """A change as the cells of a table; dates without their year."""
    stops = [stop for stop in (change.old, change.new) if stop is not None]
    policies = " > ".join(dict.fromkeys(stop.verdict.policy or "" for stop in stops))
    old, new = ("-" if stop is None else minute(stop.at)[5:] for stop in (change.old, change.new))
    task = change.task
    return [change.how, task.invocation_id, short(*task.function), policies, old, new, change.outcome]


def _tables(comparison: Comparison) -> Iterator[str | Text | Table]:
    heads, counts = _counts(comparison)
    yield table(heads, counts, right=heads[1:])
    yield ""
    for how in CHANGES:
        changes = comparison.of(how)
        if changes:
            yield Text(f"Stopped {how}:", STRONG)
            rows = map(_row, changes[:ROWS])
            yield table(_HEADS[1:], ([_styled(cell) for cell in row[1:]] for row in rows))
            if len(changes) > ROWS:
                yield f"... and {len(changes) - ROWS} more; --json names them all"
            yield ""


def _styled(cell: str) -> Text:
    return Text(printable(cell), BAD if cell == "succeeded" else "")


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


def _markdown(sides: list[Side], comparison: Comparison, remarks: Iterable[str]) -> Iterator[str]:
    yield from (f"### What {_code(sides[1].name)} changes against {_code(sides[0].name)}", "")
    yield from _markdown_table(*_counts(comparison))
    yield from ("", *(f"- {_escaped(sentence)}" for sentence in _sentences(sides, comparison)), "")
    if comparison.changes:
        rows = map(_row, comparison.changes[:ROWS])
        yield from _markdown_table(
            _HEADS,
            ([how, *map(_code, cells), old, new, f"**{end}**" if end == "succeeded" else end]
             for how, *cells, old, new, end in rows),
        )  # fmt: skip
        if len(comparison.changes) > ROWS:
            yield from ("", f"... and {len(comparison.changes) - ROWS} more.")
        yield ""
    seen = {change.outcome for change in comparison.changes}
    yield from (f"- {outcome}: {words}" for outcome, words in IN_TRUTH.items() if outcome in seen)
    yield from (f"- {_escaped(remark)}" for remark in remarks)


def _markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """*text* as a code span, which nothing in it may end, nor the cell of a table."""
    return "`" + printable(text).replace("`", "'").replace("|", "\\|") + "`"


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
