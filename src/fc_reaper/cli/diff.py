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
from fc_reaper.policy.lock import lock_of, unapproved
from fc_reaper.settings import Context, read_policy, read_settings, read_unapproved

_ROWS = 20  # tasks in a table; the rest is counted

_HEADINGS: Mapping[How, str] = {
    "more": "Stopped by the new policy alone", "less": "Spared: stopped by the old policy alone",
    "earlier": "Stopped earlier", "later": "Stopped later",
}  # fmt: skip


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
    counts, *tables = _tables(changes)
    said = ["", *_sentences(shown), "", *past.headline(after)]
    known, wanted = ({str(one) for policy in file.policies for one in policy.targets} for file in files)
    if (alone := sorted(wanted - known)) and options["history"] is not None:
        said.append(f"Targets of {new} alone: {', '.join(alone)}. A history saved for {old} may lack theirs.")
    anew = unapproved(files[1], lock_of(files[0], "2000-01-01"))
    names = f" ({', '.join(anew)})" if anew else ""
    said.append(f"Stop policies to be approved anew, where there is a lock: {len(anew)}{names}.")
    waiting = "; ".join(f"{name}: {why}" for name, why in read_unapproved(settings[1], files[1]).items())
    said += [f"The lock beside {new} does not approve {waiting}."] if waiting else []
    said += past.left_out([(old, before), (new, after)])
    if as_json:
        output.print_json(shown)
    elif as_markdown:
        head = f"### What {_escaped(new)} changes against {_escaped(old)}"
        # What is said of all tasks comes before single ones: a comment may be cut.
        output.print_line("\n".join((head, *_markdown([counts, *said, *tables]))))
    else:
        show(counts, *tables, *said)
    return past.print_refused()


def _side(name: str, replayed: Replay, past: Past) -> dict[str, Any]:
    stops = replayed.stops
    counts = {"policy": name, "stops": len(stops), "outcomes": by_outcome(stops)}
    return {**counts, "saved_s": replayed.saved / 1000, "saved": past.saved(stops), "replay": replayed}


def _tables(changes: Mapping[How, Sequence[Change]]) -> Iterator[str | Table]:
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
                yield f"... and {len(some) - _ROWS:,} more; --json names them all"


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
            yield ""
            for cells in zip(*((one.header, "---", *one.cells) for one in thing.columns), strict=True):
                yield f"| {' | '.join(_escaped(str(cell)) for cell in cells)} |"
        else:
            yield f"- {_escaped(thing)}" if thing else ""


def _escaped(text: str) -> str:
    """At most 300 characters of *text*, of which comes no Markdown, HTML, link, mention, reference or emoji.

    Entities make no structure, and GitHub and GitLab look for all the others outside of code only.
    """
    return re.sub(r"\S+", _inert, printable(text, 300))


def _inert(word: re.Match[str]) -> str:
    inert = re.sub(r"(?i)(?<=www)\.|[^\w:.,;()/…'-]|_|:(?=/)", lambda one: f"&#{ord(one[0])};", word[0])
    odd = re.search(r"(?i)[^\w:.,;()/…'-]|//|www\.|\bg[hl]-\d|:[\w+-]+:|\b[0-9a-f]{7,}\b", word[0])
    return f"<code>{inert}</code>" if odd else inert
