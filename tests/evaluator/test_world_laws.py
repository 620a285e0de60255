"""What holds for every policy file and every group of tasks, in the whole language."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.evaluator.select import Allowance, Selection, select
from fc_reaper.models import Function, Task
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.result import KEEP, Kind, Verdict
from tests.builders import NOON
from tests.evaluator import worlds
from tests.evaluator.naive import budget, key_of, record_of, what_happens
from tests.evaluator.worlds import World, evaluated, evaluations, loaded, may_be_stopped

CLOCKS = ("queued_for", "running_for", "alive_for")
ALL = 1000


def settle(some: list[Task], file: PolicyFile) -> tuple[list[Selection], list[Evaluation]]:
    """The selections, and every task with its final verdict as often as it got one."""
    alone = evaluations(some, file)
    final = [one for one in alone if not one.verdict.members]
    selections = select(
        alone,
        file.policies,
        room=ALL,
        allowance=lambda policy, due: Allowance(
            min(policy.budget.per_run, policy.budget.per_day or policy.budget.per_run)
        ),
        settled=final.append,
    )
    return selections, final


def due_of(selection: Selection) -> list[Task]:
    """Everybody who is due by one policy, held out or not."""
    return [one.task for one in (*selection.first, *selection.held_out_tasks)]


def longer(tree: dict[str, Any], by: int) -> dict[str, Any]:
    """The same file with every limit of every `match` so many minutes longer."""
    tree = copy.deepcopy(tree)
    for policy in tree["policies"]:
        for clock in CLOCKS:
            limit = policy["match"].get(clock)
            if isinstance(limit, dict):
                limit |= {key: _longer(limit[key], by) for key in ("at_most", "else") if key in limit}
            elif limit is not None:
                policy["match"][clock] = _longer(limit, by)
    return tree


def _longer(limit: str, by: int) -> str:
    return f"{int(limit[:-1]) + by}m"


@given(worlds.worlds(), st.integers(0, 200))
def test_a_longer_limit_never_makes_more_tasks_due(world: World, by: int) -> None:
    """Nor does it bring more tasks into a group."""
    tree, some = world
    strict, generous = loaded(tree), loaded(longer(tree, by))
    for task in some:
        if may_be_stopped(evaluated(task, generous), generous):
            assert may_be_stopped(evaluated(task, strict), strict)


@given(worlds.worlds(), st.sampled_from(worlds.EXEMPTIONS), st.booleans())
def test_one_more_exemption_never_makes_more_tasks_due(
    world: World, exemption: Any, everywhere: bool
) -> None:
    """Whether for the whole file or for a policy."""
    tree, some = world
    changed = copy.deepcopy(tree)
    place, key = (changed, "exempt") if everywhere else (changed["policies"][0], "unless")
    place[key] = [*place.get(key, []), exemption]
    before, after = loaded(tree), loaded(changed)
    for task in some:
        if may_be_stopped(evaluated(task, after), after):
            assert may_be_stopped(evaluated(task, before), before)


@given(worlds.worlds(), st.randoms(use_true_random=False))
def test_the_order_of_listing_does_not_matter(world: World, dice: Any) -> None:
    """The same tasks are selected in the same order, and everybody has the same verdict."""
    tree, some = world
    file = loaded(tree)
    selections, final = settle(some, file)
    dice.shuffle(some)
    again, final_again = settle(some, file)
    assert [(one.selected, one.first, one.due, one.halted, one.held_out_tasks) for one in selections] == [
        (one.selected, one.first, one.due, one.halted, one.held_out_tasks) for one in again
    ]
    assert sorted(final, key=str) == sorted(final_again, key=str)


@given(worlds.worlds(), st.randoms(use_true_random=False))
def test_the_moment_at_which_each_was_seen_does_not_matter(world: World, dice: Any) -> None:
    """Who was listed a second later is a second older, and no more overdue than others for that."""
    tree, some = world
    file = loaded(tree)

    def selected_of(moments: list[int]) -> list[list[tuple[Function, str]]]:
        seen = [
            Evaluation(task, evaluated(task, file, at), at) for task, at in zip(some, moments, strict=True)
        ]
        return [
            [record_of(one.task) for one in selection.selected] for selection in select(seen, file.policies)
        ]

    half_past = NOON + 30_000  # far from any limit
    at_once = selected_of([half_past] * len(some))
    assert selected_of([half_past + dice.randrange(3_000) for _ in some]) == at_once


@given(worlds.worlds())
def test_every_task_gets_exactly_one_verdict_and_the_counts_add_up(world: World) -> None:
    """Whatever the groups, the holdouts and the halts make of them."""
    tree, some = world
    file = loaded(tree)
    selections, final = settle(some, file)
    assert Counter(record_of(one.task) for one in final) == Counter(map(record_of, some))
    assert not [one for one in final if one.verdict.policy in one.verdict.also]
    due = Counter(one.verdict.policy for one in final if one.verdict.kind is Kind.DUE)
    assert {one.policy.name: one.due for one in selections if one.due} == due
    verdicts = {record_of(one.task): one.verdict for one in final}
    for selection in selections:
        assert selection.due == selection.held_out + len(selection.first)
        assert {
            (verdicts[record_of(task)].kind, verdicts[record_of(task)].policy) for task in due_of(selection)
        } <= {(Kind.DUE, selection.policy.name)}


@given(worlds.worlds())
def test_budget_and_halt_bound_every_run(world: World) -> None:
    """Nobody is selected twice; more than halt_over halts the policy, and a halted one selects none."""
    tree, some = world
    selections, _ = settle(some, loaded(tree))
    selected = Counter(
        key_of(one.task) for selection in selections for one in selection.selected if selection.policy.keep
    )
    assert not selected or max(selected.values()) == 1
    for selection in selections:
        left = selection.due - selection.held_out
        too_many = selection.policy.halt_over is not None and left > selection.policy.halt_over
        assert (selection.halted is not None) == too_many
        (policy,) = [one for one in tree["policies"] if one["name"] == selection.policy.name]
        assert len(selection.selected) == (0 if too_many else min(left, budget(policy)))


@given(worlds.worlds())
def test_a_group_never_falls_below_what_it_may_be(world: World) -> None:
    """If all selected tasks went, evaluating again would find nobody one too many who was not so before.

    Of one `keep` policy: who goes by a second one leaves room for others in the first one's group.
    """
    tree, some = world
    keeps = [one["name"] for one in tree["policies"] if "keep" in one]
    file = loaded({**tree, "policies": [one for one in tree["policies"] if one["name"] not in keeps[1:]]})
    selections, _ = settle(some, file)
    gone = {key_of(one.task) for selection in selections for one in selection.selected}
    before = {record_of(task) for selection in selections for task in due_of(selection)}
    again, _ = settle([task for task in some if key_of(task) not in gone], file)
    after = {record_of(task) for selection in again for task in due_of(selection)}
    assert after <= before


@settings(max_examples=4 * settings().max_examples)
@given(worlds.worlds())
def test_it_comes_to_what_the_plainest_reading_comes_to(world: World) -> None:
    """The verdict of each; who is due by which policy, in which order; who is held out, selected, halted."""
    tree, some = world
    selections, final = settle(some, loaded(tree))
    expected = what_happens(some, tree)
    assert {record_of(one.task): one.verdict.kind.value for one in final} == expected.kinds
    decided = [one for one in final if one.verdict.kind in (Kind.DUE, Kind.REPORTED)]
    assert {record_of(one.task): one.verdict.policy for one in decided} == expected.decided_by
    assert {one.policy.name for one in selections} == expected.fates.keys()
    for selection in selections:
        due, held, selected, halted = expected.fates[selection.policy.name]
        assert [one.task for one in selection.first] == [one for one in due if one not in held]
        assert [one.task for one in selection.held_out_tasks] == held
        assert [one.task for one in selection.selected] == selected
        assert (selection.halted is not None) == halted


def happening(some: list[Task], file: PolicyFile) -> Iterator[str]:
    """What there is in a world that a law may be about."""
    selections, final = settle(some, file)
    yield from _in_verdicts([one.verdict for one in final])
    for selection in selections:
        kind = "keep" if selection.policy.keep else "plain"
        yield from (f"{kind} selected" for _ in selection.selected)
        if selection.halted:
            yield f"{kind} halted"
        elif len(selection.first) > len(selection.selected):
            yield f"{kind} budget reached"
        if selection.held_out:
            yield f"{kind} held out"
        if selection.due and any(
            isinstance(limit, CarriedLimit) for _, limit in selection.policy.match.limits
        ):
            yield "due by a limit of its own"
    if any(len(one.verdict.members) > 1 for one in evaluations(some, file)):
        yield "in two groups"
    yield from _in_groups(final, file)
    if len(set(map(key_of, some))) < len(some):
        yield "one id under two qualifiers"


def _in_verdicts(verdicts: list[Verdict]) -> Iterator[str]:
    yield from (one.kind.value for one in verdicts)
    if any(one.by.over == 0 for one in verdicts):
        yield "exactly at its limit"
    if any(one.kind is Kind.REPORTED and one.by.rule == KEEP for one in verdicts):
        yield "keep reported"
    if any(one.reason.startswith("cannot tell whether it is exempt") for one in verdicts):
        yield "perhaps exempt"
    if any(one.reason.startswith("cannot tell whether it is spared") for one in verdicts):
        yield "perhaps spared"


def _in_groups(final: Iterable[Evaluation], file: PolicyFile) -> Iterator[str]:
    members = [(one, one_of) for one_of in final for one in one_of.verdict.members]
    if any(not one.selectable for one, _ in members):
        yield "spared and counted"
    going = {(one.policy, one.group) for one, one_of in members if one_of.verdict.by.rule == KEEP}
    if max(Counter(policy for policy, _ in going).values(), default=0) > 1:
        yield "too many in two groups"
    stays: dict[Any, set[bool]] = {}
    for one, one_of in members:
        stays.setdefault((one.policy, one.group, one.since), set()).add(one_of.verdict.by.rule == KEEP)
    if any(len(both) == 2 for both in stays.values()):
        yield "a tie that ids decide"
    plain = {one.name for one in file.policies if one.keep is None}
    decided = {
        key_of(one.task) for one in final if one.verdict.kind is Kind.DUE and one.verdict.policy in plain
    }
    if decided and any(one.keep for one in file.policies):
        yield "due beside a group"
    if any(key_of(one_of.task) in decided for _, one_of in members):
        yield "due under one qualifier, a member under another"


LEAST = {
    "due": 150, "kept": 150, "unknown": 100, "exempt": 60, "reported": 20, "exactly at its limit": 15,
    "perhaps exempt": 7, "perhaps spared": 10, "due by a limit of its own": 20,
    "plain selected": 70, "plain budget reached": 25, "plain halted": 10, "plain held out": 15,
    "keep selected": 50, "keep budget reached": 20, "keep halted": 8, "keep held out": 10, "keep reported": 6,
    "due beside a group": 30, "due under one qualifier, a member under another": 3,
    "in two groups": 25, "spared and counted": 50, "too many in two groups": 20,
    "a tie that ids decide": 20, "one id under two qualifiers": 150,
}  # fmt: skip


def test_in_these_worlds_something_happens() -> None:
    """In how many of three hundred worlds each thing does: laws about what never happens prove nothing."""
    seen: Counter[str] = Counter()

    @settings(max_examples=300, derandomize=True, database=None, phases=[Phase.generate])
    @given(worlds.worlds())
    def count(world: World) -> None:
        seen.update(set(happening(world.some, loaded(world.tree))))

    count()
    assert {what: seen[what] for what, least in LEAST.items() if seen[what] < least} == {}
