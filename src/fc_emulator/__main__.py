"""The command `fc-emulator`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from fc_emulator.like import read_probe
from fc_emulator.options import Options, parse_rate
from fc_emulator.seed import Seed, read_seed
from fc_emulator.times import parse_duration

T = TypeVar("T")

WRONG_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then return 0.

    Wrong usage, an unreadable seed or a port in use are reported on standard error, a line for each problem,
    and return 2.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: sys.exit(0))
    try:
        arguments = parsed(argv)
        from fc_emulator.account import Account
        from fc_emulator.app import application
        from fc_emulator.server import endpoint_of, loopback_socket, serve
    except ImportError as error:
        return _fail(f"{error.name} is missing; install it with: pip install 'fc-reaper[emulator]'")
    except ValueError as error:
        return _fail(str(error))
    try:
        seed = Seed() if arguments.seed is None else _read(arguments.seed, read_seed)
        bound = loopback_socket(arguments.host, arguments.port)
    except OSError as error:
        return _fail(f"{arguments.host} port {arguments.port}: {error.strerror or error}")
    except (ValueError, OverflowError) as error:
        return _fail(str(error))
    account = Account(options_of(arguments), seed, lambda: time.time_ns() // 1_000_000)
    line = json.dumps({"event": "ready", "endpoint": endpoint_of(bound)}, separators=(",", ":"))
    serve(application(account), bound, lambda: print(line, flush=True))
    return 0


def options_of(arguments: argparse.Namespace) -> Options:
    """The switches among the arguments."""
    of_the_process = ("port", "host", "seed", "like")
    return Options(**{name: value for name, value in vars(arguments).items() if name not in of_the_process})


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, with what the file of --like says in place of their defaults.

    Raises:
        ValueError: that file cannot be read, or is wrong.
    """
    command, given = parser(), sys.argv[1:] if argv is None else argv
    arguments = command.parse_args(given)
    if arguments.like is not None:
        probe, command.of = _read(arguments.like, read_probe), f"{arguments.like}: "
        command.set_defaults(unserved=probe.unserved())
        arguments = command.parse_args([*probe.switches(), *given])
    return arguments


def parser() -> _Parser:
    """The arguments of the command."""
    arguments = _Parser(
        prog="fc-emulator",
        description="Serve asynchronous tasks of Function Compute on loopback, in three API versions.",
        epilog="The first of several values in braces is the default.",
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=38, width=79),
    )

    def add(flag: str, values: str | tuple[T, ...], text: str, read: Any = str, default: Any = None) -> None:
        if isinstance(values, tuple):
            kind, first = type(values[0]), values[0]
            arguments.add_argument(flag, choices=values, type=kind, default=first, help=text)
        else:
            arguments.add_argument(flag, metavar=values, type=_as(read), default=default, help=text)

    add("--port", "PORT", "port; 0, the default, takes a free one", _port, "0")
    add("--host", "ADDRESS", "loopback address; default 127.0.0.1", str, "127.0.0.1")
    add("--seed", "FILE", "JSON file of initial tasks and functions")
    add("--like", "FILE", "behave as the account of this probe.json")
    add("--account-id", "ID", "default 123456789", str, "123456789")
    add("--access-key-id", "ID", "default emulator", str, "emulator")
    add("--access-key-secret", "SECRET", "default emulator-secret", str, "emulator-secret")
    add("--security-token", "TOKEN", "required of callers; by default none is")
    add("--latency", "TIME", "delay of every call; default 0ms", parse_duration, "0ms")
    add("--rate", "RATE", "such as 20/s, 429 above it; default none", parse_rate, "none")
    add("--stopping", "TIME", "time in Stopping, or never; default 1s", _stopping, "1s")
    add("--started-time", ("enqueue", "execution"), "what startedTime shows")
    add("--events", ("list", "get", "no"), "responses that contain events")
    add("--record-qualifier", ("asked", "version"), "the qualifier in a record")
    add("--stop-finished", (412, 400), "response to a stop of a finished task")
    add("--stop-stopping", (200, 412), "response to a stop of a Stopping task")
    add("--list-lag", "TIME", "age of what a list shows; default 0s", parse_duration, "0s")
    add("--arn", ("colon", "slash"), "before functions/ in the names of 3.0")
    add("--stop-answer", (200, 204), "response to a stop that is accepted")
    add("--empty-list", ("key", "omitted"), "an empty list, or none at all")
    add("--event-detail", ("empty", "log-tail"), "eventDetail of what ran")
    add("--alias-tasks", ("alias", "version"), "where a repointed alias leaves them")
    arguments.set_defaults(unserved=frozenset())
    return arguments


def _as(read: Callable[[str], T]) -> Callable[[str], T]:
    """*read*, with the text of its ValueError in the message of argparse."""

    def parse(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _stopping(text: str) -> int | None:
    return None if text == "never" else parse_duration(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port; write a number from 0 to 65535")
    return int(text)


def _read(path: str, read: Callable[[str], T]) -> T:
    """What *read* makes of the text of a file. A ValueError begins with the path, also of no such file."""
    try:
        return read(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


class _Parser(argparse.ArgumentParser):
    of = ""  # The file that gives the arguments, before a message.

    def error(self, message: str) -> NoReturn:
        sys.exit(_fail(f"{self.of}{message}; see fc-emulator --help"))


def _fail(message: str) -> int:
    for line in message.splitlines():
        print(f"fc-emulator: {line}", file=sys.stderr)
    return WRONG_USAGE


if __name__ == "__main__":
    sys.exit(main())
