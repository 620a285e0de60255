"""What a run must come to, said a second time in the plainest words: nothing is bounded, nothing shared.

It takes a policy file as plain data, knows no more of the language than `worlds.py` writes, and asks the
product nothing: a fault there has no brother here. An answer is yes, no, or None: nobody can tell.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, NamedTuple

from fc_reaper.models import Function, Task
from tests.builders import NOON

Tree = Mapping[str, Any]
Key = tuple[str | None, str, str]
Record = tuple[Function, str]

ALIVE = ("Enqueued", "Dequeued", "Running", "Retrying")
RUNS_IN = {"queued_for": ("Enqueued", "Dequeued"), "running_for": ("Running",), "alive_for": ALIVE}
BEGINS_WITH = {"queued_for": "Enqueued", "running_for": "Running", "alive_for": "Enqueued"}

WHERE: dict[str, tuple[tuple[str, ...], Callable[..., bool]]] = {
    "payload.order == 'a'": (("order",), lambda order: order == "a"),
    "!(payload.order == 'a')": (("order",), lambda order: order != "a"),
    "payload.n > `1`": (("n",), lambda n: n > 1),
    "payload.n == `2`": (("n",), lambda n: n == 2),
    "payload.n != `2`": (("n",), lambda n: n != 2),
    "payload.gone == 'x'": (("gone",), lambda gone: gone == "x"),
    "payload.gone != 'x'": (("gone",), lambda gone: gone != "x"),
    "status == 'Running'": (("status",), lambda status: status == "Running"),
}
"""What each expression reads, and what it then answers."""

PER: dict[Any, tuple[str, ...]] = {
    None: (),
    "function": ("function",),
    "qualifier": ("function", "qualifier"),
    "payload.order": ("order",),
    "payload.n": ("n",),
    "[payload.order, payload.n]": ("order", "n"),
}
"""By what each `per` tells the groups."""


class Fate(NamedTuple):
    """What becomes of the due tasks of one policy: `due` in their order, some of them held out."""

    due: list[Task]
    held: list[Task]
    selected: list[Task]
    halted: bool


class Outcome(NamedTuple):
    """The verdict of every record, the policy that decided it, and the fate of the due tasks of every
    stop policy."""

    kinds: dict[Record, str]
    decided_by: dict[Record, str]
    fates: dict[str, Fate]


class _Place(NamedTuple):
    """Where a record counts. Of the records of one task the least one stands for it: a spared one first."""

    selectable: bool
    function: str
    group: tuple[Any, ...]
    task: Task


def key_of(task: Task) -> Key:
    """A task is the same under every qualifier."""
    return task.function.service, task.function.name, task.invocation_id


def record_of(task: Task) -> Record:
    """What tells a record from the others of a list: elsewhere its id may come again."""
    return task.function, task.invocation_id


def what_happens(some: Sequence[Task], tree: Tree) -> Outcome:
    """The tasks due by a policy alone, then those that are one too many, then the selected ones."""
    kinds: dict[Record, str] = {}
    decided_by: dict[Record, str] = {}
    names = [one["name"] for one in tree["policies"]]
    due: dict[str, list[tuple[Any, Task]]] = {one["name"]: [] for one in tree["policies"] if "stop" in one}
    for task in some:
        kinds[record_of(task)], policy = _alone(task, tree)
        if kinds[record_of(task)] in ("due", "reported"):
            decided_by[record_of(task)] = policy["name"]
        if kinds[record_of(task)] == "due":
            due[policy["name"]].append((_overdue(task, policy), task))
    keeps = [one for one in tree["policies"] if "keep" in one]
    places = {one["name"]: list(_places(some, one, tree, kinds)) for one in keeps}
    for policy in keeps:
        theirs = {key_of(task) for its_tasks in due.values() for _, task in its_tasks}
        for order, task in _too_many(policy, places[policy["name"]], theirs):
            record = record_of(task)
            kinds[record] = "due" if "stop" in policy else "reported"
            if "stop" in policy:
                due[policy["name"]].append((order, task))
                decided_by[record] = policy["name"]
            else:
                decided_by[record] = min(
                    (decided_by.get(record, policy["name"]), policy["name"]), key=names.index
                )
    newest = {one["name"] for one in keeps if one["keep"]["stop_first"] == "newest"}
    in_order = {
        name: [task for _, task in sorted(its_tasks, reverse=name in newest)]
        for name, its_tasks in due.items()
    }
    stops = [one for one in tree["policies"] if "stop" in one]
    return Outcome(kinds, decided_by, {one["name"]: _fate(one, in_order[one["name"]]) for one in stops})


def _alone(task: Task, tree: Tree) -> tuple[str, Tree]:
    """The verdict as far as no other task has a part in it, and the policy of which it is one."""
    if task.status in ("Succeeded", "Stopped") and task.inconsistency is None:
        return "kept", {}
    exempt = _spares(tree.get("exempt", []), task)
    if exempt:
        return "exempt", {}
    if task.inconsistency is not None:
        return "unknown", {}
    results = [(_applies(one, task), one) for one in tree["policies"] if "keep" not in one]
    stopping = [one for holds, one in results if holds and "stop" in one]
    reporting = [one for holds, one in results if holds and "report" in one]
    if stopping or reporting:
        kind = "unknown" if exempt is None else "due" if stopping else "reported"
        return kind, (stopping + reporting)[0]
    return ("unknown" if any(holds is None for holds, _ in results) else "kept"), {}


def _applies(policy: Tree, task: Task) -> bool | None:
    """Whether a policy without `keep` is about the task, and does not spare it."""
    spared = _spares(policy.get("unless", []), task)
    return _all((_matches(policy, task), None if spared is None else not spared))


def _places(some: Iterable[Task], policy: Tree, tree: Tree, kinds: dict[Record, str]) -> Iterable[_Place]:
    """Who counts for a `keep` policy; who only may turns unknown if nothing else was said of it."""
    for task in some:
        if task.inconsistency is not None or task.status not in ALIVE or kinds[record_of(task)] == "due":
            continue
        exempt, spared = (_spares(where.get(key, []), task) for where, key in
                          ((tree, "exempt"), (policy, "unless")))  # fmt: skip
        matches, group = _matches(policy, task), _group(policy, task)
        if matches is False:
            continue
        counts = matches is True and group is not None and _bounds("alive_for", task)[1] is not None
        if spared is not True and (None in (matches, spared, exempt) or not counts):
            kinds[record_of(task)] = kinds[record_of(task)].replace("kept", "unknown")
        if counts and group is not None:
            yield _Place(exempt is False and spared is False, str(task.function), group, task)


def _too_many(policy: Tree, places: Iterable[_Place], theirs: set[Key]) -> list[tuple[Any, Task]]:
    """Those who are one too many, each with its age and what settles a tie."""
    counted: dict[Key, _Place] = {}
    for place in sorted(places, reverse=True):
        if key_of(place.task) not in theirs:
            counted[key_of(place.task)] = place
    groups: dict[tuple[Any, ...], list[tuple[Any, Task, bool]]] = defaultdict(list)
    for selectable, function, group, task in counted.values():
        groups[group].append(((task.events[0].at, task.invocation_id, function), task, selectable))
    going: list[tuple[Any, Task]] = []
    for members in groups.values():
        in_order = sorted(members, reverse=policy["keep"]["stop_first"] == "newest")
        may_go = [(order, task) for order, task, selectable in in_order if selectable]
        going += may_go[: max(0, len(members) - policy["keep"]["at_most"])]
    return going


def _group(policy: Tree, task: Task) -> tuple[Any, ...] | None:
    known = _facts(task)
    group = tuple(known.get(fact) for fact in PER[policy["keep"].get("per")])
    return None if None in group else group


def _matches(policy: Tree, task: Task) -> bool | None:
    """Whether it watches the function and every part of its `match` holds."""
    watched = any(fnmatchcase(str(task.function), target) for target in policy["targets"])
    return watched and _holds(policy["match"], task)


def _spares(exemptions: Iterable[Any], task: Task) -> bool | None:
    """Whether any of them holds."""
    answers = [_holds({"id": one} if isinstance(one, str) else one, task) for one in exemptions]
    return True if True in answers else None if None in answers else False


def _holds(matcher: Tree, task: Task) -> bool | None:
    return _all(_part_holds(key, value, task) for key, value in matcher.items())


def _all(answers: Iterable[bool | None]) -> bool | None:
    answers = list(answers)
    return False if False in answers else None if None in answers else True


def _part_holds(key: str, value: Any, task: Task) -> bool | None:
    if key == "id":
        return any(
            fnmatchcase(task.invocation_id, one) for one in ([value] if isinstance(value, str) else value)
        )
    if key == "target":
        return fnmatchcase(str(task.function), value)
    if task.inconsistency is not None:
        return None
    if key == "status":
        return task.status in value
    if key == "retries_over":
        return task.status in ALIVE and (None if task.retries is None else task.retries > value)
    if key == "where":
        return _asked(value, task)
    if task.status not in RUNS_IN[key]:
        return False
    return _over(key, task, _limit(value, task))


def _asked(expression: str, task: Task) -> bool | None:
    if " || " in expression:
        one, other = (_asked(side, task) for side in expression.split(" || "))
        return True if True in (one, other) else None if None in (one, other) else False
    if expression.startswith("ages.alive_for > "):
        seconds = int(expression.split("`")[1])
        return _over("alive_for", task, seconds * 1000) if task.status in ALIVE else None
    facts, answer = WHERE[expression]
    known = _facts(task)
    return answer(*(known[fact] for fact in facts)) if all(fact in known for fact in facts) else None


def _over(clock: str, task: Task, limit: int | None) -> bool | None:
    least, most = _bounds(clock, task)
    if limit is None or (least is None and most is None):
        return None
    if least is not None and least > limit:
        return True
    return False if most is not None and most <= limit else None


def _bounds(clock: str, task: Task) -> tuple[int | None, int | None]:
    """In milliseconds, at least and at most. The worlds date every change of status, or none."""
    begun = [event.at for event in task.events if event.status == BEGINS_WITH[clock]]
    if not begun:
        return None, None
    statuses = [event.status for event in task.events]
    restarts = max(statuses.count("Retrying"), statuses.count("Running") - 1)
    complete = task.retries is not None and restarts >= task.retries
    if clock == "alive_for":
        return NOON - begun[0], NOON - begun[0] if complete else None
    return NOON - begun[-1] if complete else None, NOON - begun[-1]


def _limit(limit: Any, task: Task) -> int | None:
    if isinstance(limit, str):
        return {"m": 60_000, "h": 3_600_000}[limit[-1]] * int(limit[:-1])
    carried = _facts(task).get("max")
    if isinstance(carried, str):
        return min(_limit(carried, task) or 0, _limit(limit["at_most"], task) or 0)
    return _limit(limit["else"], task) if "else" in limit else None


def _facts(task: Task) -> dict[str, Any]:
    """All that an expression may read; what is not here nobody knows."""
    function, qualifier = (task.function.service, task.function.name), task.function.qualifier
    facts = {"status": task.status, "function": function, "qualifier": qualifier}
    return {**facts, **json.loads((task.record or {})["invocationPayload"])}


def _overdue(task: Task, policy: Tree) -> Any:
    """Most overdue first, then oldest, then by name."""
    ((clock, limit),) = ((key, value) for key, value in policy["match"].items() if key in RUNS_IN)
    age = _bounds(clock, task)[0] or 0
    return (_limit(limit, task) or 0) - age, -age, str(task.function), task.invocation_id


def _fate(policy: Tree, due: list[Task]) -> Fate:
    held = [task for task in due if _is_held_out(policy, task)]
    left = [task for task in due if task not in held]
    halted = "halt_over" in policy and len(left) > policy["halt_over"]
    return Fate(due, held, [] if halted else left[: budget(policy)], halted)


def budget(policy: Tree) -> int:
    """What it may stop in a run on a day on which nobody stopped anything."""
    return min(number for number in budgets(policy) if number is not None)


def budgets(policy: Tree) -> tuple[int, int | None]:
    """What it may stop in a run, 20 where it does not say, and within a day, None where it does not say."""
    units = {unit: int(number) for number, unit in (part.split("/") for part in policy["budget"].split(", "))}
    return units.get("run", 20), units.get("day")


def _is_held_out(policy: Tree, task: Task) -> bool:
    share = int.from_bytes(sha256(task.invocation_id.encode()).digest()[:8], "big") / 2**64
    return "holdout" in policy and share < int(policy["holdout"].rstrip("%")) / 100
