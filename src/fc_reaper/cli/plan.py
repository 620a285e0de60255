"""`fc-reaper plan`: what would be stopped right now, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from fc_reaper.cli.ending import complain, say
from fc_reaper.cli.hints import advice_for
from fc_reaper.cli.interruption import interruptible
from fc_reaper.cli.running import read_event, sweep
from fc_reaper.cli.screen import (
    BAD,
    SOFT,
    STRONG,
    counted,
    length,
    plain,
    progress,
    screen,
    short,
    show,
    table,
)
from fc_reaper.cli.tap import Tap
from fc_reaper.context import Context
from fc_reaper.policy import Policy
from fc_reaper.settings import read_policy, read_settings
from fc_reaper.world import Exit, Finished

_ALL = 1_000_000
_TIMEOUT = 600.0
_LONGEST = 160
"""Characters of the cloud's own words that are shown."""

_ASIDE = 20
"""Tasks that are shown although they are not due; the rest is counted."""

_KEPT_LINES = ("run_started", "list_failed", "reported", "unknown", "stuck", "halted", "budget_spent",
               "trigger_ignored", "trigger_refused", "trigger_unrecognised")  # fmt: skip

_SKIPPED = {
    "budget": "beyond the budget",
    "halted": "halted",
    "spared": "no longer due",
    "margin": "no time left",
    "clock": "clocks differ",
}
_ASIDE_WORDS = {"reported": "only reported", "unknown": "unknown, kept", "stuck": "STUCK"}


def plan(event: str | None, env: Mapping[str, str], *, as_json: bool) -> int:
    """Rehearse a run and show every due task; without *event*, a run woken by every timer there is."""
    tap = Tap(None, keep=_KEPT_LINES)
    rehearsing = {**env, "REAPER_MODE": "rehearse", "REAPER_LOG_TASKS": str(_ALL)}
    policies = read_policy(read_settings(rehearsing, Context())).policies
    raw = every_timer(policies) if event is None else read_event(event)
    with progress("Looking at the tasks ..."), interruptible() as interrupted:
        finished = sweep(raw, rehearsing, tap, timeout=_TIMEOUT, shown=_ALL, interrupted=interrupted)
    if as_json:
        say(json.dumps(finished.result))
    elif finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE):
        _show(finished, tap, _asleep(policies, finished))
    _tell_trouble(finished, tap)
    return int(finished.exit)


def every_timer(policies: Sequence[Policy]) -> bytes:
    """An event in which each timer that *policies* name rings, and one that they do not name."""
    named = {one.partition(":")[2] for policy in policies for one in policy.triggers if ":" in one}
    rings = [{"triggerTime": "", "triggerName": name, "payload": ""} for name in ["", *sorted(named)]]
    return json.dumps(rings).encode()


def _asleep(policies: Iterable[Policy], finished: Finished) -> list[Policy]:
    """The policies that the event does not run, whatever it narrows."""
    asks = finished.trigger.asks
    return [one for one in policies if not any(one.fits_trigger(ask.kind, ask.name) for ask in asks)]


def _show(finished: Finished, tap: Tap, asleep: Iterable[Policy]) -> None:
    result = finished.result
    console = screen()
    for policy, tasks in _by_policy(result["tasks"]).items():
        show(console, Text.assemble((policy, STRONG), f": {plain(tasks[0]['reason'])}"), _due(tasks), "")
    aside = [line for line in tap.lines if line["event"] in _ASIDE_WORDS]
    if aside:
        show(console, "Not to be stopped, but to be known:", _aside(aside[:_ASIDE]))
        if len(aside) > _ASIDE:
            show(console, f"... and {len(aside) - _ASIDE} more; fc-reaper invoke --rehearse logs them")
        show(console, "")
    show(console, *_sentences(result, tap))
    for one in asleep:
        show(console, f"{one.name} was not asked: only {' or '.join(one.triggers)} runs it.")
    show(console, "This was a rehearsal; nothing was touched.")


def _by_policy(tasks: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The due tasks of each policy, most overdue first."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for task in sorted(tasks, key=lambda task: (-(task["over_s"] or 0), task["invocation_id"])):
        grouped.setdefault(task["policy"], []).append(task)
    return grouped


def _due(tasks: list[dict[str, Any]]) -> Table:
    rows = [
        (
            task["invocation_id"],
            _place(task),
            task["rule"] or "-",
            length(task["age_s"]),
            length(task["limit_s"]),
            length(task["over_s"]),
            _fate(task),
        )
        for task in tasks
    ]
    heads = ("task", "function", "rule", "age", "limit", "over", "what happens")
    return table(heads, rows, right=("age", "limit", "over"))


def _fate(task: dict[str, Any]) -> Text:
    if task["event"] == "would_stop":
        return Text("would stop", STRONG)
    if task["event"] == "ended":
        return Text("ended meanwhile", SOFT)
    if task["event"] == "skipped":
        return Text(_SKIPPED.get(task["why"], task["why"]), SOFT)
    return Text(plain(f"{task.get('detail') or 'failed'}: {task.get('error_code') or ''}"), BAD)


def _aside(lines: list[dict[str, Any]]) -> Table:
    rows = [
        (
            line["invocation_id"],
            _place(line),
            line["policy"] or "-",
            length(line["age_s"]),
            f"{_ASIDE_WORDS[line['event']]}: {plain(line['reason'])}",
        )
        for line in lines
    ]
    return table(("task", "function", "policy", "age", "what happens"), rows, right=("age",))


def _place(line: Mapping[str, Any]) -> str:
    return short(line["service"], line["function"], line["qualifier"])


def _sentences(result: dict[str, Any], tap: Tap) -> Iterator[str]:
    counts = result["counts"]
    listed = f"{counted(counts['listed'], 'task')} listed in {counted(counts['functions'], 'function')}"
    rest = [f"{counts[name]} {name}" for name in ("kept", "exempt", "reported", "unknown") if counts[name]]
    kept = ", ".join(rest) or "none kept"
    if counts["due"]:
        yield f"{counts['due']} due of {listed}: {', '.join(_fates(counts))}. The others: {kept}."
    else:
        yield f"Nothing is due: {listed}, {kept}."
    if counts["stuck"]:
        yield f"{counted(counts['stuck'], 'task')} asked to stop long ago, and still Stopping."
    for line in tap.said("halted"):
        yield f"{line['policy']} is halted: {plain(line['why'])}."
    for line in tap.said("budget_spent"):
        yield f"{line['policy']}: {line['due']} are due, its budget is {line['allowed']}/run; the rest waits."
    yield from (
        f"{line['event']}: {plain(line['why'])}." for line in tap.lines if "trigger_" in line["event"]
    )
    if result["unmatched"]:
        yield f"Targets that stand for no function in task mode: {plain(', '.join(result['unmatched']))}."
    if result["partial"]:
        yield "The run ended early: not everything was looked at."


def _fates(counts: Mapping[str, int]) -> Iterator[str]:
    words = {"would_stop": "would be stopped", "ended": "ended meanwhile", "skipped": "held back",
             "failed": "failed"}  # fmt: skip
    return (f"{counts[name]} {said}" for name, said in words.items() if counts[name])


def _tell_trouble(finished: Finished, tap: Tap) -> None:
    """What could not be looked at, or why there was no look at all, and what to check."""
    failures = tap.said("list_failed")
    for line in failures:
        complain(plain(f"not listed: {_place(line)}: {_refusal(line)}"))
    if not failures:
        complain(*finished.result["errors"])
    complain(*advice_for(failures))


def _refusal(line: Mapping[str, Any]) -> str:
    status = "no answer" if line["http_status"] is None else f"HTTP {line['http_status']}"
    request = f" (request {line['fc_request_id']})" if line.get("fc_request_id") else ""
    return f"{status}, {line['error_code']}: {line['error'][:_LONGEST]}{request}"
