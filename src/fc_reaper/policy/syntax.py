"""YAML's own grammar: text to events, with the faults that people really make named in plain words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fc_reaper.policy.events import DEEPEST, Event, TooDeep
from fc_reaper.policy.findings import Findings
from fc_reaper.policy.mending import parse_mended

if TYPE_CHECKING:
    from yaml import MarkedYAMLError

LARGEST = 131_072
"""Characters in a policy file, itself allowed. Hundreds of policies fit."""

_KEY = re.compile(r"([A-Za-z_]{1,40})\s?:(?=\s)")
_BEYOND = re.compile(r"\\U(?!000|0010)|^%YAML", re.MULTILINE)
_IN_OUR_WORDS = (
    ("expected <block end>, but found '?'", "a key stands where a list item or the end of a list belongs; "
     "indent the line as its neighbours are"),
    ("while scanning an alias", "one more pattern stands unquoted; quote what begins with * or @"),
    ("while scanning an anchor", "a text begins with & and is taken for an anchor; quote it"),
    ("while scanning a tag", "a text begins with ! and is taken for a tag; quote it"),
    ("directive", "a line begins with % and is taken for a directive; delete it"),
    ("found character '\\t'", "a tab does not fit here; indent with blanks"),
    ("that cannot start any token", "a text begins with a character that YAML keeps for itself; quote it"),
    ("mapping values are not allowed", "a colon does not fit here; quote the text that holds it, "
     "or indent the line as its neighbours are"),
    ("sequence entries are not allowed", "a list item does not fit here; begin it on a line of its own"),
    ("'?'", "a ? does not fit here; quote the text that holds it"),
    ("expected ',' or ']'", "a [ is not closed by ]; close it, put a comma between its items, "
     "or quote the text that holds brackets"),
    ("expected ',' or '}'", "a { is not closed by }; close it, put a comma between its keys, "
     "or quote the text that holds brackets or a comma"),
    ("but found '<scalar>'", "a quoted text ends before its line does; quote the whole of it, "
     "or mend the indentation"),
    ("found unexpected end of stream", "a quote is opened and never closed; close it"),
    ("expected <block end>", "the indentation does not fit; indent the keys of one mapping alike"),
    ("could not find expected ':'", "a key has no colon; write key: value"),
)  # fmt: skip


def read_events(text: str, findings: Findings) -> tuple[list[Event], str] | None:
    """Parse *text*; answer the events and the text they point into, None when a finding says why not."""
    from yaml import MarkedYAMLError
    from yaml.reader import ReaderError

    if len(text) > LARGEST:
        findings.add(1, "", f"the policy has {len(text)} characters; write at most {LARGEST}")
        return None
    try:
        return parse_mended(text)
    except MarkedYAMLError as error:
        _tell(text, error, findings)
    except ReaderError as error:
        char = text[error.position]
        _tell_at(text, error.position, f"the character {char!a} cannot stand in YAML; delete it", findings)
    except TooDeep as error:
        findings.add(error.args[0], "", f"more than {DEEPEST} levels of nesting; a policy needs seven")
    except (ValueError, OverflowError):
        found = _BEYOND.search(text)
        at = found.start() if found else 0
        _tell_at(text, at, "an escape or number is beyond all bounds; delete it", findings)
    return None


def _tell(text: str, error: MarkedYAMLError, findings: Findings) -> None:
    problem = f"{error.context}: {error.problem}" if error.context else str(error.problem)
    theirs = f"this is not YAML ({problem[:200]}); check quotes and indentation"
    ours = next((ours for theirs, ours in _IN_OUR_WORDS if theirs in problem), theirs)
    mark = _start(error)
    line, offset = (1, 0) if mark is None else (mark.line + 1, mark.index)
    findings.add(line, _near(text, offset), ours)


def _start(error: MarkedYAMLError) -> Any:
    """Where the trouble begins: at an open bracket or quote, else where the parser stopped."""
    opened = error.context_mark if re.search("flow|quoted|alias", error.context or "") else None
    return opened or error.problem_mark or error.context_mark


def _tell_at(text: str, at: int, what: str, findings: Findings) -> None:
    findings.add(text.count("\n", 0, at) + 1, _near(text, at), what)


def _near(text: str, at: int) -> str:
    """The key that stands last before *at*: a path for what has none of its own."""
    keys = _KEY.findall(text, max(0, at - 2000), at)
    return f"near {keys[-1]}" if keys else ""
