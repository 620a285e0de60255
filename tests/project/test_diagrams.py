"""The pictures of the documents: Mermaid that a renderer reads, and facts that are those of the code.

The structure is looked at here, without Mermaid itself, which is a program for browsers.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from fc_reaper.models import ALIVE, FINISHED, STOPPED, STOPPING, UNFINISHED
from fc_reaper.rules.ages import CLOCKS
from tests.project.files import ROOT, project_files
from tests.project.markdown import code, fences, tables

PICTURES = [
    pytest.param(fence.text, id=str(path))
    for path in project_files()
    if path.suffix == ".md"
    for fence in fences((ROOT / path).read_text("utf-8"), "mermaid")
]
_LABEL = re.compile(r'"[^"\n]*"')
_SHAPE = re.compile(r"([\w./]+)(?:\(\[.*?\]\)|\[\(.*?\)\]|\[[^\]]*\]|\{[^}]*\})")
_ARROW = re.compile(r"\s*-->(?:\|[^|]*\|)?\s*")
_STEP = re.compile(r"(\[\*\]|\w+) --> (\[\*\]|\w+)(?:: .+)?")


def picture(page: str) -> str:
    (fence,) = fences((ROOT / page).read_text("utf-8"), "mermaid")
    return fence.text


def faults(text: str) -> list[str]:
    """What a renderer would refuse, or draw otherwise than meant: a line that is none of the usual kinds."""
    first, *lines = (line.strip() for line in text.splitlines())
    if first == "stateDiagram-v2":
        return [line for line in lines if not _STEP.fullmatch(line)]
    if not re.fullmatch("flowchart (TD|LR)", first):
        return [first]
    found, depth = [line for line in lines if line.count('"') % 2], 0
    for line in lines:
        depth += line.startswith("subgraph ") - (line == "end")
        bare = _SHAPE.sub(r"\1", _LABEL.sub("", line))
        parts = [node for part in _ARROW.split(bare) for node in part.split(" & ")]
        if not (
            line == "end" or line.startswith("subgraph ") or all(re.fullmatch(r"[\w./]+", p) for p in parts)
        ):
            found.append(line)
        if depth < 0:
            found.append(line)
    return [*found, *(["a subgraph has no end"] if depth > 0 else [])]


@pytest.mark.parametrize("text", PICTURES)
def test_a_picture_is_mermaid(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    "line", ["a --> b[", "a -> b", 'a["x --> b', "end", "subgraph x", "a --> --> b", "a -->|x b", "a b"]
)
def test_a_slip_is_seen(line: str) -> None:
    assert faults(f"flowchart TD\n{line}\n")
    assert faults(f"stateDiagram-v2\n{line}\n")


@pytest.mark.parametrize("page", ["docs/run.md", "docs/authority.md"])
def test_every_node_of_an_arrow_has_words(page: str) -> None:
    """A name that is misspelt would be drawn as one more node."""
    lines = [line.strip() for line in picture(page).splitlines()[1:]]
    said = {found[1] for line in lines if (found := re.match(r'(\w+)[\[({]+"', line))}
    drawn = {
        node
        for line in lines
        if "-->" in line
        for part in _ARROW.split(_LABEL.sub("", line))
        for node in part.split(" & ")
    }
    assert not drawn - said
    assert len(said) > 10


def test_the_life_of_a_task_has_the_statuses_of_the_platform() -> None:
    """What is alive can be stopped, a stop leads through Stopping, and what has ended stays so."""
    steps = {(found[1], found[2]) for found in _STEP.finditer(picture("docs/task.md"))}
    assert {name for step in steps for name in step} == {"[*]", *UNFINISHED, *FINISHED}
    assert {before for before, after in steps if after == STOPPING} == set(ALIVE)
    assert [before for before, after in steps if after == STOPPED] == [STOPPING]
    assert {before for before, after in steps if after == "[*]"} == set(FINISHED)
    assert not [step for step in steps if step[0] in FINISHED and step[1] != "[*]"]


def test_each_clock_runs_in_the_statuses_that_the_table_says() -> None:
    (table,) = tables((ROOT / "docs/task.md").read_text("utf-8"))
    assert {code(row[0])[0]: tuple(code(row[1])) for row in table[1:]} == CLOCKS


def test_who_may_cause_what_names_everybody_that_is_drawn_and_a_promise_that_is_held() -> None:
    """A promise is a row of docs/reliability.md, or its test is named."""
    (table,) = tables((ROOT / "docs/authority.md").read_text("utf-8"))
    people = set(re.findall(r'\(\["([^"]+)"\]\)', picture("docs/authority.md")))
    assert {row[0] for row in table[1:]} == people
    held = {row[0] for rows in tables((ROOT / "docs/reliability.md").read_text("utf-8")) for row in rows}
    promises = [row[2] for row in table[1:]]
    assert [one for one in promises if one not in held and not Path(code(one)[-1]).exists()] == []


def test_a_stop_needs_every_step_that_is_drawn() -> None:
    """In one line, from a run to the request; an event leads to the run alone."""
    text = picture("docs/authority.md")
    (line,) = (line.strip() for line in text.splitlines() if "--> request" in line)
    steps = line.split(" --> ")
    assert len(set(steps)) == len(steps) == 8
    assert ("mode", "again") in pairwise(steps)
    assert re.findall(r"sender -->\|.*\| (\w+)", text) == ["run"]
