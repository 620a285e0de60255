"""`python -m fc_reaper`, and the console script `fc-reaper`."""

from __future__ import annotations

import sys

_NEEDED = ("typer", "rich", "click")


def main() -> int:
    """Run the command line, and answer with its exit code; without its libraries one line says so."""
    try:
        from fc_reaper.cli.app import command_line
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        sys.stderr.write(f"fc-reaper: {error.name} is missing; install it: pip install 'fc-reaper[cli]'\n")
        return 2
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
