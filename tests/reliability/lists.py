"""Listings that lie, and records in other forms."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from tests.reliability.answers import of
from tests.reliability.case import ACCOUNT, GET, LIST, Case, Json
from tests.reliability.proxy import Answer, Call, Spoil
from tests.run.account import policy, seeded

PAGES: Json = {
    "invocations": [
        seeded("vip-{n}", "Running", count=120, enqueued="-9h", started="-9h"),
        *ACCOUNT["invocations"],
    ]
}
"""Two pages: the due tasks are on the second one."""

OLDEST: Json = seeded("over-0", "Running", enqueued="-12h", started="-12h")

HALTING = policy(halt_over="5")

SECOND = {"match": {"status": "Running"}}


def pages(change: Callable[[Call, Json], None]) -> Spoil:
    """Change the value of each page of the running tasks."""

    def spoil(call: Call) -> Answer:
        answer = call.forward()
        if call.operation == LIST and call.status == "Running" and answer.status == 200:
            value = answer.value
            change(call, value)
            answer.value = value
        return answer

    return spoil


def records(operation: str, change: Callable[[Json], None]) -> Spoil:
    """Change each record of over-1 that *operation* answers with."""

    def spoil(call: Call) -> Answer:
        answer = call.forward()
        if call.operation == operation:
            value = answer.value
            for record in value.get("invocations", [value]):
                if record.get("invocationId") == "over-1":
                    change(record)
            answer.value = value
        return answer

    return spoil


def every_record(change: Callable[[Json], None], operation: str = "") -> Spoil:
    """Change every record of every answer, or of those to *operation*."""

    def spoil(call: Call) -> Answer:
        answer = call.forward()
        if call.operation in (LIST, GET) and operation in ("", call.operation):
            value = answer.value
            for record in value.get("invocations", [value]):
                change(record)
            answer.value = value
        return answer

    return spoil


def same_token(call: Call, page: Json) -> None:
    page["nextToken"] = call.query.get("nextToken", page.get("nextToken"))


def forever(call: Call) -> Answer:
    """Empty pages, each with another token."""
    if call.operation != LIST or call.status != "Running":
        return call.forward()
    return page(f"token-{call.number}")


def page(token: str) -> Answer:
    """An empty page that leads to another."""
    answer = Answer(200, {"Content-Type": "application/json", "Date": formatdate(usegmt=True)}, b"")
    answer.value = {"invocations": [], "nextToken": token}
    return answer


def second_page(answer: Callable[[Call], Answer | None]) -> Spoil:
    """Replace every page of the running tasks but the first."""

    def spoil(call: Call) -> Answer:
        later = call.operation == LIST and call.status == "Running" and "nextToken" in call.query
        return (answer(call) if later else None) or call.forward()

    return spoil


def circles() -> Spoil:
    """The second page leads to a third, which leads to the second."""
    tokens: dict[str, str] = {}

    def spoil(call: Call) -> Answer:
        if call.operation != LIST or call.status != "Running":
            return call.forward()
        asked = call.query.get("nextToken")
        if asked is None:
            answer = call.forward()
            tokens.update({answer.value["nextToken"]: "b", "b": answer.value["nextToken"]})
            return answer
        return page(tokens[asked])

    return spoil


def body(value: Any) -> Callable[[Call], Answer]:
    def answer(call: Call) -> Answer:
        true = call.forward()
        true.value = value
        return true

    return answer


def with_a_finished_one(_call: Call, page: Json) -> None:
    page["invocations"].append({**page["invocations"][0], "invocationId": "vip-9", "status": "Succeeded"})


def twice(_call: Call, page: Json) -> None:
    page["invocations"] = page["invocations"] * 2


def first_page_again() -> Spoil:
    """The second page repeats the records of the first before its own."""
    seen: list[Json] = []

    def change(call: Call, page: Json) -> None:
        if "nextToken" in call.query:
            page["invocations"] = seen + page["invocations"]
        else:
            seen.extend(page["invocations"])

    return pages(change)


def put(**fields: Any) -> Callable[[Json], None]:
    return lambda record: record.update(fields)


def nulls(record: Json) -> None:
    """Null wherever the field is not needed."""
    for name in record:
        if name not in ("invocationId", "status", "events"):
            record[name] = None


def without_events(record: Json) -> None:
    record.update(events=None, startedTime=None)


def texts(record: Json) -> None:
    """Numbers as text."""
    for facts in (record, *record["events"]):
        facts.update({name: str(value) for name, value in facts.items() if type(value) is int})


def seconds(record: Json) -> None:
    """Moments in seconds."""
    for facts in (record, *record["events"]):
        facts.update(
            {name: value // 1000 for name, value in facts.items() if name in ("startedTime", "timestamp")}
        )


def future(record: Json) -> None:
    for event in record["events"]:
        event["timestamp"] += 30 * 86_400_000


PAGING = [
    Case("the list repeats its token", spoil=pages(same_token), seed=PAGES),
    Case("tokens lead in a circle", spoil=circles(), seed=PAGES),
    Case("the second page is not found (404)", seed=PAGES, policy=HALTING,
         faults=[of(LIST, 1, **SECOND), of(LIST, 9, **SECOND, status=404, code="FunctionNotFound")]),
    Case("the second page fails (500)", seed=PAGES, policy=HALTING,
         faults=[of(LIST, 1, **SECOND), of(LIST, 99, **SECOND, status=500)]),
    Case("the second page is `{}`", spoil=second_page(body({})), seed=PAGES, policy=HALTING),
    Case("the second page has `null` for its list",
         spoil=second_page(body({"invocations": None})), seed=PAGES, policy=HALTING),
    Case("the second page is lost, and the policy has no `halt_over`",
         spoil=second_page(body({})), seed={"invocations": [*PAGES["invocations"], OLDEST]}),
    Case("pages that never end, each with a new token", spoil=forever, timeout=4,
         env={"REAPER_MARGIN": "3s", "REAPER_RATE": "20/s"}),
    Case("the page token is not text", spoil=pages(lambda _call, page: page.update(nextToken=7))),
    Case("a page has every record twice", spoil=pages(twice)),
    Case("the second page repeats the first", spoil=first_page_again(), seed=PAGES),
    Case("the list ignores the filter of statuses", spoil=pages(with_a_finished_one)),
]  # fmt: skip

RECORDS = [
    Case("an unknown status in the list", spoil=records(LIST, put(status="Paused"))),
    Case("an unknown status when the task is read", spoil=records(GET, put(status="Paused"))),
    Case("unknown fields", spoil=every_record(put(shinyNew={"a": [1]}, priority=7))),
    Case("null in every field but id, status and events", spoil=every_record(nulls)),
    Case("null for `events` and `startedTime`", spoil=every_record(without_events)),
    Case("numbers as text", spoil=every_record(texts)),
    Case("seconds for milliseconds in lists", spoil=every_record(seconds, LIST)),
    Case("seconds for milliseconds when tasks are read", spoil=every_record(seconds, GET)),
    Case("dates a month ahead", spoil=every_record(future)),
    Case("a record of another function in the list", spoil=records(LIST, put(functionName="other"))),
    Case("a record of another service when the task is read", spoil=records(GET, put(serviceName="other"))),
    Case("another task's record when the task is read", spoil=records(GET, put(invocationId="over-2"))),
    Case("a record without an id in the list", spoil=records(LIST, put(invocationId=None))),
    Case("an id with line breaks in the list", spoil=records(LIST, put(invocationId="a\n{\"event\":1}"))),
    Case("a record that is not an object in the list",
         spoil=pages(lambda _call, page: page["invocations"].append("over-9"))),
]  # fmt: skip

CASES = {"Listings": PAGING, "Records": RECORDS}
