"""What another entry beside it says already: a clock that a longer one implies, a timer among all timers,
a status in which the clock beside it never runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import Carried, Matcher, Policy, PolicyFile, spell_duration

NAME = "said-twice"


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each clock and each trigger without which the file means the same."""
    for at, mercy in enumerate(file.exempt):
        yield from _in(file.source, f"exempt[{at}]", mercy)
    for number, policy in enumerate(file.policies):
        path = f"policies[{number}]"
        yield from _in(file.source, f"{path}.match", policy.match)
        for at, mercy in enumerate(policy.unless):
            yield from _in(file.source, f"{path}.unless[{at}]", mercy)
        for where, cause, remedy in _triggers(policy):
            yield Remark(file.source, policy.line, f"{path}.{where}", cause, remedy, NAME)


def _triggers(policy: Policy) -> Iterator[tuple[str, str, str]]:
    for at, trigger in enumerate(policy.triggers):
        if trigger.startswith("timer:") and "timer" in policy.triggers:
            cause = f"{trigger} adds nothing to timer, which is every timer"
            yield f"triggers[{at}]", cause, f"write {trigger} alone for that one, or delete it"


def _in(source: str, path: str, matcher: Matcher) -> Iterator[Remark]:
    yield from _clocks(source, path, matcher)
    yield from _statuses(source, path, matcher)


def _statuses(source: str, path: str, matcher: Matcher) -> Iterator[Remark]:
    """A status that another key of the same matcher leaves out."""
    possible = matcher.stated_statuses or ()
    for status in matcher.statuses or () if possible else ():
        if status not in possible:
            key = next(key for key, those in matcher.demands.items() if status not in those)
            cause = f"{status} adds nothing: {key} holds in {' and '.join(matcher.demands[key])} only"
            remedy = f"delete {status}, or give it a matcher of its own"
            yield Remark(source, matcher.line, f"{path}.status", cause, remedy, NAME)


def _clocks(source: str, path: str, matcher: Matcher) -> Iterator[Remark]:
    """Nothing waits, and no attempt runs, for longer than the task is alive."""
    plain = {clock: limit for clock, limit in matcher.limits if not isinstance(limit, Carried)}
    for clock in ("queued_for", "running_for"):
        if clock in plain and "alive_for" in plain and plain["alive_for"] <= plain[clock]:
            spelt = spell_duration(plain[clock])
            cause = f"{clock} {spelt} says so already: what is over it is alive for longer"
            remedy = f"delete it, or write more than {spelt}"
            yield Remark(source, matcher.line, f"{path}.alive_for", cause, remedy, NAME)
