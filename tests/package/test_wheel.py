"""`python -m build` makes a wheel and a source archive that work where there is nothing else.

Building and installing ask a package index; where none can be reached, these tests are left out, except on
a machine that says CI=true.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from fc_reaper import __version__

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 600
NO_INDEX = re.compile(r"Retrying \(|Could not find a version|ConnectionError|Name or service not known")
ARCHIVES = {"wheel": f"fc_reaper-{__version__}-py3-none-any.whl", "sdist": f"fc_reaper-{__version__}.tar.gz"}


def ask_an_index(*command: str | Path) -> None:
    """Run what needs a package index, and leave the test out where there is none."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    said = done.stdout + done.stderr
    if done.returncode and NO_INDEX.search(said) and os.environ.get("CI") != "true":
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, said


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both archives; the wheel is made from the source archive, not from this folder."""
    out = tmp_path_factory.mktemp("dist")
    ask_an_index(sys.executable, "-m", "build", "--outdir", out, ROOT)
    return out


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that was empty and now has fc-reaper with its extras."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    ask_an_index(folder / "bin" / "pip", "install", "-q", f"{built / ARCHIVES['wheel']}[cli,emulator]")
    return folder / "bin"


def run(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run *program* in an empty folder, with no variable that could lead it back here."""
    env = {"PATH": os.pathsep.join([str(program.parent), os.defpath]), "HOME": str(folder), "COLUMNS": "80"}
    command = [str(program), *arguments]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=LONGEST, check=False
    )


def test_building_makes_a_wheel_and_a_source_archive(built: Path) -> None:
    assert {path.name for path in built.iterdir()} == set(ARCHIVES.values())


@pytest.mark.parametrize("archive", ARCHIVES)
def test_the_demo_runs_in_an_empty_environment(
    archive: str, built: Path, environment: Path, tmp_path: Path
) -> None:
    """Its exit code is 0 only if the right tasks were stopped, and no others."""
    again = ("install", "-q", "--force-reinstall", "--no-deps", built / ARCHIVES[archive])
    ask_an_index(environment / "pip", *again)
    version = run(environment / "fc-reaper", "--version", folder=tmp_path)
    assert version.stdout == f"fc-reaper {__version__}\n"
    demo = run(environment / "fc-reaper", "demo", folder=tmp_path)
    assert (demo.returncode, demo.stderr) == (0, "")
    assert re.search(r"^fc-reaper +\d+ stop requests: \d+ right, 0 wrong", demo.stdout, re.MULTILINE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("program", ["fc-reaper", "fc-emulator"])
def test_both_programs_are_installed(program: str, environment: Path, tmp_path: Path) -> None:
    helped = run(environment / program, "--help", folder=tmp_path)
    assert helped.returncode == 0
    assert program in helped.stdout


@pytest.mark.parametrize(
    "path",
    [
        *("LICENSE", "README.md", "CHANGELOG.md", "policy.yaml", "s.yaml", "s-prod.yaml", "Makefile"),
        *("constraints/function.txt", "scripts/package.py", "deploy/trust.json", "events/timer.json"),
        *("examples/account.json", "docs/deploy.md", "tests/conftest.py", "src/fc_reaper/py.typed"),
    ],
)
def test_the_source_archive_holds_what_a_deployment_needs(path: str, built: Path) -> None:
    with tarfile.open(built / ARCHIVES["sdist"]) as archive:
        assert f"fc_reaper-{__version__}/{path}" in archive.getnames()


def test_the_source_archive_names_no_folder_that_the_project_has_not() -> None:
    """A folder that was renamed would otherwise be left out in silence."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.search(r"^\[tool\.hatch\.build\.targets\.sdist\]\n.*?include = \[(.*?)\]", text, re.M | re.S)
    assert listed is not None
    assert not [name for name in re.findall(r'"/([^"]+)"', listed[1]) if not (ROOT / name).exists()]
