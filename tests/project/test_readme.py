"""What the README shows as output is what its commands print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.console import missing, run_document, shown
from tests.project.files import ROOT, copy_of_the_project

TEXT = (ROOT / "README.md").read_text("utf-8")
# It prepares an environment first; the tests run in one.
REPLACED = {"make demo": "fc-reaper demo"}


def test_the_readme_shows_what_its_commands_print(tmp_path: Path) -> None:
    assert "make demo" in [example.command for example in shown(TEXT)]
    run_document(TEXT, copy_of_the_project(tmp_path), REPLACED)


@pytest.mark.parametrize(
    ("expected", "printed", "absent"),
    [
        (["job-7  alive 2h14m", "1,024 in 59s"], "job-7   alive 2h1m5s\n2,048 in 1m\n", []),
        (["2 right"], "1 right\n", ["2 right"]),
        (["run 3f2a91c07b51 ended"], "run 00aa91c07b52 ended\n", []),
        (["a", "b"], "b\na\n", ["b"]),
        (["stopped"], "kept\n", ["stopped"]),
        (["sha256 3f2a91c0…"], "sha256 00aa91c07b52\n", []),
    ],
)
def test_output_is_compared_line_by_line(expected: list[str], printed: str, absent: list[str]) -> None:
    assert missing(expected, printed) == absent
