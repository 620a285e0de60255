"""What holds for every policy file and every handful of tasks, in the whole language."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.judge.choose import Choice, choose
from fc_reaper.judge.verdict import Claim, Kind
from fc_reaper.model import Task
from fc_reaper.policy import PolicyFile
from tests.judge import worlds
from tests.judge.worlds import claims, judged, loaded, may_be_stopped

CLOCKS = ("queued_for", "running_for", "alive_for")


def settle(some: list[Task], file: PolicyFile) -> tuple[list[Choice], list[Claim]]:
    """The choices, and every task with its final verdict as often as it got one."""
    final: list[Claim] = []
    alone = claims(some, file)
    final += [one for one in alone if not one.verdict.members]
    return choose(alone, file.policies, spare=3, settled=final.append), final


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


@given(worlds.trees(), worlds.tasks(), st.integers(0, 200))
def test_a_longer_limit_never_makes_more_tasks_due(tree: dict[str, Any], some: list[Task], by: int) -> None:
    """Nor does it bring more tasks into a population."""
    strict, generous = loaded(tree), loaded(longer(tree, by))
    for task in some:
        if may_be_stopped(judged(task, generous), generous):
            assert may_be_stopped(judged(task, strict), strict)


@given(worlds.trees(), worlds.tasks(), worlds.MERCY, st.booleans())
def test_one_more_exemption_never_makes_more_tasks_due(
    tree: dict[str, Any], some: list[Task], mercy: Any, everywhere: bool
) -> None:
    """Whether for the whole file or for a policy."""
    merciful = copy.deepcopy(tree)
    place, key = (merciful, "exempt") if everywhere else (merciful["policies"][0], "unless")
    place[key] = [*place.get(key, []), mercy]
    before, after = loaded(tree), loaded(merciful)
    for task in some:
        if may_be_stopped(judged(task, after), after):
            assert may_be_stopped(judged(task, before), before)


@given(worlds.trees(), worlds.tasks(), st.randoms(use_true_random=False))
def test_the_order_of_listing_does_not_matter(tree: dict[str, Any], some: list[Task], dice: Any) -> None:
    """The same tasks are chosen in the same order, and everybody has the same verdict."""
    file = loaded(tree)
    choices, final = settle(some, file)
    dice.shuffle(some)
    again, final_again = settle(some, file)
    assert [(one.chosen, one.spare, one.due, one.halted, one.heldout) for one in choices] == [
        (one.chosen, one.spare, one.due, one.halted, one.heldout) for one in again
    ]
    assert sorted(final, key=str) == sorted(final_again, key=str)


@given(worlds.trees(), worlds.tasks())
def test_every_task_gets_exactly_one_verdict_and_the_counts_add_up(
    tree: dict[str, Any], some: list[Task]
) -> None:
    """Whatever the populations, the holdouts and the halts make of them."""
    file = loaded(tree)
    choices, final = settle(some, file)
    assert Counter(one.task.invocation_id for one in final) == Counter(task.invocation_id for task in some)
    due = Counter(one.verdict.policy for one in final if one.verdict.kind is Kind.DUE)
    assert {one.policy.name: one.due for one in choices if one.due} == due
    for choice in choices:
        assert choice.due == choice.held + len(choice.chosen) + len(choice.spare)


@given(worlds.trees(), worlds.tasks())
def test_budget_and_halt_bound_every_run(tree: dict[str, Any], some: list[Task]) -> None:
    """Nobody is chosen twice, spared tasks are never chosen, and a halted policy chooses nobody."""
    file = loaded(tree)
    choices, final = settle(some, file)
    verdicts = {one.task.invocation_id: one.verdict for one in final}
    chosen = [one.task.invocation_id for choice in choices for one in choice.chosen]
    assert len(chosen) == len(set(chosen))
    for choice in choices:
        policy = choice.policy
        assert len(choice.chosen) <= policy.per_run
        assert not (choice.halted and choice.chosen)
        if policy.halt_over is not None:
            assert len(choice.chosen) <= policy.halt_over
        for one in (*choice.chosen, *choice.spare, *choice.heldout):
            assert verdicts[one.task.invocation_id].kind is Kind.DUE
            assert verdicts[one.task.invocation_id].policy == policy.name


@given(worlds.trees(), worlds.tasks())
def test_a_population_never_falls_below_what_it_may_be(tree: dict[str, Any], some: list[Task]) -> None:
    """If all chosen tasks went, judging again would find nobody one too many who was not so before."""
    file = loaded(tree)
    choices, _ = settle(some, file)
    gone = {one.task.invocation_id for choice in choices for one in choice.chosen}
    before = {
        one.task.invocation_id
        for choice in choices
        for one in (*choice.chosen, *choice.spare, *choice.heldout)
    }
    again, _ = settle([task for task in some if task.invocation_id not in gone], file)
    after = {
        one.task.invocation_id for choice in again for one in (*choice.chosen, *choice.spare, *choice.heldout)
    }
    assert after <= before - gone
