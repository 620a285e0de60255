"""Writes docs/policy.schema.json, the format of a policy file for editors.

python scripts/policy_schema.py            write it
python scripts/policy_schema.py --check    say whether it is out of date, and fail
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from fc_reaper.policy.schema import policy_schema  # noqa: E402

PATH = ROOT / "docs" / "policy.schema.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or with --check compare it; 1 when it is out of date."""
    parser = argparse.ArgumentParser(description="Writes the JSON schema of a policy file.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when it is out of date")
    if not parser.parse_args(arguments).check:
        PATH.write_text(text(), "utf-8")
    elif not PATH.exists() or PATH.read_text("utf-8") != text():
        print("docs/policy.schema.json is out of date; run: python scripts/policy_schema.py", file=sys.stderr)
        return 1
    return 0


def text() -> str:
    """What belongs in the file: what `fc-reaper schema` prints."""
    return json.dumps(policy_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
