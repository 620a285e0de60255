"""A key of a matcher is one class: whoever registers one has it everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fc_reaper.cli.schema import policy_schema
from fc_reaper.evaluator.explain import explain
from fc_reaper.models import Function, Task
from fc_reaper.policy import load_policy
from fc_reaper.policy.load import dump_policy
from fc_reaper.policy.lock import fingerprint
from fc_reaper.rules.ages import Reading
from fc_reaper.rules.fields import InvocationId
from fc_reaper.rules.result import RuleResult, Truth
from fc_reaper.rules.rules import RULES, Rule, register
from tests.builders import AT_NOON
from tests.emulator_server import running_emulator
from tests.policy.builders import a_file, issue, loaded, policy
from tests.reaping import reap
from tests.run.account import SEED
from tests.run.account import policy as usual


class IdEndsWith(Rule):
    key = "id_ends_with"
    field = InvocationId
    description = "The invocation id ends with this text."
    example = "-tmp"
    is_limit = True

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        return RuleResult(Truth(task.invocation_id.endswith(self.wanted)), self.key)


@pytest.fixture
def registered() -> Iterator[None]:
    register(IdEndsWith)
    yield
    del RULES[IdEndsWith.key]


def test_without_registering_it_is_no_key() -> None:
    """The language has the keys of the registry and no others."""
    assert issue(match="{id_ends_with: '-3'}").path == "policies[0].match.id_ends_with"


@pytest.mark.usefixtures("registered")
def test_a_rule_of_our_own_is_a_key_of_the_language() -> None:
    """In `match` and in exemptions, with its type, in dump and schema, and in the fingerprint."""
    text = a_file(top="exempt: [{id_ends_with: -keep}]", match="{id_ends_with: '-3'}")
    file = loaded(text)
    assert load_policy(dump_policy(file), source="x") == file
    assert issue(match="{id_ends_with: a b}").path == "policies[0].match.id_ends_with"
    assert issue(match="{id_ends_wth: '-3'}").remedy == "did you mean id_ends_with?"
    for model in ("Match", "Matcher"):
        described = policy_schema()["$defs"][model]["properties"]["id_ends_with"]
        assert (described["description"], described["examples"]) == (IdEndsWith.description, ["-tmp"])
    prints = {fingerprint(policy(match=match)) for match in ("{id_ends_with: '-3'}", "{id_ends_with: '-4'}")}
    assert len(prints) == 2


@pytest.mark.usefixtures("registered")
def test_explain_shows_it_as_a_step() -> None:
    """With what the policy wants, and whether that holds."""
    file = loaded(a_file(match="{id_ends_with: '-3', retries_over: 2}"))
    task = Task(Function("media", "transcode", "prod"), "job-3", "Running", retries=1)
    steps = explain(task, file, AT_NOON, stuck_after=1).steps
    assert [(step.condition, step.holds) for step in steps if step.name == "match"] == [
        ("retries_over: 2", False),
        ("id_ends_with: -3", True),
    ]


@pytest.mark.usefixtures("registered")
def test_a_whole_run_stops_by_it_and_spares_by_it() -> None:
    """Each in truth, and the log names the key that decided."""
    text = usual(match="{id_ends_with: '-1'}", unless="[{id_ends_with: p-1}]")
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        reaped = reap(cloud.endpoint, text, enforce=True)
    assert reaped.ids("confirmed") == {"over-1", "waited-1", "young-1", "queue-1"}
    assert {line["rule"] for line in reaped.logged("confirmed")} == {"id_ends_with"}
