"""The project uses the terms of the platform and of Python: the words on the left below are not written."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.project.files import ROOT, project_files

INSTEAD = {
    "armed arming unarmed": "approve, approved",
    "bell bells doorbell doorbells narrowing rang ring ringing rings rung": "request, selector; start a run",
    "carrier carriers": "envelope",
    "clause clauses": "compiled matcher",
    "complain complained complains complaint complaints whom": "alert, alert target, error",
    "crew crews dismiss dismissed dismisses flying": "pool",
    "crowd crowded crowds desk desks population populations": "concurrency group, queue",
    "door doors silence": "transport",
    "doubt doubted doubts": "objection, inconsistency",
    "errand errands": "planned run",
    "hands": "executor; pass to",
    "home": "own account",
    "judge judged judgement judges judging judgment": "evaluate",
    "kill killed killing kills": "stop",
    "ledger ledgers": "counts",
    "lookout lookouts": "scanner",
    "merciful mercies mercy": "exemption",
    "opinion opinions weigh weighed weighing weighs": "result, evaluate",
    "pace": "rate limiter",
    "played playing plays": "run, demo",
    "recount recounted recounting recounts": "recheck",
    "rehearsal rehearsals rehearse rehearsed rehearses": "dry run",
    "shelf shelves wound wounded wounds": "listing, broken answer",
    "sighting sightings": "snapshot",
    "tap tapped taps": "listener",
    "teller tellers": "log, emit",
}
"""What to write instead of each of these words. A name is read as its words: `_CrewMember` has "crew"."""

NAMES = re.compile(
    r"\b_*(?:act|arm|look|play|tell)\(|\bimport (?:act|asking|life|line|play|questions|stage|world)\b"
)
"""Everyday words that are no names of functions or modules: list, scan, emit, log, approve."""

LEGITIMATE = re.compile(r"\$\{?HOME|\bHOME\b|home\|Users|SilenceTime|\bkill (?:\$!|0)")
"""The environment, a pattern of paths, and the command of the shell."""

NOT_SEARCHED = {"LICENSE", "CHANGELOG.md", "tests/project/test_vocabulary.py"}

FORBIDDEN = {word: instead for words, instead in INSTEAD.items() for word in words.split()}


def forbidden_in(text: str) -> Iterator[tuple[int, str, str]]:
    """The line, the word in it, and what to write instead."""
    for number, line in enumerate(text.splitlines(), start=1):
        line = LEGITIMATE.sub("", line)
        for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", line):
            if word.lower() in FORBIDDEN:
                yield number, word, FORBIDDEN[word.lower()]
        for name in NAMES.findall(line):
            yield number, name, "list, scan, emit, log, approve"


def test_no_file_uses_a_word_that_has_a_better_one() -> None:
    found = [
        f"{path}:{number}: {word}; write {instead}"
        for path in project_files()
        if str(path) not in NOT_SEARCHED
        for number, word, instead in forbidden_in((ROOT / path).read_text("utf-8", errors="replace"))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("class CrewMember:", ["Crew"]),
        ("self._TWO_POPULATIONS = 2", ["POPULATIONS"]),
        ("it is judged, and a bell rings", ["judged", "bell", "rings"]),
        ("seen = _look(task)", ["_look("]),
        ("look at the line; kill $!; fc-reaper of ARMS, armoury, during, strings", []),
    ],
)
def test_words_are_found_within_names(line: str, words: list[str]) -> None:
    assert [word for _, word, _ in forbidden_in(line)] == words
