"""What `s init` makes of the application template is the project, filled in: it deploys, and its policy runs.

The placeholders are filled in here as Serverless Devs does it: in s.yaml, and in files that the hook names.
https://docs.serverless-devs.com/dev-guide/application/
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts import template

from fc_reaper import __version__
from fc_reaper.policy import load_policy
from tests.emulator_server import running_emulator
from tests.package.test_s_yaml import filled, source
from tests.project.files import ROOT
from tests.reaping import reap
from tests.run.account import seeded

FOLDER = ROOT / "deploy" / "s-template"
PUBLISHED = yaml.safe_load((FOLDER / "publish.yaml").read_text("utf-8"))
PARAMETERS: dict[str, dict[str, Any]] = PUBLISHED["Parameters"]["properties"]
ANSWERS = {
    "region": "cn-shanghai",
    "role": "the-role",
    "logProject": "the-logs",
    "interval": "10m",
    "target": "media/transcode@prod",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as `make template` writes it."""
    out = tmp_path_factory.mktemp("template") / "template"
    template.make_template(out)
    return out


def fill(text: str, answers: dict[str, str]) -> str:
    """Fill in the placeholders; what has no answer is empty, or what stands behind ||."""

    def value(found: re.Match[str]) -> str:
        return answers.get(found[1]) or found[2] or ""

    return re.sub(r"\{\{ (\w+)(?: \|\| '(\w+)')? \}\}", value, text)


def rendered(made: Path, answers: dict[str, str]) -> dict[str, str]:
    """The files that `s init` fills in."""
    hook = (made / "hook" / "index.js").read_text("utf-8")
    names = ["s.yaml", *re.findall(r"artTemplate\('([^']+)'\)", hook)]
    return {name: fill((made / "src" / name).read_text("utf-8"), answers) for name in names}


def test_the_folder_is_laid_out_as_the_registry_wants_it(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {
        *("publish.yaml", "hook", "src", "readme.md", "readme_en.md", "version.md")
    }
    assert (PUBLISHED["Edition"], PUBLISHED["Type"]) == ("3.0.0", "Project")
    assert re.findall("^Version: (.+?) ", (made / "publish.yaml").read_text("utf-8"), re.M) == [__version__]
    assert (made / "version.md").read_text("utf-8").startswith(f"# {__version__}\n")
    assert PUBLISHED["Provider"] == ["阿里云"]
    assert {"Name", "Description", "Organization", "Effective", "Tags", "Category", "Service"} < set(
        PUBLISHED
    )


def test_with_the_answers_of_s_yaml_it_is_s_yaml(made: Path) -> None:
    """So all that is checked of s.yaml holds for what comes out."""
    usual = {name: str(value) for name, value in yaml.safe_load(source("s.yaml"))["vars"].items()}
    assert filled(rendered(made, usual)["s.yaml"]) == filled(source("s.yaml"))


def test_only_what_was_asked_for_differs(made: Path) -> None:
    text = rendered(made, {**ANSWERS, "access": "my-keys"})["s.yaml"]
    document, usual = yaml.safe_load(text), yaml.safe_load(source("s.yaml"))
    assert document.pop("access") == "my-keys"
    del usual["access"]
    assert document.pop("vars") == {**usual.pop("vars"), **{name: ANSWERS[name] for name in template.ASKED}}
    assert document == usual


def test_every_placeholder_is_asked_for_and_every_answer_is_used(made: Path) -> None:
    found: set[str] = set()
    for path in (path for path in (made / "src").rglob("*") if path.is_file()):
        relative = str(path.relative_to(made / "src"))
        if relative in rendered(made, {}):
            found |= set(re.findall(r"\{\{ (\w+)", path.read_text("utf-8")))
    assert found == {*PARAMETERS, "access"}
    assert list(PARAMETERS) == PUBLISHED["Parameters"]["required"]
    assert [one["x-range"] for one in PARAMETERS.values()] == [1, 2, 3, 4, 5]
    assert "{{" not in "".join(rendered(made, ANSWERS).values())


def accepts(name: str, value: str) -> bool:
    """As Serverless Devs asks: one of a list, or a text that a pattern finds."""
    parameter = PARAMETERS[name]
    if "enum" in parameter:
        return value in parameter["enum"]
    return bool(value) and re.search(parameter["pattern"], value) is not None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("region", "eu-central-1", "hangzhou"),
        ("role", "fc-reaper-2", "Fc-Reaper"),
        ("role", "r", "acs:ram::1:role/x"),
        ("logProject", "my-logs", "x"),
        ("logProject", "a1b", "logs-"),
        ("interval", "5m", "4m"),
        ("interval", "10m", "10"),
        ("interval", "1h", "0h"),
        ("target", "resize", ""),
        ("target", "media/transcode@prod", "media/*"),
        ("target", "a/b", 'x"]'),
    ],
)
def test_a_wrong_answer_is_asked_again(name: str, good: str, bad: str) -> None:
    """No interval is as short as a run may take, and no answer ends the text that it stands in."""
    assert accepts(name, good)
    assert not accepts(name, bad)
    assert accepts(name, ANSWERS[name])
    assert "default" not in PARAMETERS[name] or accepts(name, PARAMETERS[name]["default"])


def test_the_defaults_are_those_of_s_yaml() -> None:
    usual = yaml.safe_load(source("s.yaml"))["vars"]
    asked = {name: one["default"] for name, one in PARAMETERS.items() if name != "target"}
    assert asked == {name: usual[name] for name in template.ASKED}


@pytest.mark.parametrize(("name", "none"), [("readme.md", "无"), ("readme_en.md", "none")])
def test_both_languages_have_every_parameter(name: str, none: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", (FOLDER / name).read_text("utf-8"), re.MULTILINE))
    assert rows == {
        key: f"`{one['default']}`" if "default" in one else none for key, one in PARAMETERS.items()
    }


def test_all_that_the_package_is_made_of_is_there(made: Path) -> None:
    """Of the archive of the sources, all but what develops it; the same bytes, but for what is filled in."""
    listed = source("pyproject.toml").split("[tool.hatch.build.targets.sdist]")[1].split("]\n")[0]
    archive = {name.lstrip("/") for name in re.findall(r'"(/[^"]+)"', listed)}
    develops = {"tests", "benchmarks", ".ci", ".github"}
    # .gitignore is in every archive; the policy is that of the template
    assert archive - develops - {"policy.yaml"} == set(template.INCLUDED) - {"pyproject.toml", ".gitignore"}
    for name in ("src/fc_reaper/handler.py", "scripts/package.py", "constraints/function.txt",
                 "deploy/policy-enforce.json", "docs/monitoring/index.json", "events/timer.json",
                 "s-prod.yaml"):  # fmt: skip
        assert (made / "src" / name).read_bytes() == (ROOT / name).read_bytes(), name
    assert not list(made.rglob("__pycache__"))
    for page in made.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text("utf-8")):
            assert (page.parent / link).exists(), (page, link)


def test_what_tests_it_is_elsewhere_and_make_says_so_at_once(made: Path) -> None:
    ran = subprocess.run(["make", "test"], cwd=made / "src", capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("make: there are no tests here")


def test_its_policy_is_valid_and_names_what_is_due(made: Path) -> None:
    """A dry run on the emulator; nothing is stopped."""
    text = rendered(made, ANSWERS)["policy.yaml"]
    assert [policy.name for policy in load_policy(text, source="policy.yaml").policies] == ["runaway"]
    tasks = [
        seeded("over-1", "Running", enqueued="-3h", started="-1h"),
        seeded("young-1", "Running", enqueued="-1h", started="-1h"),
        seeded("keep-1", "Running", enqueued="-3h", started="-3h"),
    ]
    with running_emulator(seed={"invocations": tasks}) as cloud:
        done = reap(cloud.endpoint, text, json.loads(source("events/timer.json")))
        assert done.ids("would_stop") == {"over-1"}
        assert {task["status"] for task in cloud.tasks()} == {"Running"}
