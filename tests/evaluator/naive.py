"""What a run must come to, said a second time in the plainest words: nothing is bounded, nothing shared.

It takes a policy file as plain data, knows no more of the language than `worlds.py` writes, and asks the
product nothing: a fault there has no brother here. An answer is yes, no, or None: nobody can tell.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, NamedTuple

from fc_reaper.models import Function, Task
from tests.builders import NOON
from tests.evaluator.second_reading import HOLDS_IN, Bounds, Now, bounds, is_unknown, verdict

Tree = Mapping[str, Any]
Key = tuple[str | None, str, str]
Record = tuple[Function, str]

ALIVE = HOLDS_IN["alive_for"]

Facts = Mapping[str, Any]
Answer = bool | None


class Present(NamedTuple):
    """When everything is evaluated, and what `startedTime` is taken for."""

    now: Now = Now(NOON, NOON)
    started_time: str = "unknown"


AT_NOON = Present()


def _if_known(facts: Facts, name: str, answer: Callable[[Any], bool], kind: type = object) -> Answer:
    """The answer about a fact; none about what is absent, or of another kind."""
    return answer(facts[name]) if isinstance(facts.get(name), kind) and name in facts else None


def _any(answers: Iterable[Answer]) -> Answer:
    return _not(_all(_not(answer) for answer in answers))


def _all(answers: Iterable[Answer]) -> Answer:
    answers = list(answers)
    return False if False in answers else None if None in answers else True


def _not(answer: Answer) -> Answer:
    return None if answer is None else not answer


def _order(facts: Facts) -> Answer:
    return _if_known(facts, "order", lambda order: order == "a", str)


def _many(facts: Facts) -> Answer:
    return _if_known(facts, "n", lambda n: n > 1, int)


WHERE: dict[str, Callable[[Facts], Answer]] = {
    "payload.order == 'a'": _order,
    "!(payload.order == 'a')": lambda facts: _not(_order(facts)),
    "payload.n > `1`": _many,
    "payload.n == `2`": lambda facts: _if_known(facts, "n", lambda n: n == 2, int),
    "payload.n != `2`": lambda facts: _if_known(facts, "n", lambda n: n != 2, int),
    "payload.gone == 'x'": lambda facts: None,
    "payload.gone != 'x'": lambda facts: None,
    "ages.alive_for > `7200`": lambda facts: facts["two hours alive"],
    "status == 'Running'": lambda facts: facts["status"] == "Running",
    "payload.order == 'a' || payload.n > `1`": lambda facts: _any((_order(facts), _many(facts))),
    "payload.order == 'a' && payload.n > `1`": lambda facts: _all((_order(facts), _many(facts))),
}
"""What each expression comes to."""

CARRIED = {"20m": 20, "2h": 120, "forever": 10**6, "0.5 hours": 30}
"""In minutes; what else tasks carry is no limit."""

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
    born: int
    task: Task


def key_of(task: Task) -> Key:
    """A task is the same under every qualifier."""
    return task.function.service, task.function.name, task.invocation_id


def record_of(task: Task) -> Record:
    """What tells a record from the others of a list: elsewhere its id may come again."""
    return task.function, task.invocation_id


def what_happens(some: Sequence[Task], tree: Tree, at: Present = AT_NOON) -> Outcome:
    """The tasks due by a policy alone, then those that are one too many, then the selected ones."""
    kinds: dict[Record, str] = {}
    decided_by: dict[Record, str] = {}
    names = [one["name"] for one in tree["policies"]]
    due: dict[str, list[tuple[Any, Task]]] = {one["name"]: [] for one in tree["policies"] if "stop" in one}
    for task in some:
        kinds[record_of(task)], policy = _alone(task, tree, at)
        if kinds[record_of(task)] in ("due", "reported"):
            decided_by[record_of(task)] = policy["name"]
        if kinds[record_of(task)] == "due":
            due[policy["name"]].append((_overdue(task, policy, at), task))
    keeps = [one for one in tree["policies"] if "keep" in one]
    places = {one["name"]: list(_places(some, one, tree, kinds, at)) for one in keeps}
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


def _alone(task: Task, tree: Tree, at: Present) -> tuple[str, Tree]:
    """The verdict as far as no other task has a part in it, and the policy of which it is one."""
    if task.status in ("Succeeded", "Stopped") and task.inconsistency is None:
        return "kept", {}
    exempt = _spares(tree.get("exempt", []), task, at)
    if exempt:
        return "exempt", {}
    if task.inconsistency is not None or is_unknown(_record(task), at.now):
        return "unknown", {}
    results = [(_applies(one, task, at), one) for one in tree["policies"] if "keep" not in one]
    stopping = [one for holds, one in results if holds and "stop" in one]
    reporting = [one for holds, one in results if holds and "report" in one]
    if stopping or reporting:
        kind = "unknown" if exempt is None else "due" if stopping else "reported"
        return kind, (stopping + reporting)[0]
    return ("unknown" if any(holds is None for holds, _ in results) else "kept"), {}


def _applies(policy: Tree, task: Task, at: Present) -> Answer:
    """Whether a policy without `keep` is about the task, and does not spare it."""
    return _all((_matches(policy, task, at), _not(_spares(policy.get("unless", []), task, at))))


def _places(
    some: Iterable[Task], policy: Tree, tree: Tree, kinds: dict[Record, str], at: Present
) -> Iterable[_Place]:
    """Who counts for a `keep` policy; who only may turns unknown if nothing else was said of it.

    Whoever is spared, or may be, counts and is never chosen.
    """
    for task in some:
        if task.inconsistency is not None or task.status not in ALIVE or kinds[record_of(task)] == "due":
            continue
        exempt, spared = (_spares(where.get(key, []), task, at) for where, key in
                          ((tree, "exempt"), (policy, "unless")))  # fmt: skip
        matches, group, born = _matches(policy, task, at), _group(policy, task, at), _born(task, at)
        if matches is False:
            continue
        certain = matches and group is not None and born is not None
        if spared is not True and (not certain or None in (exempt, spared)):
            kinds[record_of(task)] = kinds[record_of(task)].replace("kept", "unknown")
        if not certain or group is None or born is None:
            continue
        yield _Place(exempt is False and spared is False, str(task.function), group, born, task)


def _born(task: Task, at: Present) -> int | None:
    """When it was first enqueued, if that is certain."""
    if is_unknown(_record(task), at.now):
        return None
    age = bounds(_record(task), "alive_for", *at)
    return None if age.most is None or age.least is None else at.now.latest - age.most


def _too_many(policy: Tree, places: Iterable[_Place], theirs: set[Key]) -> list[tuple[Any, Task]]:
    """Those who are one too many, each with its age and what settles a tie."""
    counted: dict[Key, _Place] = {}
    for place in sorted(places, reverse=True):
        if key_of(place.task) not in theirs:
            counted[key_of(place.task)] = place
    groups: dict[tuple[Any, ...], list[tuple[Any, Task, bool]]] = defaultdict(list)
    for selectable, function, group, born, task in counted.values():
        groups[group].append(((born, task.invocation_id, function), task, selectable))
    going: list[tuple[Any, Task]] = []
    for members in groups.values():
        in_order = sorted(members, reverse=policy["keep"]["stop_first"] == "newest")
        may_go = [(order, task) for order, task, selectable in in_order if selectable]
        going += may_go[: max(0, len(members) - policy["keep"]["at_most"])]
    return going


def _group(policy: Tree, task: Task, at: Present) -> tuple[Any, ...] | None:
    """None where a part of the key is absent, or nobody filled it in."""
    known = _facts(task, at)
    parts = PER[policy["keep"].get("per")]
    if any(
        part not in known or known[part] in (None, [], {}) or not str(known[part]).strip() for part in parts
    ):
        return None
    return tuple(known[part] for part in parts)


def _matches(policy: Tree, task: Task, at: Present) -> Answer:
    """Whether it watches the function and every part of its `match` holds."""
    watched = any(fnmatchcase(str(task.function), target) for target in policy["targets"])
    return watched and _holds(policy["match"], task, at)


def _spares(exemptions: Iterable[Any], task: Task, at: Present) -> Answer:
    """Whether any of them holds."""
    return _any(_holds({"id": one} if isinstance(one, str) else one, task, at) for one in exemptions)


def _holds(matcher: Tree, task: Task, at: Present) -> Answer:
    return _all(_part_holds(key, value, task, at) for key, value in matcher.items())


def _part_holds(key: str, value: Any, task: Task, at: Present) -> Answer:
    if key == "id":
        return any(
            fnmatchcase(task.invocation_id, one) for one in ([value] if isinstance(value, str) else value)
        )
    if key == "target":
        return fnmatchcase(str(task.function), value if "@" in value else f"{value}@*")
    if key == "because":
        return True
    if key == "until":
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() * 1000 >= at.now.earliest
    if task.inconsistency is not None or is_unknown(_record(task), at.now):
        return None
    if key == "status":
        return task.status in value
    if key == "retries_over":
        return _all((task.status in ALIVE, None if task.retries is None else task.retries > value))
    if key == "where":
        return WHERE[value](_facts(task, at))
    if task.status not in HOLDS_IN[key]:
        return False
    limit = _limit(value, task, at)
    return None if limit is None else verdict(_record(task), key, *at, limit)


def _limit(limit: Any, task: Task, at: Present) -> int | None:
    if isinstance(limit, str):
        return {"m": 60_000, "h": 3_600_000}[limit[-1]] * int(limit[:-1])
    carried = _facts(task, at).get("max")
    if isinstance(carried, str) and carried in CARRIED:
        return min(CARRIED[carried] * 60_000, _limit(limit["at_most"], task, at) or 0)
    return _limit(limit["else"], task, at) if "else" in limit else None


def _record(task: Task) -> dict[str, Any]:
    """What the second reading reads: the record by its wire names."""
    dated: list[dict[str, Any]] = [
        {"eventId": event.id, "status": event.status, "timestamp": event.at} for event in task.events
    ]
    record = {"status": task.status, "events": [*dated, *({"status": status} for status in task.undated)]}
    known = {"startedTime": task.started_at, "alreadyRetriedTimes": task.retries}
    return {**record, **{key: value for key, value in known.items() if value is not None}}


def _facts(task: Task, at: Present) -> dict[str, Any]:
    """All that an expression may read; what is not here nobody knows."""
    function, qualifier = (task.function.service, task.function.name), task.function.qualifier
    facts: dict[str, Any] = {"status": task.status, "function": function, "qualifier": qualifier}
    alive = task.status in ALIVE
    facts["two hours alive"] = verdict(_record(task), "alive_for", *at, 7_200_000) if alive else None
    payload: dict[str, Any] = json.loads((task.record or {})["invocationPayload"])
    return facts | payload


def _overdue(task: Task, policy: Tree, at: Present) -> Any:
    """Most overdue first, then oldest, then by name; by the ages that are certain."""
    ((clock, limit),) = ((key, value) for key, value in policy["match"].items() if key in HOLDS_IN)
    age: Bounds = bounds(_record(task), clock, *at)
    least = age.least or 0
    return (_limit(limit, task, at) or 0) - least, -least, str(task.function), task.invocation_id


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
