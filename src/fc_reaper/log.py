"""The log: one JSON object a line. What each kind of line holds is in `log_lines`.

The logger is our own, so that the runtime's root handler never sees a line.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from fc_reaper.clock import Clock

LONGEST_LINE = 32 * 1024
"""Bytes that one log record may have: https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits"""

LEVELS = {
    **dict.fromkeys(("kept", "exempt"), "DEBUG"),
    **dict.fromkeys(
        ("list_failed", "trigger_refused", "unknown", "stuck", "stop_failed", "halted", "budget_spent",
         "not_approved"),
        "WARNING",
    ),
}  # fmt: skip
"""The level of each event that is not INFO. `run_finished` is a WARNING when the run had errors."""

Fields = Mapping[str, Any]
"""The fields of a line, as they are printed."""

Listener = Callable[[Fields], None]
"""Receives each line that is logged; `log_lines` reads it as a model."""


def encodable(value: Any) -> Any:
    """Replace in every text of *value* what UTF-8 cannot hold: a JSON escape may be half a character."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, (list, tuple)):
        return [encodable(one) for one in value]
    if isinstance(value, dict):
        return {encodable(key): encodable(one) for key, one in value.items()}
    return value


class JsonLog:
    """Writes lines as JSON to *stream* (None: nowhere), and passes each to *listener*.

    *bound* are the fields that every line of a run carries. With *verbose* DEBUG lines are logged as well.
    """

    def __init__(
        self,
        stream: TextIO | None,
        clock: Clock,
        *,
        verbose: bool = False,
        listener: Listener | None = None,
        **bound: Any,
    ) -> None:
        self.verbose = verbose
        self.bound = bound
        self._clock = clock
        self._listener = listener
        # Not from logging's registry: no other handlers, levels or filters apply, and none are left behind.
        self._logger = logging.Logger("fc_reaper")
        handler = logging.NullHandler() if stream is None else logging.StreamHandler(stream)
        handler.setFormatter(_OnlyFields())
        self._logger.addHandler(handler)

    def __call__(self, event: str, **fields: Any) -> dict[str, Any]:
        """Log a line for *event* and return it. What is too long for a record is cut in print only."""
        level = "WARNING" if fields.get("errors") else LEVELS.get(event, "INFO")
        now = datetime.fromtimestamp(self._clock.now() / 1000, timezone.utc)
        timestamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"timestamp": timestamp, "level": level, "event": event, **self.bound}
        line: dict[str, Any] = encodable({**head, **fields})
        if self.verbose or level != "DEBUG":
            self._logger.log(getattr(logging, level), fitted(line))
            if self._listener is not None:
                self._listener(line)
        return line


class _OnlyFields(JsonFormatter):
    """Writes the fields of a line and nothing else; the text of the record is empty."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Drop what the formatter adds of its own accord."""
        log_data.pop("message", None)
        return log_data


def fitted(fields: dict[str, Any]) -> dict[str, Any]:
    """Make *fields* fit into one log record by cutting the longest values, and name those in `cut`."""
    cut: list[str] = []
    while len(json.dumps(fields)) >= LONGEST_LINE:
        name = max(fields, key=lambda key: len(json.dumps(fields[key])))
        fields = {**fields, name: _halved(fields[name])}
        if name not in cut:
            cut.append(name)
            fields["cut"] = cut
    return fields


def _halved(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(list(value.items())[: len(value) // 2])
    if isinstance(value, (list, str)):
        return value[: len(value) // 2]
    return None
