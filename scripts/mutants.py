"""Changes the product in small ways, a random sample of many, and shows each change that no test notices.

mutmut makes the mutants and runs, for each, the tests that pass through the changed function; `[tool.mutmut]`
in pyproject.toml says which modules and which tests. The same seed takes the same sample of the same source.
A change of words alone, and one of HARMLESS, needs no test: it is named apart, and counts neither way.
`timeout` counts as caught, and is shown: a mutant that never ends, or with which no test can be read.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "mutants"
"""Where mutmut puts its copy of the project."""
COMMAND = Path(sys.executable).with_name("mutmut")

NONE = "no-such-mutant"
"""A name with which mutmut makes all mutants, learns which test covers which function, and ends."""

MISSED = ("survived", "no tests", "not checked")

_WORDS = re.compile(r"""(?<!f)(["'])(?:(?!\1).)*[A-Za-z]{2}[,;:]? [A-Za-z](?:(?!\1).)*\1""")
"""A text in the source that has a space between words: people read it."""

HARMLESS = {
    "self._spend(1 + (len(one) // 33 if isinstance(one, str) else 0))": "a bound of another size is a bound",
    "return f\"the record is about another task, '{printable(found, 129)}'\"": "a bound of another size",
    "waited = self._turns.__dict__.setdefault(None, [])": "a name that nothing else reads",
    "return None if (functions & self._report.incomplete) and False else len(found)": (
        "who asks how many are due asks then whether all were listed"
    ),
    "queue.failures += 2": "what fails comes last after half as many failures",
}
"""Lines as a mutant has them that come to the same as the line before, and why."""


def main() -> int:
    """Print the score of the sample, and the survivors as differences; 1 where mutmut itself failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--number", type=int, default=60, help="how many mutants, of several thousand (60)")
    parser.add_argument("--seed", type=int, default=1, help="another seed takes another sample (1)")
    asked = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    # It ends with a traceback about that name, which is of interest only where it did not come so far.
    ended = subprocess.run([COMMAND, "run", NONE], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    every = names()
    if not (every and (FOLDER / "mutmut-stats.json").exists()):
        print(ended.stderr, file=sys.stderr)
        return 1
    sample = Random(asked.seed).sample(every, min(asked.number, len(every)))
    if subprocess.run([COMMAND, "run", "--max-children", "2", *sample], cwd=ROOT, check=False).returncode:
        return 1
    became = statuses()
    print()
    for name in sorted(name for name in sample if became[name] in (*MISSED, "timeout")):
        shown = mutmut("show", name)
        why = harmless(shown) if became[name] in MISSED else None
        if why is None:
            print(shown)
        else:
            became[name] = "harmless"
            print(f"# {name}: {why}\n")
    numbers = Counter(became[name] for name in sample)
    missed, tried = sum(numbers[one] for one in MISSED), len(sample) - numbers["harmless"]
    score = f"{tried - missed} of {tried} mutants caught ({(tried - missed) / max(1, tried):.0%})"
    print(f"{score}; seed {asked.seed}, {len(sample)} of {len(every)}: {dict(numbers)}")
    return 0


def harmless(shown: str) -> str | None:
    """Why the mutant of a difference needs no test; None where it does."""
    before, after = (
        [line[1:].strip() for line in shown.splitlines() if line[:1] == sign and line[:3] != sign * 3]
        for sign in "-+"
    )
    if [_WORDS.sub("words", line) for line in before] == [_WORDS.sub("words", line) for line in after]:
        return "other words"
    return next((HARMLESS[line] for line in after if line in HARMLESS), None)


def names() -> list[str]:
    """Every mutant that was made, in a stable order."""
    metas = FOLDER.rglob("*.meta")
    return sorted(name for meta in metas for name in json.loads(meta.read_text("utf-8"))["exit_code_by_key"])


def statuses() -> dict[str, str]:
    """What became of each mutant, in mutmut's words."""
    pairs = (line.strip().partition(": ") for line in mutmut("results", "--all", "true").splitlines())
    return {name: status for name, _, status in pairs}


def mutmut(*arguments: str) -> str:
    """What mutmut prints."""
    done = subprocess.run([COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
