"""examples/: five cases whose policies say what their pages say, and stop what their pages call stopped."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fc_reaper.evaluator.examples import failing
from fc_reaper.policy import load_policy
from fc_reaper.policy.lint import lint
from tests.cli.command import Ran, at, fc_reaper
from tests.emulator_server import Emulator, running_emulator
from tests.project.console import Shown, missing, shown
from tests.project.files import ROOT, project_files
from tests.project.markdown import code, tables
from tests.project.test_cookbook import mutants
from tests.run.account import stopped

EXAMPLES = ROOT / "examples"
CASES = sorted(path.parent for path in EXAMPLES.glob("*/policy.yaml"))
START = "fc-emulator --port 9850 --seed seed.json & sleep 2"

cases = pytest.mark.parametrize("folder", [pytest.param(folder, id=folder.name) for folder in CASES])


class Page(NamedTuple):
    """The README of a case: its commands with their output, and what becomes of each task."""

    commands: list[Shown]
    results: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> Page:
        text = (folder / "README.md").read_text("utf-8")
        (table,) = tables(text)
        return cls(shown(text), {code(task)[0]: result for task, result, _ in table[1:]})

    def events(self) -> Iterator[str]:
        """The files that it plans."""
        yield from (words[2] for one in self.commands if (words := one.command.split())[1] == "plan")


def seed_of(folder: Path) -> dict[str, Any]:
    seed: dict[str, Any] = json.loads((folder / "seed.json").read_text("utf-8"))
    return seed


@pytest.fixture
def cloud(folder: Path) -> Iterator[Emulator]:
    """The account of the case, two seconds after it was started."""
    with running_emulator("--stopping", "5ms", seed=seed_of(folder)) as emulator:
        emulator.advance("2s")
        yield emulator


def test_there_are_five_and_the_page_of_the_gallery_links_each() -> None:
    assert len(CASES) == 5
    linked = re.findall(r"\]\(([\w-]+)/README\.md\)", (EXAMPLES / "README.md").read_text("utf-8"))
    assert sorted(linked) == [folder.name for folder in CASES]


def test_the_page_of_the_gallery_names_every_other_file() -> None:
    (_, others) = tables((EXAMPLES / "README.md").read_text("utf-8"))
    named = {name for row in others[1:] for name in code(row[0])}
    there = {path.name for path in project_files() if path.parent == Path("examples")}
    assert named == there - {"README.md"}


@cases
def test_its_policy_is_sound_and_its_examples_notice_every_change(folder: Path) -> None:
    """No warning, an example on both sides of each limit, and one for each exception."""
    file = load_policy((folder / "policy.yaml").read_text("utf-8"), source="policy.yaml")
    assert [lint(file), failing(file)] == [[], []]
    assert all(len({one.expect for one in policy.examples}) == 2 for policy in file.policies)
    assert [mutant for mutant in mutants(file) if not failing(mutant)] == []


def numbers(lines: Sequence[str]) -> list[str]:
    """In their order, without seconds, and what stops would save."""
    return re.findall(r"(?<![\d,])\d+(?![\d,s])", re.sub(r"[\d,]+(?= vCPU-s| GB-s)", "", "\n".join(lines)))


@cases
def test_two_commands_print_what_its_page_shows(folder: Path, cloud: Emulator) -> None:
    """The first one starts the account; each that follows, and each exit code, is compared.

    A count, an age, a limit is that of the page; only seconds may differ, and what stops would save.
    """
    first, *others = Page.of(folder).commands
    assert (first.command, len(first.output)) == (START, 1)
    assert others
    ran = Ran(0, "", "")
    for at_number, (command, output) in enumerate(others):
        if command == "echo $?":
            assert output == [str(ran.code)]
            continue
        ran = fc_reaper(*shlex.split(command)[1:], env=at(cloud), cwd=folder)
        assert missing(output, ran.out) == [], ran.out + ran.err
        assert numbers(output) == numbers(ran.out.splitlines()), ran.out
        assert ran.code == 0 or others[at_number + 1].command == "echo $?", ran.err


@cases
def test_enforced_it_stops_what_its_page_calls_stopped(folder: Path, cloud: Emulator) -> None:
    """And no other task of the account, by the journal of the emulator; its page names each task."""
    page = Page.of(folder)
    assert set(page.results) == {task["invocationId"] for task in seed_of(folder)["invocations"]}
    assert set(page.results.values()) == {"stopped", "kept"}
    text = (folder / "README.md").read_text("utf-8")
    assert f"`fc-reaper invoke {next(page.events())} --enforce`" in text
    for event in page.events():
        ran = fc_reaper("invoke", event, "--enforce", env=at(cloud), cwd=folder)
        assert ran.json["errors"] == []
    assert stopped(cloud) == {name for name, result in page.results.items() if result == "stopped"}


@cases
def test_every_event_of_its_folder_is_shown(folder: Path) -> None:
    there = {path.name for path in folder.glob("*.json")} - {"seed.json"}
    assert there == set(Page.of(folder).events())
