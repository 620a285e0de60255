"""docs/policy*.md are enough to write a policy by: each key is there, and what they show is true."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from fc_reaper.errors import PolicyError
from fc_reaper.evaluator import concurrency
from fc_reaper.evaluator.examples import failing
from fc_reaper.events import parser
from fc_reaper.policy import PolicyFile, load, load_policy
from fc_reaper.policy.lint import lint
from fc_reaper.policy.load import policy_models
from fc_reaper.rules import duration, expression, interpreter
from fc_reaper.rules.expression import RECORD_FIELDS
from fc_reaper.rules.fields import TRIGGERS
from fc_reaper.rules.interpreter import parse_expression
from fc_reaper.rules.language import keys_of
from fc_reaper.settings import Context, read_policy, read_settings
from tests.project.files import ROOT
from tests.project.markdown import code, fences, plain, sections, tables

PAGES = [page.read_text("utf-8") for page in sorted((ROOT / "docs").glob("policy*.md"))]
TEXT = "\n".join(PAGES)
NOTIFICATIONS = (ROOT / "docs" / "notifications.md").read_text("utf-8")
PARTS = {re.findall("^# (.*)$", page, re.MULTILINE)[0]: page for page in PAGES} | sections(TEXT)
"""By the title of a page, or of one of its sections."""

Wrapper = Callable[[str], str]


def a_policy(keys: str) -> str:
    """A whole file around some keys of a policy, or of the file; what they leave out is there already."""
    written = set(re.findall(r"^(\w+):", keys, re.MULTILINE))
    defaults = {
        "name": "example",
        "targets": "[media/transcode@prod]",
        "match": "{alive_for: 2h}",
        "stop": "Because.",
    }
    if "report" in written:
        del defaults["stop"]
    own = [f"{key}: {value}" for key, value in defaults.items() if key not in written]
    if written & {"version", "exempt"}:
        top, own = [keys.rstrip()], own
    else:
        top, own = [], [*own, *keys.rstrip().splitlines()]
    head = [] if "version" in written else ["version: 1"]
    return "\n".join([*head, *top, "policies:", "  -", *(f"    {line}" for line in own), ""])


def a_match(keys: str) -> str:
    """A whole file around the keys of a `match`, where no limit is asked for."""
    lines = "\n".join(f"  {line}" for line in keys.rstrip().splitlines())
    return a_policy(f"match:\n{lines}\ntriggers: [task]")


def a_limit(keys: str) -> str:
    needed = {"from": "from: payload.x", "at_most": "at_most: 6h"} | {keys.partition(":")[0]: keys}
    return a_policy(f"match: {{alive_for: {{{', '.join(needed.values())}}}}}")


def a_keep(keys: str) -> str:
    needed = {"at_most": "at_most: 10"} | {keys.partition(":")[0]: keys}
    return a_policy(f"keep: {{{', '.join(needed.values())}}}")


def an_example(keys: str) -> str:
    needed = {"given": "given: {alive_for: 3h}", "expect": "expect: stop"} | {keys.partition(":")[0]: keys}
    return a_policy(f"examples: [{{{', '.join(needed.values())}}}]")


# Where each kind of mapping is explained, and what a key of it stands in.
EXPLAINED: dict[str, tuple[str, Wrapper]] = {
    "the file": ("Keys of the file", a_policy),
    "a policy": ("Keys of a policy", a_policy),
    "`match`": ("Keys of a matcher", a_match),
    "an entry of `exempt` or `unless`": ("Keys of a matcher", lambda keys: a_policy(f"unless: [{{{keys}}}]")),
    "a limit that the task carries": ("Limits that the task carries", a_limit),
    "`keep`": ("keep", a_keep),
    "an example": ("Examples", an_example),
    "`given`": ("Examples", lambda keys: a_policy(f"examples: [{{given: {{{keys}}}, expect: keep}}]")),
}


def keys() -> dict[str, list[str]]:
    """The keys of every mapping of the language, by what messages call it."""
    return {str(model.model_config.get("title")): list(keys_of(model)) for model in policy_models().values()}


def rows(section: str) -> dict[str, list[str]]:
    """The rows of a section's tables that explain a key, by its name."""
    return {
        name[0]: row
        for table in tables(PARTS[section])
        for row in table[1:]
        if len(name := code(row[0])) == 1 and len(row) > 2
    }


def loaded(text: str) -> PolicyFile:
    return load_policy(text, source="policy.yaml")


@pytest.mark.parametrize("what", sorted(keys()))
def test_every_key_is_explained(what: str) -> None:
    """A new key fails here until somebody has written what it means."""
    section, _ = EXPLAINED[what]
    assert not set(keys()[what]) - rows(section).keys()


@pytest.mark.parametrize("what", sorted(keys()))
def test_what_is_shown_for_a_key_is_accepted(what: str) -> None:
    """And each key is shown at least once as it is written; that of `policies` is the block at the top."""
    section, wrapped = EXPLAINED[what]
    for key in keys()[what]:
        shown = [one for cell in rows(section)[key][2:3] for one in code(cell) if ":" in one]
        assert shown or key == "policies", key
        for one in shown:
            assert one.startswith(f"{key}: ")
            assert loaded(wrapped(one)).policies


def test_only_keys_that_exist_are_explained() -> None:
    """A key that was taken away is taken away here too."""
    known = {key for mapping in keys().values() for key in mapping}
    shown = {name for section, _ in EXPLAINED.values() for name in rows(section)}
    assert shown == known


@pytest.mark.parametrize("fence", fences(TEXT, "yaml"))
def test_whole_files_are_valid(fence: tuple[str, str]) -> None:
    """Their examples hold, and `check` warns of nothing."""
    file = loaded(fence[1])
    assert failing(file) == []
    assert lint(file) == []


@pytest.mark.parametrize(
    ("wrapped", "text"),
    [(a_match, one.text) for one in fences(TEXT, "yaml match")]
    + [(a_policy, one.text) for one in fences(TEXT + NOTIFICATIONS, "yaml policy")],
)
def test_fragments_are_valid(wrapped: Wrapper, text: str) -> None:
    file = loaded(wrapped(text))
    assert lint(file) == []


def test_the_policy_of_the_readme_is_valid() -> None:
    """What a visitor sees first."""
    (fence,) = fences((ROOT / "README.md").read_text("utf-8"), "yaml")
    assert lint(loaded(fence.text)) == []


def test_every_block_of_yaml_is_tried() -> None:
    kinds = {fence.info for fence in fences(TEXT)}
    assert kinds == {"yaml", "yaml match", "yaml policy", "sh"}


def mistakes(header: str) -> list[tuple[str, str]]:
    """What is written, and the message for it, as the table with that header shows it."""
    (table,) = [table for table in tables(PARTS["Typical mistakes"]) if table[0] == ["written", header]]
    return [(code(written)[0], plain(said)) for written, said in table[1:]]


@pytest.mark.parametrize(("written", "said"), mistakes("message"))
def test_a_mistake_gets_the_message_that_is_quoted(written: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(read_settings({"REAPER_POLICY": a_policy(written)}, Context()))
    assert [f"{one.what}; {one.remedy}" for one in caught.value.issues] == [said]


@pytest.mark.parametrize(("written", "said"), mistakes("`check` warns"))
def test_what_is_odd_gets_the_warning_that_is_quoted(written: str, said: str) -> None:
    assert said in [f"{one.what}; {one.remedy}" for one in lint(loaded(a_policy(written)))]


def test_the_expressions_that_are_shown_are_expressions() -> None:
    """In the table of what one means and what to write."""
    (table,) = [table for table in tables(PARTS["Expressions"]) if table[0] == ["you mean", "write"]]
    shown = [one for _, cell in table[1:] for one in code(cell)]
    assert len(shown) >= 12
    for text in shown:
        assert not parse_expression(text).unknown_roots


def test_the_fields_of_a_record_that_are_named_exist() -> None:
    (line,) = re.findall(r"^- the fields of the record.*?(?=^- )", TEXT, re.MULTILINE | re.DOTALL)
    assert set(code(" ".join(line.split()))) <= set(RECORD_FIELDS)


@pytest.mark.parametrize(
    "says",
    [
        f"at most {load.LARGEST:,} characters",
        f"at most `{duration.LONGEST // 86_400_000}d`",
        f"at most {interpreter.LONGEST:,} characters",
        f"more than {interpreter.MOST:,} steps",
        f"more than {concurrency.MOST:,} tasks match",
        f"more than {parser.DEEPEST} levels deep",
        f"more than {expression._LONGEST_PAYLOAD >> 10} Ki characters",
    ],
)
def test_a_limit_is_the_one_that_is_kept(says: str) -> None:
    assert says in " ".join(TEXT.split())


def test_every_trigger_is_explained() -> None:
    shown = {code(row[0])[0] for table in tables(PARTS["Triggers"]) for row in table[1:]}
    assert shown == {*TRIGGERS, "timer:NAME"}


def test_the_targets_that_are_shown_are_targets() -> None:
    (table,) = tables(PARTS["Targets and qualifiers"])
    for target, _ in table[1:]:
        assert loaded(a_policy(f"targets: [{code(target)[0]}]")).policies
