"""`python -m build` makes a wheel and a source archive that work where nothing else is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from fc_reaper import __version__
from tests.cli.command import fc_reaper
from tests.package.conftest import REPOSITORY, SOURCES, WHEEL, run_with_index
from tests.project.files import ROOT


def run(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run *program* in an empty folder, without variables of this environment."""
    env = {"PATH": os.pathsep.join([str(program.parent), os.defpath]), "HOME": str(folder), "COLUMNS": "80"}
    command = [str(program), *arguments]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False
    )


def test_building_makes_a_wheel_and_a_source_archive(dist: Path) -> None:
    assert {path.name for path in dist.iterdir()} == {WHEEL, SOURCES}


def test_the_wheel_says_what_it_is_and_where_it_comes_from(dist: Path) -> None:
    """Each link of its README leads to the files of this version; the Pythons are those of the workflow."""
    with zipfile.ZipFile(dist / WHEEL) as archive:
        names = archive.namelist()
        (metadata,) = [archive.read(one).decode() for one in names if one.endswith("/METADATA")]
    assert {name.split("/")[0] for name in names} == {
        *("fc_reaper", "fc_emulator", f"fc_reaper-{__version__}.dist-info")
    }
    assert {"fc_reaper/py.typed", "fc_emulator/py.typed"} < set(names)
    fields, readme = metadata.split("\n\n", 1)
    for field in (
        "Metadata-Version: 2.4",
        "License-Expression: Apache-2.0",
        "License-File: NOTICE",
        f"Project-URL: Repository, {REPOSITORY}",
    ):
        assert field in fields.splitlines()
    links = set(re.findall(r"\]\(([^)]+)\)", readme))
    assert f"{REPOSITORY}/blob/v{__version__}/docs/index.md" in links
    assert not [link for link in links if not link.startswith("https://")]
    matrix = re.findall(
        r"3\.\d+", re.findall("python: (.+)", (ROOT / ".github/workflows/tests.yml").read_text("utf-8"))[0]
    )
    assert re.findall(r"Python :: (3\.\d+)", fields) == matrix


def test_both_programs_work_in_an_empty_environment(
    dist: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """The demo ends with 0 only if the right tasks were stopped, and no others; `setup` finds its files."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment)
    programs = environment / "bin"
    # Unpacking pip takes longer than a copy of the one that is here.
    (packages,) = environment.glob("lib/python*/site-packages")
    ours = find_spec("pip")
    assert ours is not None
    shutil.copytree(Path(str(ours.origin)).parent, packages / "pip")
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check")
    run_with_index(*pip, "install", "-q", "--no-compile", f"{dist / WHEEL}[cli,emulator]")
    assert run(programs / "fc-reaper", "--version", folder=tmp_path).stdout == f"fc-reaper {__version__}\n"
    assert "fc-emulator" in run(programs / "fc-emulator", "--help", folder=tmp_path).stdout
    demo = run(programs / "fc-reaper", "demo", folder=tmp_path)
    assert (demo.returncode, demo.stderr) == (0, "")
    assert re.search(r"^fc-reaper +\d+ stop requests: \d+ right, 0 wrong", demo.stdout, re.MULTILINE)
    assert not list(tmp_path.iterdir())
    given = ("setup", "--template", str(ROOT / "s-prod.yaml"), "--policy", str(ROOT / "policy.yaml"))
    printed = run(programs / "fc-reaper", *given, folder=tmp_path)
    assert (printed.returncode, printed.stdout, printed.stderr) == (0, fc_reaper(*given).out, "")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "LICENSE",
            "NOTICE",
            "README.md",
            "README.zh-CN.md",
            "CHANGELOG.md",
            "policy.yaml",
            "s.yaml",
            "s-prod.yaml",
            "Makefile",
        ),
        *("constraints/function.txt", "scripts/package.py", "deploy/trust.json", "events/timer.json"),
        *("examples/account.json", "docs/deploy.md", "tests/conftest.py", "src/fc_reaper/py.typed"),
        "src/fc_reaper/cli/page_files/page.css",
    ],
)
def test_the_source_archive_holds_what_a_deployment_needs(path: str, dist: Path) -> None:
    with tarfile.open(dist / SOURCES) as archive:
        assert f"fc_reaper-{__version__}/{path}" in archive.getnames()


def test_the_source_archive_names_only_folders_that_exist() -> None:
    """A folder that was renamed would otherwise be missing without an error."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.search(r"^\[tool\.hatch\.build\.targets\.sdist\]\n.*?include = \[(.*?)\]", text, re.M | re.S)
    assert listed is not None
    assert not [name for name in re.findall(r'"/([^"]+)"', listed[1]) if not (ROOT / name).exists()]
