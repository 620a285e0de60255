"""What the pages show of `benchmarks/` is what it measures: the rows, and numbers within their bounds."""

from __future__ import annotations

import re

from benchmarks.__main__ import GOALS
from benchmarks.function import SWEEPS
from benchmarks.growth import _FIELD, STEPS

from tests.project.console import shown
from tests.project.files import ROOT
from tests.project.markdown import fences

GROWTH, SOAK, NUMBERS = shown((ROOT / "docs/performance.md").read_text("utf-8"))


def columns(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_each_number_that_is_held_has_its_row_and_is_within_its_bound() -> None:
    """The row as `python -m benchmarks` prints it."""
    assert NUMBERS.command == "python -m benchmarks"
    assert len(NUMBERS.output) == len(GOALS)
    for goal, line in zip(GOALS, NUMBERS.output, strict=True):
        value, sign, reach = line[60:].split()[:3]
        assert line.startswith(f"{goal.name:11}{goal.what:49}")
        assert (sign, reach) == ("<=" if goal.at_most else ">=", format(goal.reach, ",g"))
        measured = float(value.replace(",", ""))
        assert measured <= goal.reach if goal.at_most else measured >= goal.reach


def test_the_modules_on_the_way_to_a_stop_are_as_many_as_on_the_other_page() -> None:
    (line,) = (line for line in NUMBERS.output if line.startswith("modules "))
    assert f"the {float(line[60:].split()[0]):g} modules" in (ROOT / "docs/run.md").read_text("utf-8")


def test_the_growth_is_that_of_the_accounts_that_are_measured() -> None:
    """And the last column is what the calls take at the default rate."""
    head, *lines = GROWTH.output
    assert columns(head) == ["number", "calls", "processor", "peak memory", "at 20/s"]
    rows = [columns(line) for line in lines]
    steps = [(what, f"{getattr(one, _FIELD[what]):,}") for what, some in STEPS.items() for one in some]
    assert [(row[0], row[1]) for row in rows] == steps
    assert [row[5] for row in rows] == [f"{int(row[2].replace(',', '')) / 20:,.0f} s" for row in rows]


def test_a_long_series_of_runs_that_is_shown_grows_by_nothing() -> None:
    """Five tasks are stopped in each run."""
    head, *lines, end = SOAK.output
    assert columns(head) == ["sweeps", "stopped", "memory", "threads", "files"]
    rows = [[int(cell.replace(",", "")) for cell in columns(line)[:2]] for line in lines]
    assert [stopped for _, stopped in rows] == [5 * sweeps for sweeps, _ in rows]
    assert end == "grown: nothing"


def test_the_figures_of_the_package_are_for_the_accounts_that_are_measured() -> None:
    (table,) = fences((ROOT / "docs/deploy-variants.md").read_text("utf-8"), "text")
    head, *lines = table.text.splitlines()
    assert columns(head) == ["calls", "peak memory", "processor", "at 0.25 vCPU"]
    rows = [columns(line) for line in lines]
    assert [row[0] for row in rows] == [sweep.what for sweep in SWEEPS]
