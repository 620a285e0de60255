"""The arrows between the modules: they point one way, and strangers stay strangers.

The contracts themselves stand at the end of pyproject.toml, each with its reason as its name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache", "--config", "pyproject.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_is_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


BREACHES = [
    ("fc_reaper/evaluator/evaluate.py", "import os", "Judging and reading are pure"),
    ("fc_reaper/evaluator/evaluate.py", "import fc_reaper.cloud", "Imports flow one way"),
    ("fc_reaper/events/parser.py", "import fc_reaper.policy", "Imports flow one way"),
    ("fc_reaper/sweep/scanner.py", "import time", "A sweep is given its time"),
    ("fc_reaper/sweep/scanner.py", "import fc_reaper.run", "Imports flow one way"),
    ("fc_reaper/run.py", "import requests", "Only cloud speaks to the network"),
    ("fc_reaper/handler.py", "import typer", "The deployed function needs nothing"),
    ("fc_reaper/cli/__init__.py", "import fc_emulator", "are strangers"),
    ("fc_emulator/routes.py", "import fc2", "reads the wire for itself"),
    ("fc_reaper/helpers.py", "", "every module has its floor"),
]


@pytest.mark.parametrize(("module", "line", "contract"), BREACHES, ids=lambda text: text or "(new module)")
def test_a_breach_is_named(tmp_path: Path, module: str, line: str, contract: str) -> None:
    """A contract that cannot be broken would prove nothing, so each is broken once in a copy."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "src" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    broken = [text for text in done.stdout.splitlines() if text.rstrip().endswith("BROKEN")]
    assert done.returncode != 0
    assert any(contract in text for text in broken), done.stdout + done.stderr
