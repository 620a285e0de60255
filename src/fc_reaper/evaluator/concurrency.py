"""`keep`: of what matches, at most so many may be alive in each concurrency group; the rest is due."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from fc_reaper.models import Function, Millis, Task
from fc_reaper.policy import Policy
from fc_reaper.rules.ages import Reading
from fc_reaper.rules.expression import Expression, Undecided, ask
from fc_reaper.rules.result import KEEP, TRUE, UNKNOWN, Kind, Member, RuleResult, Verdict

MOST = 50_000  # the most tasks of one policy that are counted; beyond it nothing follows from the count
_INVISIBLE = "\u115f\u1160\u3164\uffa0"  # the letters that show nothing
Key = tuple[str, str]  # function and invocation id


def key_of(task: Task) -> Key:
    """What identifies a task among the members of its group, under whatever qualifiers it was found."""
    return name_of(task.function), task.invocation_id


def name_of(function: Function) -> str:
    """The same for both spellings of a function: `media/transcode` and `media$transcode`."""
    return function.name if function.service is None else f"{function.service}${function.name}"


def member_of(policy: Policy, reading: Reading) -> Member | RuleResult:
    """The place of a task that matches *policy* in its group; unknown without first enqueueing or group."""
    assert policy.keep is not None
    task, per = reading.task, policy.keep.per
    since, latest, source = reading.bounds("alive_for")
    if since is None or since != latest:
        unread = not task.events and not reading.read
        why = "its events were not listed" if unread else "its record does not fix its first enqueueing"
        return RuleResult(UNKNOWN, KEEP, why=why, unread=unread)
    group: Any = per and [name_of(task.function)]
    if per == "qualifier":
        group.append(task.function.qualifier)
    if isinstance(per, Expression):
        try:
            group = _group_key(ask(per, reading, object))
        except Undecided as undecided:
            return undecided.result("per")._replace(rule=KEEP)
    digest = sha256(json.dumps(group, sort_keys=True).encode()).hexdigest()
    age = max(0, reading.moment.earliest - since)
    return Member(policy.name, digest, since, age, source or "", selectable=True, in_scope=True)


def _group_key(value: Any) -> Any:
    """*value* as what makes a group, where 1.0 is 1; Undecided if something in it is empty, or blank text."""
    blank = isinstance(value, str) and not any(one.isalnum() and one not in _INVISIBLE for one in value)
    if blank or value in (None, [], {}):
        raise Undecided("it answers nothing, or something that holds nothing")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_group_key(item) for item in value]
    if isinstance(value, dict):
        return {name: _group_key(item) for name, item in value.items()}
    if not isinstance(value, (str, int, float)):
        raise Undecided("it answers what is no JSON")
    return value


class ConcurrencyGroups:
    """The tasks that count for one `keep` policy in one run. `overflowed` says that they are too many."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.overflowed = False
        self._members: dict[Key, tuple[Member, Task]] = {}
        self._excluded: set[Key] = set()

    def add(self, member: Member, task: Task) -> bool:
        """Count a task once, however often it was listed; False when there are too many to count."""
        # Of its records under several qualifiers a spared one counts first, then one in scope.
        key = key_of(task)
        before = self._members.get(key)
        if before is None and len(self._members) >= MOST:
            self.overflowed = True
            return False
        if key not in self._excluded and (before is None or _rank(member, task) <= _rank(*before)):
            self._members[key] = member, task
        return True

    def exclude(self, task: Task) -> None:
        """Count a task no more, also if it is listed again: another policy stops it."""
        key = key_of(task)
        self._members.pop(key, None)
        if len(self._excluded) < MOST or key in self._excluded:
            self._excluded.add(key)
        else:
            self.overflowed = True

    def excess(self) -> Iterator[tuple[Task, Member, tuple[Task, ...]]]:
        """The tasks that are one too many, each with its group: first the tasks of it that stay."""
        groups: dict[str, list[tuple[Member, Task]]] = {}
        for one in self._members.values():
            groups.setdefault(one[0].group, []).append(one)
        keep = self.policy.keep
        assert keep is not None
        for group in groups.values():
            more = len(group) - keep.at_most
            if more > 0:
                group.sort(key=lambda one: by_age(*one), reverse=keep.stop_first == "newest")
                going = [one for one in group if one[0].selectable][:more]
                keys = {key_of(task) for _, task in going}
                stay = [task for _, task in group if key_of(task) not in keys]
                # The last to be stopped comes first of them, should one of those that stay be gone by then.
                order = (*stay, *(task for _, task in reversed(going)))
                yield from ((task, member, order) for member, task in going)


def _rank(member: Member, task: Task) -> tuple[bool, bool, str]:
    return member.selectable, not member.in_scope, str(task.function)


def by_age(member: Member, task: Task) -> tuple[Millis, str, str]:
    """Oldest first, by first enqueueing; of two from the same moment the one with the larger id is newer."""
    return member.since, task.invocation_id, str(task.function)


def too_many(policy: Policy, member: Member, verdict: Verdict, *, later: bool = False) -> Verdict:
    """The verdict on a task that is one too many for *policy*; of several reports not the *later* one."""
    reported = verdict.policy if verdict.kind is Kind.REPORTED else None
    if later and reported and not policy.stops:
        return verdict._replace(also=tuple(dict.fromkeys((*verdict.also, policy.name))))
    also = tuple(dict.fromkeys((*([reported] if reported else []), *verdict.also)))
    by = RuleResult(TRUE, KEEP, member.age, clock=member.clock)
    kind = Kind.DUE if policy.stops else Kind.REPORTED
    return Verdict(kind, policy.reason, policy.name, policy.line, by, also, (member,), member.owner)


def still_counted(policy: Policy, due: Member, other: Member, due_task: Task, other_task: Task) -> bool:
    """Whether *other*, read again, still makes *due* one too many: it counts and is stopped after it."""
    if (other.policy, other.group) != (policy.name, due.group) or key_of(other_task) == key_of(due_task):
        return False
    assert policy.keep is not None
    older = by_age(other, other_task) < by_age(due, due_task)
    return not other.selectable or older is (policy.keep.stop_first == "newest")
