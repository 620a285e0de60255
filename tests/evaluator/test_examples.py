"""Examples in a policy: what is made of them, and what is said of one that fails."""

from __future__ import annotations

import pytest
from hypothesis import given

from fc_reaper.errors import PolicyError
from fc_reaper.evaluator.examples import NOW, failing, task_of
from fc_reaper.models import Moment, Task
from fc_reaper.policy import load_policy
from fc_reaper.rules.ages import CLOCKS, Reading, flaw
from fc_reaper.rules.duration import LONGEST
from fc_reaper.settings import Context, read_policy, read_settings
from tests.builders import ms
from tests.policy import strategies
from tests.policy.builders import a_file, loaded, policy

CARRIED = {"match": "{alive_for: {from: payload.max, at_most: 6h}}"}
KEEP = {"match": "{id: 'job-*'}", "keep": "{at_most: 2, per: payload.order}"}


def example_of(given: str, **keys: str) -> Task:
    """The task of a policy's only example."""
    read = policy(examples=f"[{{given: {given}, expect: keep}}]", **keys)
    return task_of(read, read.examples[0])


@pytest.mark.parametrize(
    ("keys", "given", "expect"),
    [
        ({}, "{alive_for: 3h}", "stop"),
        ({}, "{alive_for: 2h}", "keep"),
        ({}, "{alive_for: 2h1s}", "stop"),
        ({}, "{id: job-1}", "stop"),
        ({}, "{running_for: 3h}", "stop"),
        ({}, "{running_for: 1h, alive_for: 3h}", "stop"),
        ({}, "{status: Stopping}", "keep"),
        ({}, "{target: media/transcode@test, alive_for: 3h}", "keep"),
        ({"report": "why"}, "{alive_for: 3h}", "report"),
        ({"match": "{running_for: 2h}"}, "{alive_for: 3h}", "stop"),
        ({"match": "{running_for: 2h}"}, "{alive_for: 3h, running_for: 1h}", "keep"),
        ({"match": "{running_for: 2h}"}, "{status: Enqueued}", "keep"),
        ({"match": "{queued_for: 2h}"}, "{alive_for: 3h, queued_for: 1h}", "keep"),
        ({"match": "{queued_for: 2h}"}, "{status: Dequeued, queued_for: 3h}", "stop"),
        ({"match": "{stopping_for: 9m}"}, "{stopping_for: 10m}", "stop"),
        ({"match": "{retries_over: 3}"}, "{retries: 4}", "stop"),
        ({"match": "{retries_over: 3}"}, "{retries: 3}", "keep"),
        ({"match": "{retries_over: 3}"}, "{id: a}", "keep"),
        ({"match": "{id: 'n-*', alive_for: 2h}"}, "{alive_for: 3h}", "stop"),
        ({"match": "{id: 'n-*', alive_for: 2h}"}, "{id: m-1, alive_for: 3h}", "keep"),
        ({"match": "{status: Running}", "triggers": "[task]"}, "{alive_for: 1s}", "stop"),
        ({"unless": "[vip-*]"}, "{id: vip-1, alive_for: 3h}", "keep"),
        ({"top": "exempt: [keep-*]"}, "{id: keep-1, alive_for: 3h}", "keep"),
        ({"unless": "[{where: payload.vip}]"}, "{alive_for: 3h, payload: {vip: true}}", "keep"),
        ({"unless": "[{where: payload.vip}]"}, "{alive_for: 3h, payload: {vip: false}}", "stop"),
        ({"unless": "[{where: payload.vip}]"}, "{alive_for: 3h}", "keep"),
        ({"match": "{alive_for: 2h, where: length(events) > `3`}"}, "{alive_for: 3h, retries: 2}", "stop"),
        (CARRIED, "{payload: {max: 90m}, alive_for: 2h}", "stop"),
        (CARRIED, "{payload: {max: 3h}, alive_for: 2h}", "keep"),
        (CARRIED, "{payload: {max: 9h}, alive_for: 7h}", "stop"),
        (CARRIED, "{alive_for: 7h}", "keep"),
        ({"match": "{alive_for: {from: payload.max, at_most: 6h, else: 1h}}"}, "{alive_for: 2h}", "stop"),
        (KEEP, "{payload: {order: 7}}", "stop"),
        (KEEP, "{payload: {}}", "keep"),
        (KEEP, "{id: other, payload: {order: 7}}", "keep"),
        ({**KEEP, "unless": "[job-9]"}, "{id: job-9, payload: {order: 7}}", "keep"),
        ({**KEEP, "top": "exempt: [job-9]"}, "{id: job-9, payload: {order: 7}}", "keep"),
        ({**KEEP, "report": "why"}, "{payload: {order: 7}}", "report"),
        ({"match": "{alive_for: 2h}", "keep": "{at_most: 2}"}, "{alive_for: 1h}", "keep"),
    ],
)
def test_an_example_is_evaluated_as_a_real_task_is(keys: dict[str, str], given: str, expect: str) -> None:
    """Exactly one expectation holds, and the others are refused."""
    does = "report" if "report" in keys else "stop"
    for expectation in (does, "keep"):
        text = a_file(**{**keys, "examples": f"[{{given: {given}, expect: {expectation}}}]"})
        assert (failing(loaded(text)) == []) is (expectation == expect)


@pytest.mark.parametrize(
    ("keys", "given", "words"),
    [
        (
            {},
            "{alive_for: 90m}, expect: stop",
            "expected stop, got keep: `match` does not hold by its alive_for 1h30m of 2h, 30m left "
            "(it is Enqueued); change the policy, or write expect: keep",
        ),
        ({}, "{alive_for: 2h}, expect: stop", "alive_for 2h of 2h"),
        (
            {},
            "{id: a, alive_for: 3h}, expect: keep",
            "expected keep, got stop: `match` holds by its alive_for 3h of 2h",
        ),
        ({}, "{alive_for: 3h}, expect: keep", "; change the policy, or write expect: stop"),
        ({}, "{status: Stopping}, expect: stop", "`match` does not hold by its status"),
        ({"match": "{id: 'n-*', alive_for: 2h}"}, "{id: m}, expect: stop", "`match` does not hold by its id"),
        (
            {"match": "{retries_over: 3}"},
            "{retries: 3}, expect: stop",
            "got keep: `match` does not hold by its retries_over 3 of 3",
        ),
        (
            {"match": "{retries_over: 3}"},
            "{retries: 4}, expect: keep",
            "got stop: `match` holds by its retries_over 4 of 3",
        ),
        ({"unless": "[vip-*]"}, "{id: vip-1}, expect: stop", "got keep: spared by unless, line 8"),
        ({"top": "exempt: [keep-*]"}, "{id: keep-1}, expect: stop", "got keep: exempt, line 2"),
        (
            {"match": "{alive_for: 2h, where: payload.x}"},
            "{id: a}, expect: stop",
            "got keep: where: payload is absent, line 4",
        ),
        (
            {"match": "{alive_for: 2h, where: payload.x}"},
            "{payload: {x: false}}, expect: stop",
            "`match` does not hold by its where",
        ),
        ({}, "{target: g}, expect: stop", "got keep: no target fits g@LATEST"),
        (KEEP, "{payload: {}}, expect: stop", "got keep: per: payload.order is absent"),
        (KEEP, "{payload: {order: 1}}, expect: keep", "`match` holds by its id"),
    ],
)
def test_a_failing_example_says_what_came_out_and_why(keys: dict[str, str], given: str, words: str) -> None:
    """By which rule, and what was expected."""
    text = a_file(
        **{**keys, "examples": f"\n      - {{given: {{id: z}}, expect: keep}}\n      - {{given: {given}}}"}
    )
    found = failing(loaded(text))[-1].text
    line = next(at for at, written in enumerate(text.splitlines(), 1) if given in written)
    assert found.startswith(f"policy.yaml:{line}: policies[0].examples[1]: expected ")
    assert words in found


def test_what_is_said_of_a_failing_example_holds_no_payload() -> None:
    """A finding ends up in a log."""
    examples = "[{given: {payload: {tier: hunter2}}, expect: stop}]"
    (found,) = failing(loaded(a_file(examples=examples, match="{where: payload.tier == 'x', alive_for: 1h}")))
    assert "hunter2" not in found.text


def test_all_failing_examples_are_told_at_once() -> None:
    """Of all policies, in the order of the file."""
    entry = a_file(
        examples="[{given: {alive_for: 3h}, expect: keep}, {given: {alive_for: 1h}, expect: stop}]"
    )
    text = entry + entry.partition("policies:\n")[2].replace("name: runaway", "name: other")
    assert [one.path for one in failing(loaded(text))] == [
        f"policies[{policy}].examples[{at}]" for policy in (0, 1) for at in (0, 1)
    ]


def test_an_example_is_evaluated_by_its_own_policy_and_the_exemptions_alone() -> None:
    """What another policy would do with the task does not matter."""
    entry = a_file(examples="[{given: {alive_for: 90m}, expect: keep}]")
    stricter = a_file(name="other", match="{alive_for: 1h}").partition("policies:\n")[2]
    assert failing(loaded(entry + stricter)) == []


@pytest.mark.parametrize(
    ("keys", "given", "what"),
    [
        ({"targets": "['media/*@*', f]"}, "{alive_for: 1h}", ("media/x@x", "Enqueued", "example", "1h")),
        ({"targets": "['r?size']"}, "{running_for: 1h}", ("rxsize@LATEST", "Running", "example", "1h")),
        (
            {"match": "{id: ['a-?*', b], running_for: 1h}"},
            "{retries: 1}",
            ("media/transcode@prod", "Running", "a-xx", ""),
        ),
        (
            {"match": "{status: [Stopping, Retrying], alive_for: 1h}"},
            "{id: b}",
            ("media/transcode@prod", "Retrying", "b", ""),
        ),
        ({"match": "{stopping_for: 1h}"}, "{id: b}", ("media/transcode@prod", "Stopping", "b", "")),
        (
            {"match": "{stopping_for: 1h}"},
            "{alive_for: 2h}",
            ("media/transcode@prod", "Enqueued", "example", "2h"),
        ),
    ],
)
def test_what_is_not_given_fits_the_first_target(
    keys: dict[str, str], given: str, what: tuple[str, str, str, str]
) -> None:
    """And the match, as far as the given ages allow; times that nothing bounds are over every limit."""
    task = example_of(given, **keys)
    alive = NOW - task.events[0].at
    assert (str(task.function), task.status, task.invocation_id) == what[:3]
    assert alive == (ms(what[3]) if what[3] else LONGEST + 1000)


def test_the_record_of_an_example_has_the_names_of_the_wire() -> None:
    """Those of FC 2.0 for a function with a service, else those of FC 3.0."""
    two = example_of("{id: a, payload: {b: 1}}").record or {}
    three = example_of("{id: a, payload: {b: 1}}", targets="[f@7]").record or {}
    assert {"serviceName", "functionName", "invocationId", "invocationPayload"} <= set(two)
    assert (three["functionArn"], three["taskId"], three["taskPayload"]) == (
        "acs:fc:::functions/f/7",
        "a",
        '{"b":1}',
    )
    assert [event["status"] for event in two["events"]] == ["Enqueued", "Enqueued"]


@strategies.FEWER
@given(strategies.trees())
def test_the_task_of_any_example_is_sound_and_as_old_as_is_said(tree: dict[str, object]) -> None:
    """Its record does not contradict itself, and each given age is what the evaluator reads."""
    for read in load_policy(strategies.as_yaml(tree), source="x").policies:
        for example in read.examples:
            task = task_of(read, example)
            assert flaw(task, NOW) is None
            for clock, length in example.given.ages.items():
                began = Reading(task, Moment.exactly(NOW), "unknown", read=True).bounds(clock)
                assert task.status in CLOCKS[clock]
                assert began[:2] == (NOW - length, NOW - length)


@strategies.FEWER
@given(strategies.good_files)
def test_any_example_comes_out_or_is_told(text: str) -> None:
    """Evaluating the examples of a file that loads never fails otherwise."""
    for found in failing(load_policy(text, source="x")):
        assert found.text.startswith("x:")
        assert found.remedy
        assert found.text.isprintable()


def test_a_file_whose_examples_fail_is_refused() -> None:
    """Wherever a policy is read: by the function, by every command."""
    text = a_file(examples="[{given: {alive_for: 3h}, expect: keep}]")
    with pytest.raises(
        PolicyError, match=r"REAPER_POLICY:8: policies\[0\].examples\[0\]: expected keep, got stop"
    ):
        read_policy(read_settings({"REAPER_POLICY": text}, Context()))
