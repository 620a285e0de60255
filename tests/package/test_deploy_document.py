"""What docs/deploy.md shows as real output is what its commands print, and what it says of files is true.

As in the README, a fence of the kind `console` is run, in order, by one shell in a copy of the project.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.house.our_files import ROOT
from tests.house.test_readme import CONSOLE, PROMPT, copy_of_the_project, missing, run_as_one_shell

TEXT = (ROOT / "docs" / "deploy.md").read_text("utf-8")
# This one prepares an environment first, which this run already stands in.
PREPARED = {"make package": "python scripts/package.py"}


def shown() -> list[tuple[str, list[str]]]:
    """Each command with the lines shown below it; `...` stands for lines that are left out."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(CONSOLE.findall(TEXT)).splitlines():
        if line.startswith(PROMPT):
            found.append((line.removeprefix(PROMPT), []))
        elif line.strip() not in ("", "..."):
            found[-1][1].append(line)
    return found


def test_what_is_shown_as_real_is_real(tmp_path: Path) -> None:
    examples = shown()
    commands = [PREPARED.get(command, command) for command, _ in examples]
    ran = run_as_one_shell(commands, copy_of_the_project(tmp_path))
    assert len(ran) == len(commands)
    for command, (_, expected), (printed, status) in zip(commands, examples, ran, strict=True):
        if "index could not be reached" in printed and os.environ.get("CI") != "true":
            pytest.skip("no package index can be reached, and the package is made from one")
        assert status == 0, f"$ {command}\nended with {status}:\n{printed}"
        absent = "\n".join(missing(expected, printed))
        assert not absent, f"$ {command}\ndid not print:\n{absent}\nbut:\n{printed}"


def test_the_figures_are_for_the_function_that_is_deployed() -> None:
    props = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["resources"]["reaper"]["props"]
    assert f"at {props['cpu']} vCPU" in TEXT
    assert f"Why {props['memorySize']} MB" in TEXT
    assert f"{props['timeout']} s fit into" in TEXT


def test_names_of_the_log_are_those_of_s_yaml() -> None:
    variables = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["vars"]
    assert set(re.findall(r'project_name="([^"]+)"', TEXT)) == {variables["logProject"]}
    assert set(re.findall(r'logstore_name="([^"]+)"', TEXT)) == {variables["logstore"]}
    assert set(re.findall(r"--RoleName (\S+?)[`;\s]", TEXT)) == {variables["role"]}


def test_every_reason_for_skipping_is_explained() -> None:
    """The words of `why`, as the published schema of the log lines gives them."""
    schema = (ROOT / "docs" / "log-schema.json").read_text("utf-8")
    listed = re.search(r"Left alone: ([a-z, ]+)\.", schema)
    assert listed is not None
    assert not [why for why in listed[1].split(", ") if f"`{why}`" not in TEXT]
