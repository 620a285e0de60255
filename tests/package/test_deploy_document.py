"""docs/deploy.md shows what its commands print, and what the pages about deploying say of files is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from tests.package.conftest import Packages, skip_without_index
from tests.package.test_package import tree
from tests.package.test_s_yaml import filled
from tests.project.console import run_document
from tests.project.files import ROOT, copy_of_the_project
from tests.project.markdown import fences

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


def test_what_was_seen_of_a_preview_is_in_the_file_that_was_previewed() -> None:
    """The end of `s preview`, and what enforcement changes; `...` stands for more."""
    ends, enforced = (fence.text for fence in fences(TEXT, "text"))
    *ends_, verified = ends.replace("      ...\n", "").splitlines()
    assert verified == "Format verification for [s.yaml] passed."
    for name, seen in (("s.yaml", "\n".join(ends_)), ("s-prod.yaml", enforced)):
        props = filled((ROOT / name).read_text("utf-8"))["resources"]["reaper"]["props"]
        shown = yaml.safe_load(seen)
        assert shown == {key: props[key] for key in shown}


def test_the_file_of_another_region_has_variables_that_there_are() -> None:
    """And the right of `destinationConfig` is for the queue that `s.yaml` names there."""
    (region,) = (yaml.safe_load(fence.text) for fence in fences(VARIANTS, "yaml"))
    plain = yaml.safe_load((ROOT / region.pop("extend")).read_text("utf-8"))
    assert region.keys() == {"vars"}
    assert region["vars"].keys() <= plain["vars"].keys()
    (right,) = (json.loads(fence.text) for fence in fences(VARIANTS, "json"))
    (queue,) = right["Resource"]
    assert right == {"Effect": "Allow", "Action": ["mns:SendMessage"], "Resource": [queue]}
    assert queue.rpartition("*:")[2] in (ROOT / "s.yaml").read_text("utf-8")


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
