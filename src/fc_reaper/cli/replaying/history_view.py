"""What `backtest` and `diff` say of a history: its span, and all that could not be used of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from fc_reaper.backtest.history import OUTCOMES, Outcome
from fc_reaper.backtest.stats import PolicyReplay, Replay
from fc_reaper.cli.hints import advice
from fc_reaper.cli.output import counted, print_error, printable, short
from fc_reaper.cli.planning.planfile import iso
from fc_reaper.cli.replaying.history import Loaded
from fc_reaper.models import Millis, Task
from fc_reaper.policy import Policy, spell_duration
from fc_reaper.sweep.report import place_fields

_SHOWN = 5
_LONGEST = 160

OUTCOME_WORDS: dict[Outcome, tuple[str, str]] = {
    "succeeded": ("succeeded in truth: a false stop", "succeeded in truth: false stops"),
    "failed": ("failed, expired or was invalid", "failed, expired or were invalid"),
    "censored": (
        "was stopped by somebody, so nobody knows how it would have ended",
        "were stopped by somebody, so nobody knows how they would have ended",
    ),
    "open": ("was still alive when the history ends", "were still alive when the history ends"),
    "unknown": (
        "has a status that nobody here knows, so its end is unknown",
        "have a status that nobody here knows, so their ends are unknown",
    ),
}
"""How tasks ended in truth, in a sentence about one and about several."""


def fate(outcome: Outcome, number: int) -> str:
    """How so many tasks ended, in words."""
    one, many = OUTCOME_WORDS[outcome]
    return f"{number} {one if number == 1 else many}"


def columns(counted: Iterable[Mapping[Outcome, int]]) -> list[Outcome]:
    """The outcomes that a table shows: `unknown` only where there is one, since it is rare."""
    rare = any(one.get("unknown") for one in counted)
    return [outcome for outcome in OUTCOMES if outcome != "unknown" or rare]


def minute(moment: Millis) -> str:
    """A moment in UTC for a table."""
    return datetime.fromtimestamp(moment / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M")


def place(task: Task) -> str:
    """The function of a task as people write it."""
    return short(*task.function)


def headline(loaded: Loaded, replay: Replay | None) -> Iterator[str]:
    """What was read, and how often a timer would have rung."""
    history, sifted = loaded.history, loaded.sifted
    span = f" from {minute(history.begin)} to {minute(history.end)} UTC" if history.tasks else ""
    usable = counted(len(history.tasks), "task")
    yield f"{printable(loaded.source)}: {counted(sifted.records, 'record')}, {usable} to be replayed{span}."
    if replay is not None and replay.runs:
        times = counted(replay.runs, "time")
        yield f"A timer every {spell_duration(replay.interval)} would have run {times}."


def remarks(loaded: Loaded, replays: Iterable[tuple[str, Replay]]) -> Iterator[str]:
    """All that was left out, and why; *replays* have names that tell them apart, empty for a single one."""
    sifted = loaded.sifted
    if loaded.broken:
        shown = "; ".join(f"line {number}: {why}" for number, why in loaded.broken[:_SHOWN])
        more = f"; and {len(loaded.broken) - _SHOWN} more" if len(loaded.broken) > _SHOWN else ""
        yield printable(f"{counted(len(loaded.broken), 'line is', 'lines are')} no record: {shown}{more}.")
    if sifted.undated:
        said = counted(sifted.undated, "record has", "records have")
        yield f"{said} no dated events, or not only, and cannot be replayed; --read asks the cloud for each."
    if sifted.inconsistent:
        shown = "; ".join(f"{task.invocation_id}: {why}" for task, why in sifted.inconsistent[:_SHOWN])
        number = len(sifted.inconsistent)
        more = f"; and {number - _SHOWN} more" if number > _SHOWN else ""
        one = "record contradicts itself, so nothing follows from it"
        said = counted(number, one, "records contradict themselves, so nothing follows from them")
        yield printable(f"{said}: {shown}{more}.")
    if sifted.repeated:
        said = counted(sifted.repeated, "record is", "records are")
        yield f"{said} about a task that has another one; the one that knows most counts."
    if sifted.unseen_retries:
        said = counted(sifted.unseen_retries, "task was", "tasks were")
        yield f"{said} retried more often than dated events tell; retries_over sees only those."
    for name, replay in replays:
        of = f" of {name}" if name else ""
        if replay.outside:
            yield f"{counted(replay.outside, 'task is', 'tasks are')} outside the targets{of}."
        for policy in replay.not_replayed:
            yield f"{policy.name}{of} was not replayed: only {' or '.join(policy.triggers)} runs it."
        yield from (printable(f"{unjudged(each, of)}.") for each in replay.policies if each.unknown)
    if loaded.unmatched:
        targets = ", ".join(map(str, loaded.unmatched))
        yield printable(f"Targets that stand for no function in task mode: {targets}.")
    if loaded.saved is not None:
        payloads = "with" if loaded.payloads else "without"
        saved = counted(loaded.saved_records, "record")
        yield printable(f"{loaded.saved}: {saved} {payloads} payloads, for --history.")


def unjudged(one: PolicyReplay, of: str = "") -> str:
    """How many tasks a policy could not judge, and what was lacking."""
    (why, _), *others = one.unknown_why.most_common(2)
    more = ", among other reasons" if others else ""
    lost = "payload" in why
    advice = "; if it was saved without payloads, save it again with this policy" if lost else ""
    return f"{counted(one.unknown, 'task')} could not be judged by {one.policy.name}{of}: {why}{more}{advice}"


def tell_refusals(loaded: Loaded) -> None:
    """What could not be asked of the cloud, on standard error, and what to check."""
    for what, error in loaded.refused[:20]:
        status = "no answer" if error.http_status is None else f"HTTP {error.http_status}"
        print_error(printable(f"not listed: {what}: {status}, {error.error_code}: {error.detail[:_LONGEST]}"))
    if len(loaded.refused) > 20:
        print_error(f"and {len(loaded.refused) - 20} more")
    print_error(*dict.fromkeys(advice(error.http_status, error.error_code) for _, error in loaded.refused))


def history_as_json(loaded: Loaded) -> dict[str, Any]:
    """The same for programs."""
    history, sifted = loaded.history, loaded.sifted
    return {
        "source": loaded.source,
        "records": sifted.records,
        "replayed": len(history.tasks),
        "begin": iso(history.begin) if history.tasks else None,
        "end": iso(history.end) if history.tasks else None,
        "undated": sifted.undated,
        "contradicting": [{**identity(task), "why": why} for task, why in sifted.inconsistent],
        "repeated": sifted.repeated,
        "retried_more_than_told": sifted.unseen_retries,
        "broken_lines": [{"line": number, "why": why} for number, why in loaded.broken],
        "not_listed": [
            {
                "what": what,
                "http_status": error.http_status,
                "error_code": error.error_code,
                "error": error.detail,
            }
            for what, error in loaded.refused
        ],
        "unmatched": [str(target) for target in loaded.unmatched],
        "saved": loaded.saved,
    }


def replay_as_json(replay: Replay) -> dict[str, Any]:
    """When it ran, and what it left out."""
    return {
        "interval_s": replay.interval / 1000,
        "runs": replay.runs,
        "first_run": None if replay.first is None else iso(replay.first),
        "last_run": None if replay.last is None else iso(replay.last),
        "outside_targets": replay.outside,
        "not_replayed": [asleep_as_json(policy) for policy in replay.not_replayed],
    }


def asleep_as_json(policy: Policy) -> dict[str, Any]:
    """A policy that no timer runs."""
    return {"name": policy.name, "triggers": list(policy.triggers)}


def identity(task: Task) -> dict[str, Any]:
    """What tells a task from all others."""
    return {
        **place_fields(task.function),
        "invocation_id": task.invocation_id,
        "request_id": task.request_id,
    }


def seconds(length: Millis) -> float:
    """Milliseconds as seconds, whole where they are."""
    return length / 1000
