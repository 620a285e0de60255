"""Stops that are not what they seem, and what happens between a list, a read and a stop."""

from __future__ import annotations

from typing import Any

from tests.reliability.answers import of
from tests.reliability.case import ACCOUNT, GET, LIST, STOP, Case, Json
from tests.reliability.lists import PAGES
from tests.reliability.proxy import Answer, Call
from tests.run.account import policy, seeded

PLACE = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}
ONE = {"invocationId": "over-1"}
AT_ONCE = ("--stopping", "0ms")
OLD = policy(match="{alive_for: 2h}", unless="[young-*]")


def before(operation: str, change: str, **more: Any) -> list[Json]:
    """A change right before the first call of *operation* about over-1."""
    one = {"invocationId": "over-1"} if change in ("finish", "retry", "resubmit") else {}
    return [of(operation, 1, match=ONE, change={"change": change, **PLACE, **one, **more})]


def stopped_by_another(call: Call) -> Answer:
    """Another caller asks for each stop first."""
    if call.operation == STOP:
        call.forward()
    return call.forward()


def stuck() -> Json:
    return {"invocations": [seeded("stuck-1", "Stopping", enqueued="-9h", started="-9h", stopping="-10m")]}


STOPS = [
    Case("every stop is answered 200, and none takes effect", [of(STOP, status=200, body={})]),
    Case("every stop is answered 200, none takes effect, and the budget is one",
         [of(STOP, status=200, body={})], policy=policy(budget="1/run")),
    Case("stops take effect without an answer", [of(STOP, drop="after")], AT_ONCE),
    Case("stops take effect and are answered 403",
         [of(STOP, status=403, code="AccessDenied", applied=True)], AT_ONCE),
    Case("stops take effect and are answered 500", [of(STOP, status=500, applied=True)], AT_ONCE),
    Case("404 to the read of a fresh task that a list shows",
         [of(GET, match=ONE, status=404, code="StatefulAsyncInvocationNotFound")]),
    Case("404 to the stop of a task that can be read",
         [of(STOP, match=ONE, status=404, code="StatefulAsyncInvocationNotFound")]),
    Case("a task is Stopping for ever", seed=stuck(), flags=("--stopping", "never"), runs=2),
    Case("our stops leave the tasks in Stopping", flags=("--stopping", "never")),
    Case("our stops leave the tasks in Stopping; the next run", flags=("--stopping", "never"), runs=2),
]  # fmt: skip

RUNNING = {"status": "Running"}
VERSION_ONLY = ("--alias-tasks", "version")
IN_TURN = {"REAPER_CONCURRENCY": "1"}

CANCELLED = policy(match="{status: [Enqueued, Running]}", triggers="[task]")

GONE: Json = {**seeded("over-9", "Running", enqueued="-5h", started="-3h"), "functionName": "gone"}


def change(kind: str, **more: Any) -> Json:
    return {"change": kind, **PLACE, **more}


MEANWHILE = [
    Case("a task finishes between the list and its read", before(GET, "finish")),
    Case("a task finishes between its read and its stop; 412", before(STOP, "finish")),
    Case("a task finishes between its read and its stop; 400", before(STOP, "finish"),
         ("--stop-finished", "400")),
    Case("a task fails for good between its read and its stop", before(STOP, "finish", endsAs="Failed")),
    Case("another caller stops each task a moment earlier; 200", spoil=stopped_by_another,
         flags=("--stopping", "never")),
    Case("another caller stops each task a moment earlier; 412", spoil=stopped_by_another,
         flags=("--stopping", "never", "--stop-stopping", "412")),
    Case("a task retries between the list and its read; the rule is `running_for`", before(GET, "retry")),
    Case("a task retries between the list and its read; the rule is `alive_for`", before(GET, "retry"),
         policy=OLD),
    Case("a task is resubmitted under its id between the list and its read", before(GET, "resubmit")),
    Case("a task that an event cancels is resubmitted under its id between its two reads",
         [of(GET, 1), *before(GET, "resubmit")], policy=CANCELLED, event=b'{"invocationId": "over-1"}'),
    Case("a task is resubmitted under its id between its read and its stop", before(STOP, "resubmit")),
    Case("an alias is repointed between the list and the reads; its tasks stay under it",
         before(GET, "repoint", version="7"), ("--record-qualifier", "version")),
    Case("an alias is repointed between the list and the reads; its tasks are found under their version only",
         [of(GET, 1, change=change("repoint", version="7"))], VERSION_ONLY, env=IN_TURN),
    Case("an alias is repointed before the first stop; its tasks are found under their version only",
         [of(STOP, 1, change=change("repoint", version="7"))], VERSION_ONLY, env=IN_TURN),
    Case("the function is deleted between the list and the reads", [of(GET, 1, change=change("delete"))],
         env=IN_TURN),
    Case("the function is deleted between two pages", seed=PAGES, env=IN_TURN,
         faults=[of(LIST, 1, match=RUNNING), of(LIST, 1, match=RUNNING, change=change("delete"))]),
    Case("the function is deleted between discovery and the list", policy=policy(targets="['media/*@*']"),
         seed={"invocations": [*ACCOUNT["invocations"], GONE]},
         faults=[of(LIST, 1, match={"functionName": "gone"}, change=change("delete", functionName="gone"))]),
    Case("running tasks end between two pages", seed=PAGES,
         faults=[of(LIST, 1, match=RUNNING),
                 of(LIST, 1, match=RUNNING, change=change("finish", invocationId="vip-*"))]),
]  # fmt: skip

CASES = {"Stops": STOPS, "What changes in the meantime": MEANWHILE}
