"""Each fault of docs/reliability.md in a run of the real handler over HTTP; its rows are what must follow."""

from __future__ import annotations

import re
import sys
from functools import cache

import pytest
from hypothesis import settings

from tests.project.files import ROOT
from tests.project.markdown import sections, tables
from tests.reliability import answers, lists, stops, wires
from tests.reliability.case import Case, run_case

SECTIONS: dict[str, list[Case]] = {**answers.CASES, **wires.CASES, **lists.CASES, **stops.CASES}
CASES = [case for cases in SECTIONS.values() for case in cases]
HEADER = ["fault", "what follows", "stopped", "exit", "log lines"]


EVERY = max(1, 1000 // settings().max_examples)
"""Of so many cases one is tried in the other versions; all with `--hypothesis-profile thorough`."""


@cache
def documented() -> dict[str, dict[str, list[str]]]:
    """The rows of the document by section and fault."""
    text = (ROOT / "docs/reliability.md").read_text("utf-8")
    found = {heading: list(tables(part)) for heading, part in sections(text).items()}
    rows = {heading: parts[0] for heading, parts in found.items() if parts and parts[0][0] == HEADER}
    return {heading: {row[0]: row for row in table[1:]} for heading, table in rows.items()}


TASK = ("AsyncTask", "StatefulAsyncInvocation")


def expected(case: Case) -> list[str]:
    """What its row says."""
    (row,) = [rows[case.fault] for rows in documented().values() if case.fault in rows]
    return row[2:]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_run_under_a_fault_comes_to_what_its_row_says(case: Case) -> None:
    """And whatever it says: one last line, each task counted once, no line untrue, no wrong stop."""
    assert observed(case) == expected(case)


@pytest.mark.parametrize("version", ["2016-08-15", "2023-03-30"])
def test_it_comes_to_the_same_in_the_other_versions_of_the_api(version: str) -> None:
    """Wherever the emulator makes the fault; error codes may have other names."""
    for case in CASES[::EVERY]:
        if case.spoil is None and "404 ServiceNotFound" not in expected(case)[-1]:
            assert [re.sub(*TASK, text) for text in observed(case.in_version(version))] == expected(case)


def test_the_document_has_a_row_for_each_case_and_no_other() -> None:
    """In the same order. `python -m tests.reliability.test_faults` prints the tables."""
    expected = {heading: [case.fault for case in cases] for heading, cases in SECTIONS.items()}
    assert {heading: list(rows) for heading, rows in documented().items()} == expected


def observed(case: Case) -> list[str]:
    stopped, ran = run_case(case)
    return [str(stopped), ran.ends, ran.summary]


def main() -> None:
    """Print the tables: words of the document, figures of the runs."""
    for heading, cases in SECTIONS.items():
        sys.stdout.write(f"## {heading}\n\n| {' | '.join(HEADER)} |\n|---|---|--:|---|---|\n")
        for case in cases:
            words = documented().get(heading, {}).get(case.fault, ["", "?"])[1]
            sys.stdout.write(f"| {' | '.join([case.fault, words, *observed(case)])} |\n")
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
