"""`fc-reaper backtest`: what a policy would have stopped in the history."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Option

from fc_reaper.backtest.history import OUTCOMES, Outcome
from fc_reaper.backtest.stats import Found, PolicyReplay, by_outcome, suggest
from fc_reaper.cli import app, output
from fc_reaper.cli.chart import draw_chart, drawn_policy
from fc_reaper.cli.history import load_past, minute, with_history_options
from fc_reaper.cli.output import BAD, CommandError, counted, format_seconds, short, show, table
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.rules.duration import format_duration, spell_duration
from fc_reaper.settings import Context, read_policy, read_settings

_Text = str | None

_SHOWN = 5

IN_TRUTH: dict[Outcome, str] = {
    "succeeded": "succeeded in the end",
    "failed": "failed, expired or invalid",
    "censored": "stopped by somebody, so the end without a stop is unknown",
    "open": "still alive when the history ends",
    "unknown": "in an unknown status, so the end is unknown",
}
"""How a task ended, in words."""


@with_history_options()
@app.with_cloud
def backtest(
    policy: app.PolicyOption = None,
    suggested: Annotated[bool, Option("--suggest", help="Also measure tasks, suggest limits.")] = False,
    svg: Annotated[_Text, Option(metavar="FILE", help="Draw lengths, limit and false stops.")] = None,
    drawn: Annotated[_Text, Option("--draw", metavar="POLICY", help="Which one; default: the first.")] = None,
    html: Annotated[_Text, Option(metavar="FILE", help="Write a page to look at.")] = None,
    force: Annotated[bool, Option("--force", help="Let --svg and --html overwrite a file.")] = False,
    cloud: app.Cloud = None,
    as_json: app.AsJson = False,
    **options: Any,
) -> int:
    """Show what the policy would have stopped in the history.

    And what became of these tasks. The history is a file of records, or all that the cloud still knows of the
    policy's targets. Stops nothing.

    \b
    Examples:
      fc-reaper backtest --history examples/history.jsonl --suggest
      fc-reaper backtest --save history.jsonl
    """
    if drawn is not None and svg is None:
        raise CommandError("--draw is about the chart; add --svg FILE, or leave it out")
    output.check_files(force=force, svg=svg, html=html, save=options["save"])
    env = app.environment(policy=policy, keys=options["history"] is None, **cloud)
    settings = read_settings(env, Context())
    file = read_policy(settings)
    to_draw = None if svg is None else drawn_policy(file, drawn)
    past = load_past([file], settings, env, **options)
    replayed = past.replay(file)
    if svg is not None and to_draw is not None:
        output.write_file(svg, draw_chart(past.history, replayed, to_draw), force=force)
    if html is not None:
        from fc_reaper.cli.page import backtest_page

        typed = partial(output.as_typed, policy=policy, **cloud)
        page = backtest_page(past, file, replayed, settings, SYSTEM_CLOCK.now(), typed=typed)
        output.write_file(html, page, force=force)
    watched = [target for one in file.policies for target in one.targets]
    suggestions = list(suggest(past.history.tasks, watched)) if suggested else None
    if as_json:
        policies = [{**one.as_json(), "saved": past.saved(one.stops)} for one in replayed.policies]
        shown = {} if suggestions is None else {"suggestions": suggestions}
        output.print_json({"history": past.history, **shown, "replay": replayed, "policies": policies})
        return past.print_refused()
    show(*past.headline(replayed))
    if replayed.policies:
        show("", overview(replayed.policies), "")
        show(*(line for one in replayed.policies for line in summary(one)))
        show(*output.saved_text(past.saved(replayed.stops), "would have saved"))
    if suggestions is not None:
        show("", *_measures(suggestions))
    show("", *past.left_out([("", replayed)]))
    show(*(f"{name}: written." for name in (svg, html) if name))
    show("Replayed, not run: what a stop would have changed for others is not in it.")
    return past.print_refused()


def count_outcomes(groups: Iterable[Sequence[Found]]) -> tuple[list[str], list[list[str]]]:
    """The heads of columns, and their numbers for each group; `unknown` only where there is one."""
    counts = [by_outcome(group) for group in groups]
    shown = [one for one in OUTCOMES if one != "unknown" or any(count["unknown"] for count in counts)]
    rows = [[f"{number:,}" for number in (sum(one.values()), *map(one.get, shown))] for one in counts]
    return ["tasks", *shown], rows


def overview(replays: Sequence[PolicyReplay]) -> Table:
    """One row for each policy that was replayed."""
    heads, numbers = count_outcomes(one.found for one in replays)
    heads.append("saved")
    rows = [
        (one.policy.name, one.policy.does, *counts, format_duration(one.saved) if one.policy.stops else "-")
        for one, counts in zip(replays, numbers, strict=True)
    ]
    return table(["policy", "would", *heads], rows, right=heads)


def summary(one: PolicyReplay) -> Iterator[str | Text | Table]:
    """What there is to say of one policy, its worst false stops included."""
    name, found, never = one.policy.name, one.found, len(one.due) - len(one.found)
    does = "stopped" if one.policy.stops else "reported"
    if found:
        when = f"from {minute(found[0].at)} to {minute(found[-1].at)} UTC"
        ends = "; ".join(f"{count:,} {IN_TRUTH[end]}" for end, count in by_outcome(found).items() if count)
        yield f"{name} would have {does} {counted(len(found), 'task')}, {when}: {ends}."
    else:
        yield f"{name} would have {does} nothing."
    if one.halted_runs:
        yield f"{name} would have been halted in {counted(one.halted_runs, 'run')}."
    if never:
        yield f"{counted(never, 'task')} due by {name} in some run would never have been stopped."
    wrong = one.false_stops
    if wrong:
        yield Text(f"False stops of {name}, those that had run longest first:", BAD)
        heads, rows = ("task", "function", "stopped at", "rule", "age", "limit", "done in"), []
        for stop in wrong[:_SHOWN]:
            task, by = stop.task, stop.verdict.by
            lengths = (by.age, by.limit, max(0, task.events[-1].at - stop.at))
            cells = ("-" if length is None else format_duration(length) for length in lengths)
            rows.append((task.invocation_id, short(*task.function), minute(stop.at), by.rule or "-", *cells))
        yield table(heads, rows, right=heads[4:])
        if len(wrong) > _SHOWN:
            yield f"... and {len(wrong) - _SHOWN:,} more; --json names them all"


def _measures(suggestions: Iterable[Mapping[str, Any]]) -> Iterator[str | Table]:
    heads, rows = ("function", "clock", "tasks", "p50", "p95", "p99", "max", "limit"), []
    for one in suggestions:
        function = short(one["service"], one["function"], one["qualifier"])
        lengths = (format_seconds(one[name]) for name in ("p50_s", "p95_s", "p99_s", "max_s"))
        limit = one["smallest_limit_s"]
        exact = "-" if limit is None else spell_duration(limit * 1000)
        rows.append((function, one["clock"], f"{one['tasks']:,}", *lengths, exact))
    yield from ("How long tasks took that ended by themselves:", table(heads, rows))
    yield "The limit is the smallest that spares every task that succeeded; a slower one it would stop."
