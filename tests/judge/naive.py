"""What `choose` must come to, said a second time in the plainest words: no bounds of memory, nothing at once.

It asks `claim` of one policy at a time, and decides by itself what needs the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

from fc_reaper.judge.verdict import Kind, Member
from fc_reaper.model import Task
from fc_reaper.policy import Matcher, Policy, PolicyFile
from tests.judge.worlds import judged, loaded

Key = tuple[str | None, str, str]

_EVERYBODY = loaded(
    {"version": 1, "policies": [{"name": "all", "targets": ["media/*@*"], "stop": "x", "triggers": ["task"],
     "match": {"status": ["Enqueued", "Dequeued", "Running", "Retrying"]}}]}
)  # fmt: skip


class Fate(NamedTuple):
    """What becomes of the due tasks of one policy: `due` in their order, some of them held out."""

    due: list[Task]
    held: list[Task]
    chosen: list[Task]
    halted: bool


def key_of(task: Task) -> Key:
    """A task is the same under every qualifier."""
    return task.function.service, task.function.name, task.invocation_id


def fates(some: Sequence[Task], file: PolicyFile) -> dict[str, Fate]:
    """The fate of the due tasks of every stop policy."""
    due = _overdue(some, file)
    theirs = {key_of(task) for tasks in due.values() for task in tasks}
    for policy in file.policies:
        if policy.keep is not None and policy.stops:
            due[policy.name] = _too_many(policy, [task for task in some if key_of(task) not in theirs], file)
            theirs |= {key_of(task) for task in due[policy.name]}
    return {one.name: _fate(one, due.get(one.name, [])) for one in file.policies if one.stops}


def _overdue(some: Sequence[Task], file: PolicyFile) -> dict[str, list[Task]]:
    """Who is due by a policy alone, most overdue first."""
    alone = replace(file, policies=tuple(one for one in file.policies if one.keep is None))
    due: dict[str, list[tuple[Any, Task]]] = defaultdict(list)
    for task in some:
        verdict = judged(task, alone)
        if verdict.kind is Kind.DUE:
            order = (-(verdict.over or 0), -(verdict.age or 0), str(task.function), task.invocation_id)
            due[verdict.policy or ""].append((order, task))
    return {name: [task for _, task in sorted(tasks)] for name, tasks in due.items()}


def _too_many(policy: Policy, some: Sequence[Task], file: PolicyFile) -> list[Task]:
    """Who is one too many by a `keep` policy; of the same task under several qualifiers one counts."""
    assert policy.keep is not None
    newest = policy.keep.stop_first == "newest"
    groups: dict[str, list[tuple[Any, Task, bool]]] = defaultdict(list)
    counted: dict[Key, tuple[bool, str, Member, Task]] = {}
    for task in some:
        member = _place(policy, task)
        mercies = [_holds(mercy, task) for mercy in (file.exempt, policy.unless)]
        if member is not None and None not in mercies:
            one = (not any(mercies), str(task.function), member, task)
            counted[key_of(task)] = min(counted.get(key_of(task), one), one)
    for choosable, function, member, task in counted.values():
        order = (member.since, task.invocation_id, function)
        groups[member.group].append((order, task, choosable))
    due: list[tuple[Any, Task]] = []
    for group in groups.values():
        going = [(order, task) for order, task, choosable in sorted(group, reverse=newest) if choosable]
        due += going[: max(0, len(group) - policy.keep.at_most)]
    return [task for _, task in sorted(due, reverse=newest)]


def _place(policy: Policy, task: Task) -> Member | None:
    """The task's place among those that match, whoever is spared."""
    alone = PolicyFile(1, (), (replace(policy, unless=()),), "one policy")
    return next(iter(judged(task, alone).members), None)


def _holds(mercy: tuple[Matcher, ...], task: Task) -> bool | None:
    """Whether one of the entries spares the task; None where nobody can tell."""
    kind = judged(task, replace(_EVERYBODY, exempt=mercy)).kind
    return None if kind is Kind.UNKNOWN else kind is Kind.EXEMPT


def _fate(policy: Policy, due: list[Task]) -> Fate:
    held = [task for task in due if _is_held_out(policy, task)]
    left = [task for task in due if task not in held]
    halted = policy.halt_over is not None and len(left) > policy.halt_over
    return Fate(due, held, [] if halted else left[: budget(policy)], halted)


def budget(policy: Policy) -> int:
    """What it may stop in a run on a day on which nobody stopped anything."""
    return policy.per_run if policy.per_day is None else min(policy.per_run, policy.per_day)


def _is_held_out(policy: Policy, task: Task) -> bool:
    share = int.from_bytes(sha256(task.invocation_id.encode()).digest()[:8], "big") / 2**64
    return policy.holdout is not None and share < policy.holdout / 10_000
