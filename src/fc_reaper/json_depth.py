"""How deep JSON text is nested, known before it is parsed."""

from __future__ import annotations

import re

DEEPEST = 64
"""Lists and objects that somebody sends may be nested this deep, the limit included."""

_MARKS = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


def nests_too_deep(text: str) -> bool:
    """Whether lists and objects are nested more than 64 deep in *text*, which need not be JSON.

    Asked before parsing: the parser recurses, and how far it may differs between Pythons.
    """
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
