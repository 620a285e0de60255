"""docs/cookbook.md: whole policies that load, do what they say, and would notice if they did not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fc_reaper.cli.check import cost_of
from fc_reaper.errors import PolicyError
from fc_reaper.evaluator.evaluate import compile_policies
from fc_reaper.evaluator.examples import failing
from fc_reaper.events import Request, Selector, parse_event
from fc_reaper.models import Function, Millis
from fc_reaper.policy import Example, Matcher, Policy, PolicyFile, load_policy
from fc_reaper.policy.lint import lint
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.rules import Clock, IdRule, RetriesOver, Rule, StatusRule
from fc_reaper.settings import Context, read_policy, read_settings
from fc_reaper.sweep.scanner import queries
from fc_reaper.sweep.scope import resolve, scope_of
from tests.project.files import ROOT
from tests.project.markdown import fences, sections

TEXT = (ROOT / "docs" / "cookbook.md").read_text("utf-8")
RECIPES = {title: part for title, part in sections(TEXT).items() if fences(part, "yaml")}
SECOND: Millis = 1000

recipes = pytest.mark.parametrize("part", [pytest.param(part, id=title) for title, part in RECIPES.items()])


def text_of(part: str) -> str:
    (fence,) = fences(part, "yaml")
    return fence.text


def policy_of(part: str) -> PolicyFile:
    return load_policy(text_of(part), source="policy.yaml")


def said(part: str, what: str) -> str:
    """The paragraph of a recipe that begins with this word, on one line."""
    (paragraph,) = re.findall(rf"^\*\*{what}\.\*\*(.*?)(?=\n\n|\Z)", part, re.MULTILINE | re.DOTALL)
    return " ".join(str(paragraph).split())


def test_there_are_enough_of_them() -> None:
    assert len(RECIPES) >= 14
    assert len(fences(TEXT, "yaml")) == len(RECIPES)


def test_the_first_sentence_counts_them() -> None:
    numbers = ["fourteen", "fifteen", "sixteen", "seventeen", "eighteen"]
    first = TEXT.split("\n\n")[2]
    assert first.lower().startswith(f"{numbers[len(RECIPES) - 14]} complete policies")


@recipes
def test_a_recipe_is_a_whole_policy_that_does_what_its_examples_say(part: str, tmp_path: Path) -> None:
    """Read as the deployed function reads it."""
    path = tmp_path / "policy.yaml"
    path.write_text(text_of(part), "utf-8")
    read_policy(read_settings({"REAPER_POLICY": str(path)}, Context()))


@recipes
def test_check_has_nothing_against_it(part: str) -> None:
    assert lint(policy_of(part)) == []


@recipes
def test_it_shows_what_is_stopped_and_what_is_kept(part: str) -> None:
    """Each policy that stops has an example of both, and one of reports at least reports."""
    for policy in policy_of(part).policies:
        expected = {example.expect for example in policy.examples}
        assert not policy.stops or expected == {"stop", "keep"}
        assert policy.stops or expected in ({"report", "keep"}, set())


@recipes
def test_it_says_why_how_to_try_it_and_what_it_costs(part: str) -> None:
    for what in ("Why so", "Try it", "Costs"):
        assert said(part, what)


@recipes
def test_an_example_that_expects_something_else_fails(part: str, tmp_path: Path) -> None:
    """So that none of them is true whatever the policy says."""
    text = text_of(part)
    for found in re.finditer(r"expect: (stop|keep|report)\b", text):
        does = "report" if "expect: report" in text else "stop"
        other = does if found[1] == "keep" else "keep"
        path = tmp_path / "policy.yaml"
        path.write_text(f"{text[: found.start()]}expect: {other}{text[found.end() :]}", "utf-8")
        with pytest.raises(PolicyError):
            read_policy(read_settings({"REAPER_POLICY": str(path)}, Context()))


def moved(limit: Millis | CarriedLimit) -> Iterator[Millis | CarriedLimit]:
    """A limit that is a second shorter or longer."""
    if not isinstance(limit, CarriedLimit):
        yield from (limit - SECOND, limit + SECOND)
        return
    yield limit.model_copy(update={"at_most": limit.at_most + SECOND})
    if limit.otherwise is not None:
        for by in (-SECOND, SECOND):
            yield limit.model_copy(update={"otherwise": limit.otherwise + by})


def other_matches(match: Matcher) -> Iterator[Matcher]:
    """A `match` with one condition that is a little different, or gone."""
    for rule in match.rules:
        for other in other_values(rule):
            changed = match.model_copy(update={rule.key: other})
            changed.__dict__.pop("rules", None)  # those that were made of the other
            yield changed


def other_values(rule: Rule) -> Iterator[object]:
    if isinstance(rule, Clock):
        yield from moved(rule.wanted)
    elif isinstance(rule, RetriesOver):
        yield from (rule.wanted - 1, rule.wanted + 1)
    elif isinstance(rule, IdRule) and rule.wanted != ("*",):
        yield ("*",)
    elif isinstance(rule, StatusRule):
        yield from (tuple(one for one in rule.wanted if one != status) for status in rule.wanted)


def mutants(file: PolicyFile) -> Iterator[PolicyFile]:
    """Files with one thing that is a little different."""
    for at in range(len(file.exempt)):
        yield file.model_copy(update={"exempt": (*file.exempt[:at], *file.exempt[at + 1 :])})
    for number, policy in enumerate(file.policies):
        for other in other_policies(policy):
            yield file.only(*file.policies[:number], other, *file.policies[number + 1 :])


def other_policies(policy: Policy) -> Iterator[Policy]:
    if not policy.examples:
        return
    yield from (policy.model_copy(update={"match": match}) for match in other_matches(policy.match))
    for at in range(len(policy.unless)):
        yield policy.model_copy(update={"unless": (*policy.unless[:at], *policy.unless[at + 1 :])})


@recipes
def test_its_examples_notice_a_change_of_one_second_or_one_word(part: str) -> None:
    """Every limit has an example on each side of it, every status and exception one that needs it."""
    unnoticed = [mutant for mutant in mutants(policy_of(part)) if not failing(mutant)]
    assert unnoticed == []


def test_the_mutants_are_many() -> None:
    assert sum(1 for part in RECIPES.values() for _ in mutants(policy_of(part))) > 40


def idle_calls(file: PolicyFile) -> int:
    """Listings of a run that its first policy's trigger starts, with nothing alive."""
    kind, _, name = (file.policies[0].triggers or ("timer",))[0].partition(":")
    scope = scope_of([Request(kind, name or None, Selector(), "")], file.policies)
    return sum(
        len(queries(function, compile_policies(function, list(scope.policies(function)[0]), file.exempt), 0))
        for function in resolve(scope.targets, lambda services: ())[0]
    )


@recipes
def test_the_cost_that_is_told_is_what_a_run_lists(part: str) -> None:
    told = said(part, "Costs")
    file = policy_of(part)
    if any(policy.triggers == ("task",) for policy in file.policies):
        assert "Nothing in other runs" in told
    elif any(target.needs_discovery for policy in file.policies for target in policy.targets):
        assert "Patterns take calls" in told
    else:
        assert re.search(r"[Ii]dle (\d+) calls?\b", told), told
        assert f"dle {idle_calls(file)} call" in told
    settings = read_settings({}, Context())
    assert ("payload" in told) == any(cost_of(one, file, settings).payload for one in file.policies)


def test_events_that_are_shown_ask_for_what_the_recipe_says() -> None:
    """The one of a cancelled job names a task, and the policy above it is run by that."""
    shown = [(part, fence.text) for part in RECIPES.values() for fence in fences(part, "json")]
    assert shown
    for part, text in shown:
        requests = parse_event(text.encode()).requests
        scope = scope_of(requests, policy_of(part).policies)
        named = json.loads(text)
        function = Function(named.get("serviceName"), named["functionName"], named.get("qualifier", "LATEST"))
        assert [policy.name for policy in scope.policies(function)[0]]


def test_the_events_that_are_named_exist() -> None:
    named = set(re.findall(r"events/[\w./-]+\.json", TEXT))
    assert named
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_an_example_without_anything_to_notice_is_noticed() -> None:
    """The search for mutants sees a limit that no example bounds."""
    loose = load_policy(text_of(next(iter(RECIPES.values()))), source="policy.yaml")
    (policy,) = loose.policies
    only: tuple[Example, ...] = policy.examples[1:2]
    mild = loose.only(policy.model_copy(update={"examples": only}))
    assert [mutant for mutant in mutants(mild) if not failing(mutant)]
