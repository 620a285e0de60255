"""Page tokens: where a page ended, opaque to callers, good for the same question only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

from fc_emulator.refusals import invalid


def token(question: str, key: Sequence[object]) -> str:
    """A token that says "after *key*" for the same *question*."""
    return base64.urlsafe_b64encode(json.dumps([_mark(question), *key]).encode()).decode()


def after(question: str, given: str) -> list[object]:
    """The key inside a token.

    Raises:
        Refusal: it is not one of ours, or belongs to another question.
    """
    try:
        mark, *key = json.loads(base64.urlsafe_b64decode(given.encode("ascii")))
    except (ValueError, TypeError):
        raise invalid("nextToken is not one that was given out") from None
    if mark != _mark(question) or not key:
        raise invalid("nextToken was given out for another question; keep the other parameters as they were")
    return list(key)


def _mark(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:12]
