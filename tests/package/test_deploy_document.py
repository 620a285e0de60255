"""docs/deploy.md shows what its commands print, and what the pages about deploying say of files is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from tests.package.conftest import Packages, skip_without_index
from tests.package.test_package import tree
from tests.project.console import run_document
from tests.project.files import ROOT, copy_of_the_project

TEXT, VARIANTS, TROUBLE = (
    (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    for page in ("deploy", "deploy-variants", "troubleshooting")
)
# It prepares an environment first; the tests run in one.
REPLACED = {"make package": "python scripts/package.py"}


def test_the_document_shows_what_its_commands_print(packages: Packages, tmp_path: Path) -> None:
    """And `make package` gives the same bytes in another folder, its own wheels built again."""
    project = copy_of_the_project(tmp_path / "project")
    try:
        run_document(TEXT, project, REPLACED)
    except AssertionError as error:
        skip_without_index(str(error))
        raise
    made, again = tree(packages["3.10"]), tree(project / "build" / "function")
    policy = ("policy.yaml", "policy.lock", "probe.json")
    assert {p: made[p] for p in made if p not in policy} == {p: again[p] for p in again if p not in policy}


def test_the_figures_are_for_the_function_that_is_deployed() -> None:
    props = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["resources"]["reaper"]["props"]
    assert f"at {props['cpu']} vCPU" in VARIANTS
    assert f"Why {props['memorySize']} MB" in VARIANTS
    assert f"{props['timeout']} s fit into" in VARIANTS


def test_names_of_the_log_are_those_of_s_yaml() -> None:
    variables = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["vars"]
    assert set(re.findall(r'project_name="([^"]+)"', TEXT)) == {variables["logProject"]}
    assert set(re.findall(r'logstore_name="([^"]+)"', TEXT)) == {variables["logstore"]}
    assert set(re.findall(r"--RoleName (\S+?)[`;\s]", TEXT)) == {variables["role"]}


def test_every_reason_for_skipping_is_explained() -> None:
    """The values of `why`, as the published schema of the log lines lists them."""
    schema = json.loads((ROOT / "docs" / "log-schema.json").read_text("utf-8"))
    reasons = schema["$defs"]["TaskLine"]["properties"]["why"]["enum"]
    assert not [why for why in reasons if why and f"`{why}`" not in TROUBLE]
