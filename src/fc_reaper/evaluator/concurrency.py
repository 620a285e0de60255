"""`keep`: of what matches only so many may be alive at once. Who is one too many, and who stays.

A task counts in the population of a policy when it is alive, matches, and its age and group are known.
Of each group the first or the last so many, by their first enqueueing, stay; the rest is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from fc_reaper.evaluator.verdict import KEEP, Kind, Member, Verdict
from fc_reaper.models import Function, Millis, Task
from fc_reaper.policy import Keep, Policy
from fc_reaper.rules.expression import Expression
from fc_reaper.rules.matcher import Moment, RuleResult
from fc_reaper.rules.subject import Subject

MOST = 50_000
"""Tasks of one policy that are counted in one run, itself allowed; beyond it nothing is concluded."""

Key = tuple[str, str, str]
"""Service, function and invocation id: whatever it was found under, a task counts once."""


def key_of(task: Task) -> Key:
    """What tells a task from the others of its population."""
    return (*_home(task.function), task.invocation_id)


def _home(function: Function) -> tuple[str, str]:
    """Service and name of a function, the same under both its names: `media/transcode`, `media$transcode`."""
    if function.service is not None:
        return function.service, function.name
    service, dollar, name = function.name.partition("$")
    return (service, name) if dollar else ("", function.name)


def place(policy: Policy, task: Task, view: Moment) -> Member | RuleResult:
    """The place of a task, known to match, in the population of *policy*; unknown without age or group."""
    keep = policy.keep
    assert keep is not None
    since = _first_enqueued(task, view)
    if isinstance(since, RuleResult):
        return since
    group = _group(keep, task, view)
    if isinstance(group, RuleResult):
        return group
    clock = "events" if task.events else "started_time"
    return Member(policy.name, group, since, view.now - since, clock, choosable=True, asked=True)


def _first_enqueued(task: Task, view: Moment) -> Millis | RuleResult:
    """When it was first enqueued: who came first is settled by what is sure."""
    if task.events:
        first = task.events[0]
        if first.status == "Enqueued" and not task.undated and first.at <= view.now:
            return first.at
    elif view.started_time == "enqueue" and task.started_at is not None and 0 < task.started_at <= view.now:
        return task.started_at
    elif not view.read:
        return RuleResult(None, KEEP, why="its events were not listed", unread=True)
    return RuleResult(None, KEEP, why="nothing dated tells when it was first enqueued")


def _group(keep: Keep, task: Task, view: Moment) -> str | RuleResult:
    if keep.per is None:
        return ""
    if keep.per == "function":
        return _digest(_home(task.function))
    if keep.per == "qualifier":
        return _digest([*_home(task.function), task.function.qualifier])
    return _answered(keep.per, task, view)


def _answered(per: Expression, task: Task, view: Moment) -> str | RuleResult:
    from fc_reaper.rules.asking import Undecided, ask

    facts = view.facts or Subject(task, view.now, view.started_time)
    try:
        return _digest(_canonical(ask(per, facts.subject(per))))
    except Undecided as undecided:
        unread = not view.read and facts.lacks(per)
        return RuleResult(None, KEEP, why=f"per: {undecided.why}", unread=unread)
    except (RecursionError, TypeError, ValueError) as error:
        return RuleResult(None, KEEP, why=f"per: its answer cannot be compared: {type(error).__name__}")


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """1.0 and 1 are one number in JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return {name: _canonical(item) for name, item in value.items()} if isinstance(value, dict) else value


class Population:
    """All tasks that count for one policy in one run."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.overflown = False
        self._members: dict[Key, tuple[Member, Task]] = {}
        self._taken: set[Key] = set()

    def add(self, member: Member, task: Task) -> bool:
        """Count a task, once however often it was listed; False when there are too many to be counted.

        Found under several qualifiers it is the same one, whichever came first: spared if it is so under any.
        """
        key = key_of(task)
        before = self._members.get(key)
        if before is None and len(self._members) >= MOST:
            self.overflown = True
            return False
        if key not in self._taken and (before is None or stands_for(member, task) <= stands_for(*before)):
            self._members[key] = member, task
        return True

    def forget(self, task: Task) -> None:
        """Count a task no more, nor if it is found once again: another policy stops it."""
        key = key_of(task)
        self._members.pop(key, None)
        if len(self._taken) < MOST or key in self._taken:
            self._taken.add(key)
        else:
            self.overflown = True

    def excess(self) -> Iterator[tuple[Task, Member, tuple[Task, ...]]]:
        """Who is one too many, asked about or not, with their group: first those of it who stay."""
        groups: dict[str, list[tuple[Member, Task]]] = {}
        for one in self._members.values():
            groups.setdefault(one[0].group, []).append(one)
        for group in groups.values():
            yield from self._of(group)

    def _of(self, group: list[tuple[Member, Task]]) -> Iterator[tuple[Task, Member, tuple[Task, ...]]]:
        keep = self.policy.keep
        assert keep is not None
        too_many = len(group) - keep.at_most
        if too_many <= 0:
            return
        group.sort(key=lambda one: by_age(*one), reverse=keep.stop_first == "newest")
        going = [one for one in group if one[0].choosable][:too_many]
        gone = {key_of(task) for _, task in going}
        # Who goes last stands before all the others who go, should one of those who stay be gone by then.
        kept = (task for _, task in group if key_of(task) not in gone)
        stays = (*kept, *(task for _, task in reversed(going)))
        yield from ((task, member, stays) for member, task in going)


def stands_for(member: Member, task: Task) -> tuple[bool, bool, str]:
    """Which of a task's records counts where it was found under several qualifiers: the first in order."""
    return member.choosable, not member.asked, str(task.function)


def by_age(member: Member, task: Task) -> tuple[Millis, str, str]:
    """Oldest first, by first enqueueing; of two that came at the same moment the larger id is newer."""
    return member.since, task.invocation_id, str(task.function)


def too_many(policy: Policy, member: Member, verdict: Verdict, *, later: bool = False) -> Verdict:
    """The verdict of a task that is one too many for *policy*, who had *verdict* so far.

    *later* says that *policy* stands behind the one which reports it already: of two reports the first wins.
    """
    if later and not policy.stops and verdict.kind is Kind.REPORTED:
        return verdict._replace(also=tuple(dict.fromkeys((*verdict.also, policy.name))))
    others = (verdict.policy,) if verdict.kind is Kind.REPORTED and verdict.policy else ()
    also = dict.fromkeys((*others, *verdict.also))
    kind = Kind.DUE if policy.stops else Kind.REPORTED
    return Verdict(
        kind, policy.reason, policy.name, KEEP, member.age, None, member.clock, tuple(also),
        policy.line, members=(member,),
    )  # fmt: skip


def still_counted(policy: Policy, due: Member, other: Member, due_task: Task, other_task: Task) -> bool:
    """Whether *other*, read again, is a reason why *due* is one too many: it counts, and stands before it."""
    if (other.policy, other.group) != (policy.name, due.group) or key_of(other_task) == key_of(due_task):
        return False
    if not other.choosable:
        return True
    keep = policy.keep
    assert keep is not None
    one, two = by_age(other, other_task), by_age(due, due_task)
    return one < two if keep.stop_first == "newest" else one > two
