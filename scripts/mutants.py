"""Changes the product in small ways, a random sample of many, and shows each change that no test notices.

mutmut makes the mutants and runs, for each, the tests that pass through the changed function; `[tool.mutmut]`
in pyproject.toml says which modules and which tests. The same seed takes the same sample of the same source.
"""

from __future__ import annotations

import argparse
import json
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
    if mutmut("run", "--max-children", "2", *sample):
        return 1
    became = statuses()
    for name in sorted(name for name in sample if became[name] in MISSED):
        mutmut("show", name)
    numbers = Counter(became[name] for name in sample)
    caught = len(sample) - sum(numbers[one] for one in MISSED)
    print(f"{caught} of {len(sample)} mutants caught (seed {asked.seed}, of {len(every)}): {dict(numbers)}")
    return 0


def names() -> list[str]:
    """Every mutant that was made, in a stable order."""
    metas = FOLDER.rglob("*.meta")
    return sorted(name for meta in metas for name in json.loads(meta.read_text("utf-8"))["exit_code_by_key"])


def statuses() -> dict[str, str]:
    """What became of each mutant, in mutmut's words."""
    listing = subprocess.run(
        [COMMAND, "results", "--all", "true"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pairs = (line.strip().partition(": ") for line in listing.stdout.splitlines())
    return {name: status for name, _, status in pairs}


def mutmut(*arguments: str) -> int:
    """Run mutmut in the project's folder; it prints for itself."""
    return subprocess.run([COMMAND, *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
