"""How a command ends: with an exit code, and one line for whatever stood in its way."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn, TextIO

import typer

from fc_reaper.cli.hints import advice
from fc_reaper.dependencies import Exit
from fc_reaper.errors import CloudError, PolicyError, ReaperError


class Ended(ReaperError):
    """A command cannot go on. `code` is what it exits with; the text says why and what to do."""

    def __init__(self, why: str, code: Exit = Exit.REFUSED) -> None:
        super().__init__(why)
        self.code = code


def leave(command: Callable[[], int]) -> NoReturn:
    """Run *command* and exit with what it answers; whatever it raises on purpose is told in its own lines."""
    raise typer.Exit(_code(command))


def _code(command: Callable[[], int]) -> int:
    try:
        return int(command())
    except Ended as ended:
        complain(str(ended))
        return int(ended.code)
    except CloudError as error:
        complain(str(error), advice(error.http_status, error.error_code))
        return int(Exit.UNREACHABLE)
    except PolicyError as error:
        point_out(error)
        return int(Exit.REFUSED)
    except ReaperError as error:
        complain(str(error))
        return int(Exit.REFUSED)
    except KeyboardInterrupt:
        complain("interrupted")
        return int(Exit.ATTENTION)


def complain(*texts: str) -> None:
    """Write each line of *texts* to standard error."""
    for line in (line for text in texts for line in text.splitlines()):
        say(f"fc-reaper: {plain(line)}", sys.stderr)


def point_out(error: PolicyError) -> None:
    """Write each finding to standard error as `FILE:LINE: …`, which editors know how to jump to."""
    for finding in error.findings:
        say(plain(finding), sys.stderr)


def plain(text: str) -> str:
    """*text* on one line without control characters: what came from elsewhere must not steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def say(text: str, stream: TextIO | None = None) -> None:
    """Write *text* and a line break; a reader who has gone, as in `| head`, is no trouble."""
    stream = stream or sys.stdout
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        let_go(stream)
    except OSError as error:
        let_go(stream)
        if stream is sys.stdout:
            raise Ended(f"standard output: {error.strerror or error}", Exit.ATTENTION) from None


def let_go(stream: TextIO) -> None:
    """Let what is still written to *stream*, also when the interpreter ends, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
