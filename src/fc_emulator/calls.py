"""The calls that came in: counted by operation, the latest ones kept, never a secret among them."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

KEPT = 1_000
"""So many of the latest calls are kept."""

_SECRET = ("signature", "securitytoken", "security-token", "accesskey")


@dataclass
class CallRecord:
    """One call. `at` is real time in epoch milliseconds; `status` None: no answer has left."""

    at: int
    operation: str
    method: str
    path: str
    query: str
    request_id: str
    trace_id: str | None = None
    account_id: str | None = None
    status: int | None = None
    error_code: str | None = None
    fault: bool = False

    def shown(self) -> dict[str, Any]:
        """The call as JSON, in the spelling of the wire."""
        return {
            "at": self.at,
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "query": without_secrets(self.query),
            "status": self.status,
            "errorCode": self.error_code,
            "requestId": self.request_id,
            "traceId": self.trace_id,
            "accountId": self.account_id,
            "fault": self.fault,
        }


@dataclass
class Calls:
    """Every call counts, also a refused one; `Unknown` counts those to paths that are not served."""

    counts: Counter[str] = field(default_factory=Counter)
    recent: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=KEPT))

    def note(self, record: CallRecord) -> None:
        self.counts[record.operation] += 1
        self.recent.append(record)

    def clear(self) -> None:
        self.counts.clear()
        self.recent.clear()

    def shown(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "recent": [record.shown() for record in self.recent]}


def without_secrets(query: str) -> str:
    """A query less the parameters by which a signed address carries keys and tokens of credentials."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([pair for pair in pairs if not any(word in pair[0].lower() for word in _SECRET)])
