"""The Makefile obeys `PYTHON=`, also where an environment exists."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.files import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that make reads, with an environment that was made by `PYTHON=python3`."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".venv" / "made").write_text(f"{tmp_path}\npython3\n")
    (tmp_path / ".venv" / "installed-demo").touch()
    return tmp_path


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(project), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("python", "says"),
    [
        ("/no/such", "is not a program"),
        ("/bin/ls", "is not Python 3.10"),
        ("/bin/true", "is not Python 3.10"),
    ],
)
def test_a_python_that_cannot_be_used_is_named(project: Path, python: str, says: str) -> None:
    """And the environment that there is stays."""
    done = make(project, f"PYTHON={python}", "demo")
    assert done.returncode == 2
    assert f"PYTHON={python} {says}" in done.stderr
    assert (project / ".venv" / "installed-demo").exists()


@pytest.mark.parametrize(
    ("arguments", "made_anew"), [(["PYTHON=python3.11"], True), (["PYTHON=python3"], False), ([], False)]
)
def test_another_python_makes_the_environment_anew(
    project: Path, arguments: list[str], made_anew: bool
) -> None:
    """The same one, or none, keeps it."""
    done = make(project, "--dry-run", *arguments, "demo")
    assert ("-m venv" in done.stdout) == made_anew
