"""The log: one JSON object a line. What each kind of line holds is in `log_lines`."""

import json
import logging
import re
from codecs import lookup
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from fc_reaper.clock import Clock
from fc_reaper.models import iso

# Bytes that one log record may have: https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits
LONGEST_LINE = 32 * 1024
# What ends a line or changes how others are shown: it stays escaped, while all text is UTF-8.
_NO_TEXT = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"

_WARNINGS = "list_failed trigger_refused unknown stuck stop_failed halted budget_spent not_approved"
LEVELS = {"kept": "DEBUG", "exempt": "DEBUG", **dict.fromkeys(_WARNINGS.split(), "WARNING")}  # others: INFO
MAY_WARN = ("run_started", "run_finished", "skipped")  # WARNING when they carry what somebody should see

Fields = Mapping[str, Any]  # the fields of a line, as they are printed
Listener = Callable[[Fields], None]  # receives each line that is logged; `log_lines` reads it as a model


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
    There are at most *most* lines of one event for each policy, and as many for none; before the last line
    `lines_omitted` says how many there would have been.
    """

    def __init__(
        self,
        stream: TextIO | None,
        clock: Clock,
        *,
        verbose: bool = False,
        most: int = 100,
        listener: Listener | None = None,
        **bound: Any,
    ) -> None:
        self.verbose = verbose
        self.bound = bound
        self._clock = clock
        self._most = most
        self._logged: Counter[tuple[str, str | None]] = Counter()
        self._omitted: Counter[tuple[str, str | None]] = Counter()
        self._listener = listener
        # Not from logging's registry: no other handlers, levels or filters apply, and none are left behind.
        self._logger = logging.Logger("fc_reaper")
        handler = logging.NullHandler() if stream is None else logging.StreamHandler(stream)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        handler.setFormatter(_OneRecord(json_ensure_ascii=lookup(encoding).name != "utf-8"))
        self._logger.addHandler(handler)

    def __call__(self, event: str, *, warns: bool = False, **fields: Any) -> dict[str, Any]:
        """Log a line, a WARNING with errors or if it *warns*; return it, or nothing if it is left out."""
        level = "WARNING" if warns or fields.get("errors") else LEVELS.get(event, "INFO")
        if level == "DEBUG" and not self.verbose:
            return {}
        if event == "run_finished":
            for (omitted, of), lines in self._omitted.items():
                due = lines + self._logged[omitted, of]
                self("lines_omitted", omitted=omitted, policy=of, due=due, allowed=self._most)
        elif event != "lines_omitted":
            policy = fields.get("policy")
            if self.is_full(event, policy):
                self.omit(event, policy)
                return {}
            self._logged[event, policy] += 1
        head = {"timestamp": iso(self._clock.now()), "level": level, "event": event, **self.bound}
        line: dict[str, Any] = encodable({**head, **fields})
        self._logger.log(getattr(logging, level), line)
        if self._listener is not None:
            self._listener(line)
        return line

    def is_full(self, event: str, policy: str | None) -> bool:
        """Whether no more line of *event* may be logged for *policy*."""
        return self._logged[event, policy] >= self._most

    def omit(self, event: str, policy: str | None, lines: int = 1) -> None:
        """Count *lines* of *event* that are not logged."""
        if lines:
            self._omitted[event, policy] += lines


class _OneRecord(JsonFormatter):
    """Writes a line as JSON that fits into one record: the longest values are cut, and named in `cut`."""

    def serialize_log_record(self, log_data: dict[str, Any]) -> str:
        fields = {name: value for name, value in log_data.items() if name != "message"}
        while True:
            text = json.dumps(fields, ensure_ascii=self.json_ensure_ascii)
            if not text.isascii() or "\x7f" in text:
                text = re.sub(_NO_TEXT, lambda found: f"\\u{ord(found[0]):04x}", text)
            if len(text.encode()) < LONGEST_LINE:
                return text
            name = max(fields, key=lambda name: len(json.dumps(fields[name])))
            fields[name] = _halved(fields[name])
            fields["cut"] = [*dict.fromkeys((*fields.get("cut", ()), name))]


def _halved(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(list(value.items())[: len(value) // 2])
    return value[: len(value) // 2] if isinstance(value, (list, str)) else None
