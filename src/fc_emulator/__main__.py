"""`fc-emulator`: a small Function Compute for one machine."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from fc_emulator.account import Account
from fc_emulator.options import Options, calls_per_second
from fc_emulator.seed import Seed, read_seed
from fc_emulator.times import length_ms

T = TypeVar("T")

WRONG_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then 0. Wrong usage, unreadable seed, port in use: one line and 2."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: sys.exit(0))
    given = parser().parse_args(argv)
    try:
        from fc_emulator.server import endpoint_of, loopback_socket, serve
    except ImportError as error:
        return _give_up(f"{error.name} is missing; install it with: pip install 'fc-reaper[emulator]'")
    try:
        seed = _seed(given.seed)
        bound = loopback_socket(given.host, given.port)
    except OSError as error:
        what = error.filename or f"{given.host} port {given.port}"
        return _give_up(f"{what}: {error.strerror or error}")
    except (ValueError, OverflowError) as error:
        return _give_up(str(error))
    account = Account(options_of(given), seed, lambda: time.time_ns() // 1_000_000)
    line = json.dumps({"event": "ready", "endpoint": endpoint_of(bound)}, separators=(",", ":"))
    serve(account, bound, lambda: print(line, flush=True))
    return 0


def _seed(path: str | None) -> Seed:
    if path is None:
        return Seed()
    try:
        return read_seed(Path(path).read_bytes().decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def options_of(given: argparse.Namespace) -> Options:
    """The switches among the arguments."""
    about_the_process = ("port", "host", "seed")
    return Options(**{name: value for name, value in vars(given).items() if name not in about_the_process})


def _give_up(message: str) -> int:
    print(f"fc-emulator: {' '.join(message.split())}", file=sys.stderr)
    return WRONG_USAGE


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.exit(_give_up(f"{message}; see fc-emulator --help"))


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    arguments = _Parser(prog="fc-emulator", description=__doc__, allow_abbrev=False)
    add = arguments.add_argument
    add("--port", type=_as(_port), default="0", help="0 takes any free one")
    add("--host", default="127.0.0.1", help="a loopback address")
    add("--seed", metavar="FILE", help="the tasks and functions to begin with, as JSON")
    add("--account-id", default="123456789")
    add("--access-key-id", default="emulator")
    add("--access-key-secret", default="emulator-secret")
    add("--security-token", metavar="T", help="callers must send it; by default none is asked for")
    add("--latency", type=_as(length_ms), default="0ms", help="added to every call")
    add("--rate", type=_as(calls_per_second), default="none", help="such as 20/s; 429 above it")
    add("--stopping", type=_as(_stopping), default="1s", help="from Stopping to Stopped, or never")
    add("--started-time", choices=("enqueue", "execution"), default="enqueue", help="what startedTime is")
    add("--events", choices=("list", "get", "no"), default="list", help="which records carry events")
    add("--record-qualifier", choices=("asked", "version"), default="asked", help="what a record shows")
    add("--stop-finished", type=int, choices=(412, 400), default=412, help="answer to a stop too late")
    add("--stop-stopping", type=int, choices=(200, 412), default=200, help="answer to a second stop")
    add("--list-lag", type=_as(length_ms), default="0s", help="a list shows how things were so long ago")
    return arguments


def _as(read: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show the text of a ValueError as it is."""

    def shown(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return shown


def _stopping(text: str) -> int | None:
    return None if text == "never" else length_ms(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port; write a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
