"""`keep`: how many may be alive at once, and who goes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import Evaluation, compile_policies, evaluate
from fc_reaper.evaluator.select import Selection, select
from fc_reaper.models import Function, Task, TaskEvent
from fc_reaper.policy import PolicyFile, load_policy
from fc_reaper.rules.result import Kind
from tests.builders import AT_NOON, NOON, TRANSCODE, a_policy, a_task, ago, compiled, running_for

ALIVE = "{status: [Enqueued, Running, Retrying]}"


def named(name: str, age: str, **fields: Any) -> Task:
    """A task that was enqueued, and began to run, so long ago."""
    return running_for(age, invocation_id=name, **fields)


def of_order(name: str, age: str, order: Any, **fields: Any) -> Task:
    """A task with an order id in its payload."""
    payload = {"order_id": order} if order is not None else {}
    return named(name, age, record={"invocationPayload": json.dumps(payload)}, **fields)


def selected(
    file: PolicyFile, tasks: Iterable[Task], *, read: bool = True, **options: Any
) -> tuple[dict[str, Selection], dict[str, Kind]]:
    """The selection of each policy, and the final verdict of each task, by their names."""
    kinds: dict[str, Kind] = {}
    evaluations = []
    for task in tasks:
        fitting = [one for one in file.policies if any(target.fits(task.function) for target in one.targets)]
        verdict = evaluate(task, compile_policies(task.function, fitting, file.exempt), AT_NOON, read=read)
        kinds[task.invocation_id] = verdict.kind
        evaluations.append(Evaluation(task, verdict))
    selections = select(
        evaluations,
        file.policies,
        settled=lambda one: kinds.__setitem__(one.task.invocation_id, one.verdict.kind),
        **options,
    )
    return {one.policy.name: one for one in selections}, kinds


def going(file: PolicyFile, *tasks: Task, **options: Any) -> list[str]:
    """Who would be stopped by the one policy, in the order of the stops."""
    selections, _ = selected(file, tasks, **options)
    return [one.task.invocation_id for one in selections["runaway"].selected]


def keeping(keep: str, **keys: str) -> PolicyFile:
    return a_policy(keys.pop("match", ALIVE), keep=keep, **keys)


FOUR = [named("a", "4h"), named("b", "3h"), named("c", "2h"), named("d", "1h")]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("{at_most: 4}", []),
        ("{at_most: 3}", ["d"]),
        ("{at_most: 2}", ["d", "c"]),
        ("{at_most: 2, stop_first: newest}", ["d", "c"]),
        ("{at_most: 2, stop_first: oldest}", ["a", "b"]),
        ("{at_most: 1, stop_first: oldest}", ["a", "b", "c"]),
        ("{at_most: 9}", []),
    ],
)
def test_of_what_matches_so_many_stay(keep: str, expected: list[str]) -> None:
    """The newest go first, as they have done least, unless the policy says otherwise."""
    assert going(keeping(keep), *FOUR) == expected


def test_exactly_as_many_as_may_be_are_fine() -> None:
    """And one more is one too many."""
    assert going(keeping("{at_most: 2}"), *FOUR[:2]) == []
    assert going(keeping("{at_most: 2}"), *FOUR[:3]) == ["c"]


def test_the_newer_task_replaces_the_older_one_of_the_same_order() -> None:
    """Groups by what the payload says."""
    tasks = [of_order("a1", "3h", "a"), of_order("a2", "1h", "a"), of_order("b1", "9h", "b")]
    file = keeping("{at_most: 1, per: payload.order_id, stop_first: oldest}")
    assert going(file, *tasks) == ["a1"]


INVISIBLE = [*"\u200b\u00ad\u2060\u2800\u3164\uffa0\u115f\u034f\ufe0f\u17b4\U000e0100", " \u3164\u200b"]
JOINED = ["-", " / ", "::", "__", "(,)"]
"""What `join` makes of parts that nobody filled in."""
EMPTY = [None, "", " \t", [], {}, [""], ["a", []], {"a": None}, [{"a": " "}], *INVISIBLE, *JOINED, ["a", "-"]]


@pytest.mark.parametrize("order", [None, {"x": None}, *({"x": one} for one in EMPTY)])
def test_a_task_without_the_key_is_unknown(order: Any) -> None:
    """It is neither counted nor selected: tasks that nobody gave a key share no group."""
    file = keeping("{at_most: 1, per: payload.order_id.x, stop_first: oldest}")
    tasks = [of_order("a1", "9h", order), of_order("a2", "3h", order), of_order("b1", "1h", {"x": "b"})]
    selections, kinds = selected(file, tasks)
    assert selections["runaway"].due == 0
    assert kinds == {"a1": Kind.UNKNOWN, "a2": Kind.UNKNOWN, "b1": Kind.KEPT}


@pytest.mark.parametrize("order", ["a", "0", 0, False, "-7-", "转码", "ß", "한", "\u200ba", ["a", 0]])
def test_a_key_with_a_letter_or_a_digit_names_a_group(order: Any) -> None:
    """Of any script; numbers and true or false are keys as they are."""
    assert going(keeping("{at_most: 1, per: payload.order_id}"),
                 of_order("t1", "2h", order), of_order("t2", "1h", order)) == ["t2"]  # fmt: skip


def test_keys_of_different_kinds_are_different_orders() -> None:
    """1 and 1.0 are one number; "1" is text, and true is neither."""
    file = keeping("{at_most: 1, per: payload.order_id}")
    assert (
        going(file, *(of_order(f"t{n}", "1h", key) for n, key in enumerate([1, "1", True, [1], {"1": 1}])))
        == []
    )
    assert going(file, of_order("t1", "2h", 1), of_order("t2", "1h", 1.0)) == ["t2"]
    assert going(file, of_order("t1", "2h", {"a": 1, "b": 2}), of_order("t2", "1h", {"b": 2, "a": 1})) == [
        "t2"
    ]


def test_groups_by_function_and_by_qualifier() -> None:
    """By function all its qualifiers together; by qualifier each by itself; without `per` all together."""
    other, canary = Function("media", "resize", "prod"), Function("media", "transcode", "canary")
    tasks = [named("a", "4h"), named("b", "3h", function=canary), named("c", "2h", function=other)]
    assert going(keeping("{at_most: 1, per: qualifier}"), *tasks) == []
    assert going(keeping("{at_most: 1, per: function}"), *tasks) == ["b"]
    assert going(keeping("{at_most: 1}"), *tasks) == ["c", "b"]


def test_first_enqueued_counts_and_not_the_present_attempt() -> None:
    """A retried task is as old as its first enqueueing."""
    retried = a_task("Running", ("Enqueued", "9h"), ("Running", "8h"), ("Retrying", "2h"), ("Running", "1m"),
                     invocation_id="old")  # fmt: skip
    assert going(keeping("{at_most: 1}"), retried, named("new", "1h")) == ["new"]


def test_ties_are_settled_by_the_id() -> None:
    """Of two that came at the same moment the one with the larger id is newer."""
    twins = [named("job-2", "1h"), named("job-1", "1h")]
    assert going(keeping("{at_most: 1}"), *twins) == ["job-2"]
    assert going(keeping("{at_most: 1, stop_first: oldest}"), *twins) == ["job-1"]


def test_a_spared_task_counts_and_is_never_selected() -> None:
    """Whether it is exempt or spared by `unless`: another one goes in its stead."""
    for exemption in ({"exempt": "[d]"}, {"unless": "[d]"}):
        assert going(keeping("{at_most: 3}", **exemption), *FOUR) == ["c"]
    assert going(keeping("{at_most: 1}", unless="['*']"), *FOUR) == []
    assert going(keeping("{at_most: 1}", unless="[c, d]", exempt="[b]"), *FOUR) == ["a"]


def test_stopping_finished_and_inconsistent_tasks_do_not_count() -> None:
    """Who is on the way out, or whose record makes no sense, makes nobody one too many."""
    strange = [
        a_task("Stopping", ("Enqueued", "9h"), ("Stopping", "1m"), invocation_id="s"),
        a_task("Succeeded", ("Enqueued", "9h"), ("Succeeded", "1m"), invocation_id="f"),
        a_task("Running", ("Enqueued", "9h"), ("Succeeded", "1m"), invocation_id="x"),
        a_task("Running", ("Enqueued", "9h"), ("Running", "8h"), invocation_id="y", inconsistency="strange"),
        a_task("Running", ("Running", "8h"), invocation_id="z"),
        a_task("Running", invocation_id="u", started_at=ago("8h")),
        a_task("Running", ("Enqueued", "8h"), ("Running", "-1h"), invocation_id="v"),
    ]
    assert going(keeping("{at_most: 1}"), named("only", "1h"), *strange) == []


def test_a_task_whose_exemption_nobody_can_tell_counts_and_is_never_selected() -> None:
    """It is alive and matches, whatever spares it."""
    vague = "[{where: \"payload.tier == 'gold'\"}]"
    for exemption in ({"exempt": vague}, {"unless": vague}):
        tasks = [of_order("a", "3h", "x"), of_order("b", "1h", "x")]
        selections, kinds = selected(keeping("{at_most: 1}", **exemption), tasks)
        assert selections["runaway"].due == 0
        assert set(kinds.values()) == {Kind.UNKNOWN}
        known = named("c", "30m", record={"invocationPayload": '{"tier": "iron"}'})
        selections, kinds = selected(keeping("{at_most: 1}", **exemption), [*tasks, known])
        assert kinds == {"a": Kind.UNKNOWN, "b": Kind.UNKNOWN, "c": Kind.DUE}


def test_an_exempt_task_counts_though_its_unless_is_unknown() -> None:
    """And one that `unless` spares though its group is all that is known of it."""
    vague, spares = "[{where: payload.pinned}]", "[a]"
    for exempt, unless in ((spares, vague), (vague, spares)):
        file = keeping("{at_most: 1}", exempt=exempt, unless=unless)
        other = named("b", "1h", record={"invocationPayload": '{"pinned": false}'})
        _, kinds = selected(file, [named("a", "3h", record={"invocationPayload": "{}"}), other])
        assert kinds["b"] is Kind.DUE
        assert kinds["a"] is (Kind.EXEMPT if exempt == spares else Kind.KEPT)


def test_who_belongs_to_another_policy_neither_counts_nor_is_selected() -> None:
    """It is about to go already, whichever policy comes first in the file."""
    for first in (0, 1):
        entries = [
            "  - {name: runaway, targets: ['*/*@*'], match: {status: Running}, keep: {at_most: 2}, stop: a}",
            "  - {name: late, targets: ['*/*@*'], match: {running_for: 210m}, stop: b}",
        ]
        ordered = entries if first == 0 else entries[::-1]
        file = load_policy("\n".join(["version: 1", "policies:", *ordered]), source="x")
        selections, kinds = selected(file, FOUR)
        assert [one.task.invocation_id for one in selections["late"].selected] == ["a"]
        assert [one.task.invocation_id for one in selections["runaway"].selected] == ["d"]
        assert kinds == {"a": Kind.DUE, "b": Kind.KEPT, "c": Kind.KEPT, "d": Kind.DUE}


def test_two_keep_policies_do_not_stop_two_for_one() -> None:
    """Who goes for the first does not count for the second."""
    file = load_policy(
        """
version: 1
policies:
  - {name: few, targets: ['media/*@*'], match: {status: Running}, keep: {at_most: 3}, stop: a}
  - {name: fewer, targets: ['media/*@*'], match: {status: Running}, keep: {at_most: 2}, stop: b}
""",
        source="x",
    )
    selections, _ = selected(file, FOUR)
    assert [one.task.invocation_id for one in selections["few"].selected] == ["d"]
    assert [one.task.invocation_id for one in selections["fewer"].selected] == ["c"]


def test_a_report_reports_who_is_one_too_many() -> None:
    """And stops nobody."""
    _, kinds = selected(a_policy(ALIVE, keep="{at_most: 3}", report="too many"), FOUR)
    assert kinds == {"a": Kind.KEPT, "b": Kind.KEPT, "c": Kind.KEPT, "d": Kind.REPORTED}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("slow", "many"), ("slow", ("many",))),
        (("many", "slow"), ("many", ("slow",))),
        (("few", "many", "slow"), ("few", ("slow", "many"))),
        (("slow", "few", "many"), ("slow", ("few", "many"))),
    ],
)
def test_of_several_reports_the_first_in_the_file_stands(
    order: tuple[str, ...], expected: tuple[str, tuple[str, ...]]
) -> None:
    """Whether it is one of `keep` or not; the others are named."""
    entries = {
        "slow": "match: {running_for: 30m}",
        "many": "match: {status: Running}, keep: {at_most: 3}",
        "few": "match: {status: Running}, keep: {at_most: 2}",
    }
    lines = [f"  - {{name: {name}, targets: ['*/*@*'], {entries[name]}, report: x}}" for name in order]
    file = load_policy("\n".join(["version: 1", "policies:", *lines]), source="x")
    rules = compile_policies(TRANSCODE, file.policies, ())
    final: list[Evaluation] = []
    select(
        [Evaluation(one, evaluate(one, rules, AT_NOON)) for one in FOUR], file.policies, settled=final.append
    )
    (verdict,) = (one.verdict for one in final if one.task.invocation_id == "d")
    assert (verdict.policy, verdict.also) == expected


def test_nothing_follows_from_a_listing_that_is_incomplete() -> None:
    """Whoever was not seen may be the one who should go."""
    selections, _ = selected(keeping("{at_most: 2}"), FOUR, incomplete=lambda policy: True)
    assert selections["runaway"].selected == []
    assert selections["runaway"].due == 2
    assert "could be listed" in (selections["runaway"].halted or "")


def test_too_many_to_be_counted_are_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group beyond all bounds halts its policy; everybody gets one verdict all the same."""
    monkeypatch.setattr("fc_reaper.evaluator.concurrency.MOST", 3)
    selections, kinds = selected(keeping("{at_most: 1}"), FOUR)
    assert selections["runaway"].selected == []
    assert "too many to be counted" in (selections["runaway"].halted or "")
    assert len(kinds) == 4


def test_a_task_that_is_listed_twice_counts_once() -> None:
    """Lists move while they are read."""
    assert going(keeping("{at_most: 2}"), *FOUR[:2], FOUR[0]) == []


def test_the_most_that_a_run_may_stop_are_the_first_to_go() -> None:
    """A budget cuts the list from its end."""
    assert going(keeping("{at_most: 1}", budget="2/run"), *FOUR) == ["d", "c"]
    assert going(keeping("{at_most: 1, stop_first: oldest}", budget="2/run"), *FOUR) == ["a", "b"]


def test_the_verdict_tells_the_age_and_no_limit() -> None:
    """`over` has no meaning for a count."""
    selections, _ = selected(keeping("{at_most: 3}"), FOUR)
    (one,) = selections["runaway"].selected
    assert (one.verdict.by.rule, one.verdict.by.age, one.verdict.by.limit) == ("keep", 3_600_000, None)
    assert "payload" not in repr(one.verdict)


groups = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.booleans()), max_size=14)


@given(groups, st.integers(1, 4), st.sampled_from(["newest", "oldest"]), st.randoms(use_true_random=False))
def test_who_goes_is_a_matter_of_ages_and_ids_alone(
    drawn: list[tuple[int, str, bool]], at_most: int, first: str, dice: Any
) -> None:
    """Never below `at_most`, never a spared one, always the outermost, in whatever order they are listed."""
    tasks = [
        of_order(f"{'vip' if vip else 'job'}-{n}", f"{60 + age}m", order)
        for n, (age, order, vip) in enumerate(drawn)
    ]
    file = keeping(f"{{at_most: {at_most}, per: payload.order_id, stop_first: {first}}}", unless="[vip-*]")
    gone = going(file, *tasks)
    dice.shuffle(tasks)
    assert going(file, *tasks) == gone
    for order in "ab":
        group = [task for task in tasks if task.record and f'"{order}"' in task.record["invocationPayload"]]
        group.sort(key=lambda task: (task.events[0].at, task.invocation_id), reverse=first == "newest")
        selectable = [task.invocation_id for task in group if task.invocation_id.startswith("job")]
        expected = selectable[: max(0, len(group) - at_most)]
        assert [name for name in gone if name in selectable] == expected


def test_a_held_out_task_is_due_and_never_selected() -> None:
    """The same share for ever, told apart from what is due and stopped."""
    file = a_policy("{running_for: 2h}", holdout="30%", budget="999/run")
    tasks = [running_for("3h", invocation_id=f"job-{n}") for n in range(400)]
    selections, _ = selected(file, tasks, room=400)
    selection = selections["runaway"]
    assert selection.due == 400
    assert selection.held_out + len(selection.selected) == 400
    assert 80 < selection.held_out < 160
    assert not {one.task for one in selection.held_out_tasks} & {one.task for one in selection.selected}
    again, _ = selected(file, tasks[::-1], room=400)
    assert {one.task for one in again["runaway"].held_out_tasks} == {
        one.task for one in selection.held_out_tasks
    }


def test_a_larger_holdout_spares_the_same_and_more() -> None:
    """No task loses its place because the share grows."""
    from fc_reaper.evaluator.select import is_held_out

    ids = [f"job-{n}" for n in range(2000)]
    small, large = ({name for name in ids if is_held_out(name, share)} for share in (200, 1000))
    assert small < large
    assert 10 < len(small) < 90


def test_halt_over_counts_after_the_holdout_and_before_the_budget() -> None:
    """In the order keep, holdout, halt_over, budget."""
    from fc_reaper.evaluator.select import is_held_out

    tasks = [running_for("3h", invocation_id=f"job-{n}") for n in range(40)]
    left = sum(not is_held_out(task.invocation_id, 5000) for task in tasks)
    for halt_over, halted in ((left, False), (left - 1, True)):
        file = a_policy("{running_for: 2h}", holdout="50%", halt_over=str(halt_over), budget="1/run")
        selections, _ = selected(file, tasks)
        assert (selections["runaway"].halted is not None) is halted


def test_the_reaper_itself_counts_and_is_never_selected() -> None:
    """Under a pattern that takes it in."""
    file = keeping("{at_most: 1}")
    verdict = evaluate(FOUR[0], compiled(file, own_function=True), AT_NOON)
    assert verdict.kind is Kind.EXEMPT
    assert [member.selectable for member in verdict.members] == [False]


def test_without_dated_events_only_a_known_started_time_tells_who_came_first() -> None:
    """`startedTime` settles it where it is known to be the enqueueing."""
    task = Task(TRANSCODE, "job-1", "Running", started_at=ago("3h"), retries=0)
    file = keeping("{at_most: 1}")
    assert evaluate(task, compiled(file), AT_NOON, read=False).by.unread
    assert evaluate(task, compiled(file), AT_NOON).kind is Kind.UNKNOWN
    (member,) = evaluate(task, compiled(file, started_time="enqueue"), AT_NOON, read=False).members
    assert member.since == ago("3h")
    future = a_task("Running", invocation_id="f")._replace(events=(TaskEvent(NOON + 5, 1, "Enqueued"),))
    assert evaluate(future, compiled(file), AT_NOON).members == ()


def test_one_task_under_both_names_of_its_function_counts_once() -> None:
    """A function made in 2.0 is `media$transcode` in 3.0; `resize` of 3.0 is nobody's service."""
    head = "version: 1\npolicies:\n- {name: runaway, targets: ['*/*@*', '*@*'], "
    both = f"{head}match: {{status: Running}}, stop: a,"
    new = Function(None, "media$transcode", "prod")
    for per in ("", ", per: function", ", per: qualifier"):
        file = load_policy(f"{both} keep: {{at_most: 1{per}}}}}", source="x")
        assert going(file, named("a", "2h"), named("a", "2h", function=new)) == []
        assert going(file, named("a", "2h"), named("b", "1h", function=new)) == ["b"]
    three, two = Function(None, "resize", "prod"), Function("None", "resize", "prod")
    file = load_policy(f"{both} keep: {{at_most: 1, per: function}}}}", source="x")
    assert going(file, named("a", "2h", function=three), named("b", "1h", function=two)) == []


@pytest.mark.parametrize("depth", [100, 600, 900, 20_000])
def test_a_key_that_nobody_can_compare_concerns_its_task_alone(depth: int) -> None:
    """However deep a payload is nested, the others are evaluated."""
    deep = f'{{"order_id": {"[" * depth}{"]" * depth}}}'
    tasks = [
        named("deep", "9h", record={"invocationPayload": deep}),
        of_order("a", "2h", "x"),
        of_order("b", "1h", "x"),
    ]
    assert going(keeping("{at_most: 1, per: payload.order_id}"), *tasks) == ["b"]


def test_an_expression_that_answers_no_value_groups_nobody() -> None:
    """`&x` is no JSON."""
    file = keeping("{at_most: 1, per: '[payload.order_id, &x]'}")
    selections, kinds = selected(file, [of_order("a", "2h", "x"), of_order("b", "1h", "x")])
    assert selections["runaway"].due == 0
    assert set(kinds.values()) == {Kind.UNKNOWN}


def test_a_report_concludes_nothing_from_a_listing_that_is_incomplete() -> None:
    """Either."""
    _, kinds = selected(
        a_policy(ALIVE, keep="{at_most: 3}", report="many"), FOUR, incomplete=lambda policy: True
    )
    assert set(kinds.values()) == {Kind.KEPT}


@pytest.mark.parametrize("canary_first", [False, True])
def test_a_task_that_is_spared_under_one_qualifier_is_spared_under_all(canary_first: bool) -> None:
    """It counts once, and another one goes, in whatever order the qualifiers are listed."""
    file = keeping("{at_most: 1, stop_first: oldest}", unless="[{target: 'media/transcode@canary'}]")
    twice = [named("a", "4h", function=TRANSCODE._replace(qualifier=at)) for at in ("prod", "canary")]
    listed = reversed(twice) if canary_first else twice
    assert going(file, *listed, named("b", "1h")) == ["b"]


@pytest.mark.parametrize("canary_first", [False, True])
def test_who_belongs_to_another_policy_under_one_qualifier_counts_under_none(canary_first: bool) -> None:
    """The other policy is about one of the two under which it is listed."""
    file = load_policy(
        "version: 1\npolicies:\n"
        "  - {name: long, targets: [media/transcode@prod], match: {running_for: 2h}, stop: x}\n"
        "  - {name: few, targets: ['media/*@*'], match: {status: Running}, keep: {at_most: 1}, stop: x}\n",
        source="policy.yaml",
    )
    twice = [named("a", "4h", function=TRANSCODE._replace(qualifier=at)) for at in ("prod", "canary")]
    listed = reversed(twice) if canary_first else twice
    selections, _ = selected(file, [*listed, named("b", "1h")])
    assert {name: [str(one.task.function) for one in its.selected] for name, its in selections.items()} == {
        "long": ["media/transcode@prod"],
        "few": [],
    }
