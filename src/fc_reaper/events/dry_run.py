"""The wish for a dry run is heard even where nothing else is: in what is refused or not understood.

Whoever writes `dry_run`, or puts `dryRun` in the wrong place, believes that nothing will be stopped.
A wrong guess here costs one dry run; the next event repairs it.
"""

from __future__ import annotations

import re
from typing import Any

from fc_reaper.errors import EventRefused
from fc_reaper.events.decode import JsonObject, looks_like_json, parse
from fc_reaper.events.nearmiss import DRY_RUN, means

_MENTION = re.compile(r"dry[_.\-\s]*run", re.IGNORECASE)


def wishes_dry_run(said: JsonObject) -> bool:
    """Whether a key of *said* itself is `dryRun` or nearly; only the exact key with `false` says no."""
    return any(
        means(key, DRY_RUN) and not (key == DRY_RUN and said[key] is False and key not in said.repeated)
        for key in said
    )


def asks_for_dry_run(value: Any) -> bool:
    """The same of any object within *value*. Text is not opened: it may be a foreign payload."""
    return any(isinstance(part, JsonObject) and wishes_dry_run(part) for part in _parts(value))


def mentions_dry_run(value: Any) -> bool:
    """The same, and text that looks like JSON counts by mentioning a dry run at all."""
    return asks_for_dry_run(value) or any(
        isinstance(part, str) and looks_like_json(part.lstrip(' \t\r\n"')) and _MENTION.search(part)
        for part in _parts(value)
    )


def says_dry_run(text: Any) -> bool:
    """Whether plain words mention a dry run at all."""
    return isinstance(text, str) and _MENTION.search(text) is not None


def parse_guarded(text: str) -> Any:
    """As `parse`; a text that cannot be parsed asks for a dry run when it mentions one.

    Raises:
        EventRefused: as `parse`.
    """
    try:
        return parse(text)
    except EventRefused as refusal:
        refusal.dry_run = _MENTION.search(text) is not None
        raise


def _parts(value: Any) -> list[Any]:
    """*value* and all it holds, without recursion."""
    found = [value]
    for part in found:
        if isinstance(part, JsonObject):
            found.extend(part.values())
        elif isinstance(part, list):
            found.extend(part)
    return found
