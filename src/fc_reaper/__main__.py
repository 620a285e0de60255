"""`python -m fc_reaper`, and the console script `fc-reaper`."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> int:
    """Run the command line, and answer with its exit code; without its libraries one line says so."""
    missing = [name for name in ("typer", "rich") if find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        sys.stderr.write(f"fc-reaper: no {names}; install the command line: pip install 'fc-reaper[cli]'\n")
        return 2
    from fc_reaper.cli.app import main as cli_main

    return cli_main()


if __name__ == "__main__":
    sys.exit(main())
