"""The depth of JSON text, checked before parsing: the limit of the parser differs between Pythons."""

from __future__ import annotations

import re

DEEPEST = 64
"""The most levels of lists and objects in JSON from outside, inclusive."""

_MARKS = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


def nests_too_deep(text: str) -> bool:
    """Whether lists and objects are nested more than 64 deep in *text*, which need not be valid JSON."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth, quoted = 0, False
    for match in _MARKS.finditer(text):
        mark = match.group()
        if mark == '"':
            quoted = not quoted
        elif not quoted and mark in "[{":
            depth += 1
            if depth > DEEPEST:
                return True
        elif not quoted and mark in "]}":
            depth -= 1
    return False
