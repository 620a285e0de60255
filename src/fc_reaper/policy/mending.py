"""Patterns that should have been quoted: mended in memory, so that the whole file can be looked at.

`*` and `@` cannot begin a text in YAML, and `?` cannot stand in one between brackets. A mended text
reads as `unquoted`, which no form takes, so that a file is never accepted because it was mended.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fc_reaper.policy.events import Event, parse
from fc_reaper.policy.findings import quoted

if TYPE_CHECKING:
    from yaml import MarkedYAMLError

_MOST = 20
_CANNOT_BEGIN = re.compile(r"found character '[^\s\\]' that cannot start any token")
_BEGIN = re.compile(r"(?:[,\[\]{}]|:\s|^)\s*", re.MULTILINE)
_END = re.compile(r"[,\[\]{}\r\n\x85\u2028\u2029]|\s#|:\s|$")


class _Word(NamedTuple):
    """A text that should have been quoted, and where it begins."""

    text: str
    offset: int
    line: int


def parse_mended(text: str) -> tuple[list[Event], str]:
    """Parse *text*; answer its events and the text that they point into, mended where it had to be.

    Raises:
        yaml.YAMLError and what else `parse` raises: mending does not help, or too often.
    """
    from yaml import MarkedYAMLError

    words: list[_Word] = []
    errors: list[MarkedYAMLError] = []
    while True:
        try:
            events = list(parse(text))
        except MarkedYAMLError as error:
            word = _unquoted(text, error)
            if word is None or len(words) == _MOST or (words and word.offset <= words[-1].offset):
                raise
            errors.append(error)
        else:
            return _marked(events, {(word.line, word.text) for word in words}, errors), text
        words.append(word)
        text = f"{text[: word.offset]}{quoted(word.text)}{text[word.offset + len(word.text) :]}"


def _marked(events: list[Event], words: set[tuple[int, str]], errors: list[MarkedYAMLError]) -> list[Event]:
    """The events, the mended ones marked; if quoting did not make whole texts, the first error is raised."""
    if words.difference((event.line, event.text) for event in events):
        raise errors[0]
    return [
        event._replace(reads_as="unquoted") if (event.line, event.text) in words else event
        for event in events
    ]


def _unquoted(text: str, error: MarkedYAMLError) -> _Word | None:
    """The text that the parser could not take for want of quotes; None if that is not the fault."""
    mark = error.context_mark if error.context == "while scanning an alias" else error.problem_mark
    start = None if mark is None else _start(text, error, mark.index, mark.column)
    if mark is None or start is None:
        return None
    end = _END.search(text, start + 1)
    word = text[start : end.start() if end else None].rstrip()
    return _Word(word, start, mark.line + 1)


def _start(text: str, error: MarkedYAMLError, at: int, column: int) -> int | None:
    problem = error.problem or ""
    if error.context == "while scanning an alias" or _CANNOT_BEGIN.search(problem):
        return at
    if problem.endswith("'?'"):
        begins = list(_BEGIN.finditer(text, at - column, at))
        return begins[-1].end() if begins else None
    return None
