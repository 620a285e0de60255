"""What happened: every change of status with its cause, and the calls that arrived, without secrets."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic import ConfigDict

from fc_emulator.account import Account, IneffectiveStop
from fc_emulator.lifecycle import Event
from fc_emulator.tasks import Task
from fc_emulator.validation import Model

RECENT = 1_000
"""So many of the latest calls are kept."""

_SECRET = ("signature", "securitytoken", "security-token", "accesskey")


def journal_of(account: Account) -> list[dict[str, Any]]:
    """All changes and ineffective stop requests, oldest first; `at` is in the time that callers see."""
    now, tasks = account.now(), (*account.former, *account.tasks())
    entries = [entry for task in tasks for entry in _changes(task, account, now)]
    entries += [_ineffective(stop, account) for stop in account.ineffective_stops]
    return sorted(entries, key=lambda entry: int(entry["at"]))


def _changes(task: Task, account: Account, now: int) -> Iterator[dict[str, Any]]:
    created, before = task.lifecycle.created, task.lifecycle.status
    cause, request_id = ("invoke", task.request_id) if created else ("seed", "")
    yield _entry(task, account, Event(created or account.seeded_at, before, cause, request_id), None)
    for change in task.lifecycle.changes_until(now):
        entry = _entry(task, account, change, before)
        requested = change.status == "Stopping" and change.cause == "stop"
        answer = {"status": account.options.stop_answer, "code": None}
        yield {**entry, "answer": answer} if requested else entry
        before = change.status


def _ineffective(stop: IneffectiveStop, account: Account) -> dict[str, Any]:
    entry = _entry(stop.task, account, Event(stop.at, stop.status, "stop", stop.request_id), stop.status)
    return {**entry, "answer": {"status": stop.http_status, "code": stop.code}}


def _entry(task: Task, account: Account, change: Event, before: str | None) -> dict[str, Any]:
    return {
        "at": account.shown(change.at),
        "serviceName": task.function.service,
        "functionName": task.function.name,
        "qualifier": task.function.qualifier,
        "invocationId": task.id,
        "from": before,
        "to": change.status,
        "cause": change.cause,
        "requestId": change.request_id or None,
    }


class CallRecord(Model):
    """One call. `at` is real time in epoch milliseconds; `status` None: no response was sent."""

    model_config = ConfigDict(populate_by_name=True)

    at: int
    operation: str
    method: str
    path: str
    query: str
    status: int | None = None
    error_code: str | None = None
    request_id: str
    trace_id: str | None
    account_id: str | None
    fault: bool = False


@dataclass
class Calls:
    """Counts of all calls by operation, refused ones included, and the latest ones.

    `Unknown` counts calls to paths that are not served.
    """

    counts: Counter[str] = field(default_factory=Counter)
    recent: deque[CallRecord] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, record: CallRecord) -> None:
        self.counts[record.operation] += 1
        self.recent.append(record)

    def clear(self) -> None:
        self.counts.clear()
        self.recent.clear()

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": dict(self.counts),
            "recent": [record.model_dump(by_alias=True) for record in self.recent],
        }


def without_secrets(query: str) -> str:
    """A query less the parameters by which a presigned URL carries keys, tokens and signatures."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([pair for pair in pairs if not any(word in pair[0].lower() for word in _SECRET)])
