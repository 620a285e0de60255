"""`fc-reaper diff`: what a change of policy would have changed in the history."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Argument, Option

from fc_reaper.backtest.stats import Change, How, Replay, by_outcome, compare
from fc_reaper.cli import app, output
from fc_reaper.cli.backtest import count_outcomes
from fc_reaper.cli.history import Past, load_past, minute, with_history_options
from fc_reaper.cli.output import BAD, CommandError, counted, format_seconds, short, show, table
from fc_reaper.models import printable
from fc_reaper.settings import Context, read_policy, read_settings

_ROWS = 20
"""Tasks in a table; the rest is counted."""

_HEADINGS: Mapping[How, str] = {
    "more": "Stopped by the new policy alone", "less": "Spared: stopped by the old policy alone",
    "earlier": "Stopped earlier", "later": "Stopped later",
}  # fmt: skip

Changes = Mapping[How, Sequence[Change]]


@with_history_options()
@app.with_cloud
def diff(
    old: Annotated[str, Argument(metavar="OLD", help="The policy file as it is.")],
    new: Annotated[str, Argument(metavar="NEW", help="The policy file as it would be.")],
    cloud: app.Cloud = None,
    as_markdown: Annotated[bool, Option("--markdown", help="Print a table for a pull request.")] = False,
    as_json: app.AsJson = False,
    **options: Any,
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
    env = app.environment(policy=old, keys=options["history"] is None, **cloud)
    other = app.environment(policy=new, keys=False, **cloud)
    envs = [env, {**env, "REAPER_POLICY": other.get("REAPER_POLICY", "")}]
    settings = [read_settings(env, Context()) for env in envs]
    files = list(map(read_policy, settings))
    past = load_past(files, settings[0], envs[0], **options)
    before, after = map(past.replay, files)
    changes, same = compare(before, after)
    shown = {
        "history": past.history,
        "old": _side(old, before, past),
        "new": _side(new, after, past),
        "counts": {
            how: {"tasks": len(some), **by_outcome(one.stop for one in some)} for how, some in changes.items()
        },
        "same": same,
        "changes": [change for some in changes.values() for change in some],
    }
    if as_json:
        output.print_json(shown)
        return past.print_refused()
    remarks = [*past.headline(after), *past.left_out([(old, before), (new, after)])]
    things = [*_tables(changes), "", *_sentences(shown), "", *remarks]
    if as_markdown:
        head = f"### What {_escaped(new)} changes against {_escaped(old)}"
        output.print_line("\n".join((head, *_markdown(things))))
    else:
        show(*things)
    return past.print_refused()


def _side(name: str, replayed: Replay, past: Past) -> dict[str, Any]:
    return {
        "policy": name,
        "stops": len(replayed.stops),
        "outcomes": by_outcome(replayed.stops),
        "saved_s": replayed.saved / 1000,
        "saved": past.saved(replayed.stops),
        "replay": replayed,
    }


def _tables(changes: Changes) -> Iterator[str | Table]:
    heads, numbers = count_outcomes([one.stop for one in some] for some in changes.values())
    rows = ((how, *counts) for how, counts in zip(changes, numbers, strict=True))
    yield table(("stopped", *heads), rows, right=heads)
    for how, some in changes.items():
        if some:
            cells: list[list[str | Text]] = []
            for one in some[:_ROWS]:
                sides, task, truth = [one.old, one.new], one.stop.task, one.stop.outcome
                by = " > ".join(dict.fromkeys(side.verdict.policy or "" for side in sides if side))
                times = ("-" if side is None else minute(side.at)[5:] for side in sides)  # without the year
                ended = Text(truth, BAD if truth == "succeeded" else "")
                cells.append([task.invocation_id, short(*task.function), by, *times, ended])
            heads = ["task", "function", "policy", "old, UTC", "new, UTC", "ended"]
            yield from ("", f"{_HEADINGS[how]}:", table(heads, cells))
            if len(some) > _ROWS:
                yield f"... and {len(some) - _ROWS} more; --json names them all"


def _sentences(shown: Mapping[str, Any]) -> Iterator[str]:
    for side in (shown["old"], shown["new"]):
        stops, wrong = counted(side["stops"], "task"), side["outcomes"]["succeeded"]
        yield f"{side['policy']} would have stopped {stops}, {wrong} of which succeeded in the end."
        yield f"{format_seconds(side['saved_s'])} of task time would have been saved by it."
        yield from output.saved_text(side["saved"], "would have saved")
    yield f"Stopped at the same run by both: {counted(shown['same'], 'task')}."


def _markdown(things: Iterable[str | Table]) -> Iterator[str]:
    """The same as `show` prints: a table as one, each sentence as an item of a list."""
    for thing in things:
        if isinstance(thing, Table):
            heads = [str(column.header) for column in thing.columns]
            rows = zip(*(column.cells for column in thing.columns), strict=True)
            yield ""
            for cells in (heads, *rows):
                yield f"| {' | '.join(_escaped(str(cell)) for cell in cells)} |"
                if cells is heads:
                    yield "|---" * len(heads) + "|"
        else:
            yield f"- {_escaped(thing)}" if thing else ""


def _escaped(text: str) -> str:
    """At most 300 characters of *text*, of which comes no Markdown, HTML, link, mention or reference.

    Entities make no structure, and GitHub and GitLab look for names and addresses outside of code only.
    """
    line = printable(text, 300)
    inert = re.sub(r"(?i)(?<=www)\.|[^\w\s:.,;()/…'-]|_|:(?=/)", lambda one: f"&#{ord(one[0])};", line)
    return f"<code>{inert}</code>" if re.search(r"(?i)[@#!~%$&]|//|www\.|gh-", line) else inert
