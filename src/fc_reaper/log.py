"""One JSON object a line, on a logger of our own that the runtime's root handler never sees."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from fc_reaper.clock import Clock

LONGEST_LINE = 32 * 1024
"""Bytes that one log record may have: https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits"""

_WARNINGS = frozenset(
    (
        "list_failed",
        "trigger_refused",
        "unknown",
        "stuck",
        "stop_failed",
        "halted",
        "budget_spent",
        "not_approved",
    )
)
_DETAILS = frozenset(("kept", "exempt"))


class JsonLines:
    """Tells events as JSON lines. What every line of a run carries is bound once."""

    def __init__(self, stream: TextIO, clock: Clock, *, verbose: bool = False, **bound: Any) -> None:
        self.bound = bound
        self._clock = clock
        # Not from the registry: nobody else's handlers, levels or filters apply, and none are left behind.
        self._logger = logging.Logger("fc_reaper", logging.DEBUG if verbose else logging.INFO)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(_Fields(json_default=str))
        self._logger.addHandler(handler)

    def __call__(self, event: str, **fields: Any) -> dict[str, Any]:
        """Write one line for *event* and answer with it; what is too long for a line is cut in the line."""
        level = _level(event, fields)
        line = {
            "timestamp": _iso(self._clock.now()),
            "level": logging.getLevelName(level),
            "event": event,
            **self.bound,
            **fields,
        }
        self._logger.log(level, fitted(line))
        return line


class _Fields(JsonFormatter):
    """Writes the fields of an event and nothing else; the text of the record is empty."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Drop what the formatter adds of its own accord."""
        log_data.pop("message", None)
        return log_data


def fitted(line: dict[str, Any]) -> dict[str, Any]:
    """Make *line* fit into one log record by cutting its longest values, and say so in `cut`."""
    line = dict(line)
    cut: list[str] = []
    while len(json.dumps(line, default=str)) >= LONGEST_LINE:
        name = max(line, key=lambda key: len(json.dumps(line[key], default=str)))
        line[name] = _halved(line[name])
        if name not in cut:
            cut.append(name)
            line["cut"] = cut
    return line


def _halved(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(list(value.items())[: len(value) // 2])
    if isinstance(value, (list, tuple, str)):
        return value[: len(value) // 2]
    return None


def _level(event: str, fields: dict[str, Any]) -> int:
    if event in _DETAILS:
        return logging.DEBUG
    if event in _WARNINGS or (event == "run_finished" and fields.get("errors")):
        return logging.WARNING
    return logging.INFO


def _iso(now: int) -> str:
    moment = datetime.fromtimestamp(now / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
