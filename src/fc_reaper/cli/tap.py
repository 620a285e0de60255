"""The log of a run, overheard: lines that a command shows in its own words are kept as values."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection
from typing import Any, TextIO

from fc_reaper.cli.output import discard


class Tap(io.StringIO):
    """A stream for log lines, which holds no text itself.

    Lines whose event is in *keep* are kept as values; all go on to *through*, if given, and *heard* is told
    each of them as it comes. `fault` says why *through* did not take them all, None when it did.
    """

    def __init__(
        self,
        through: TextIO | None,
        *,
        keep: Collection[str],
        heard: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self.fault: str | None = None
        self._heard = heard
        self._through = through
        self._keep = frozenset(keep)
        self._begun = ""

    def write(self, text: str) -> int:
        """Take a piece of a line, or several lines; never raises, also when nobody reads on."""
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._line(line)
        if self._through is not None:
            try:
                self._through.write(text)
                self._through.flush()
            except BrokenPipeError:
                discard(self._through)
            except OSError as error:  # a full disk must not end a run in the middle
                self.fault, self._through = error.strerror or str(error), None
        return len(text)

    def said(self, event: str) -> list[dict[str, Any]]:
        """The kept lines of one kind, in their order."""
        return [line for line in self.lines if line["event"] == event]

    def _line(self, text: str) -> None:
        line = json.loads(text)
        self._heard(line)
        if line["event"] in self._keep:
            self.lines.append(line)
