"""`python -m fc_reaper`, and the console script `fc-reaper`."""

import os
import sys
import threading
from importlib.util import find_spec
from typing import NoReturn


def main() -> int:
    """Run the command line, and answer with its exit code; without its libraries one line says so."""
    missing = [name for name in ("typer", "rich") if find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        sys.stderr.write(f"fc-reaper: no {names}; install the command line: pip install 'fc-reaper[cli]'\n")
        return 2
    from fc_reaper.cli.app import main as cli_main

    return cli_main()


def main_and_exit() -> NoReturn:
    """Run the command line, and end the process."""
    code = main()
    if threading.active_count() > 1:
        # The interpreter would wait for a call that hangs, seconds after an interruption.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main_and_exit()
