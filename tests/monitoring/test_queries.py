"""Each documented query, run on lines of real runs: its fields exist, and it answers as documented.

What is expected is reckoned here a second time, in Python, from the lines themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import pytest

from tests.monitoring.documents import OF_ONE_TASK, QUERIES, SAVED, every_query
from tests.monitoring.history import INTERVAL, MIDNIGHT, TIMER, History
from tests.monitoring.published import SCHEMA
from tests.monitoring.sls import KEYS, Record, answer, fields_of, percentile

Row = dict[str, Any]


def day(record: Record) -> str:
    return datetime.fromtimestamp(record.time, timezone.utc).strftime("%Y-%m-%d 00:00:00.000")


def hour(record: Record) -> str:
    return datetime.fromtimestamp(record.time, timezone.utc).strftime("%Y-%m-%d %H:00:00.000")


def logged(history: History, *events: str) -> list[Record]:
    return [record for record in history.records if record.line["event"] in events]


def grouped(records: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return groups


def named(*fields: str) -> Callable[[Record], tuple[Any, ...]]:
    return lambda record: tuple(record.line.get(field) for field in fields)


def tasks(records: Iterable[Record]) -> int:
    return len({(record.line["function"], record.line["invocation_id"]) for record in records})


def stopped(history: History) -> list[Row]:
    groups = grouped(logged(history, "confirmed", "accepted"), lambda one: (day(one), one.line["policy"]))
    return [
        {
            "day": when,
            "policy": policy,
            "stopped": tasks(record for record in records if record.line["event"] == "confirmed"),
            "accepted": tasks(record for record in records if record.line["event"] == "accepted"),
        }
        for (when, policy), records in groups.items()
    ]


def lateness(history: History) -> list[Row]:
    rows = []
    for (policy,), records in grouped(logged(history, "confirmed"), named("policy")).items():
        over = [record.line["over_s"] for record in records]
        p50, p95 = percentile(over, 0.5), percentile(over, 0.95)
        rows.append(
            {"policy": policy, "stopped": len(over), "p50_s": p50, "p95_s": p95, "longest_s": max(over)}
        )
    return rows


def stuck(history: History) -> list[Row]:
    groups = grouped(logged(history, "stuck"), named("service", "function", "qualifier", "invocation_id"))
    return [
        {
            **dict(zip(("service", "function_name", "qualifier", "invocation_id"), key, strict=True)),
            "stopping_s": max(record.line["age_s"] for record in records),
            "reports": len(records),
            "last_seen": max(record.time for record in records),
        }
        for key, records in groups.items()
    ]


def failed_stops(history: History) -> list[Row]:
    groups = grouped(logged(history, "stop_failed"), named("policy", "error_code", "http_status"))
    return [
        {
            **dict(zip(("policy", "error_code", "http_status"), key, strict=True)),
            "times": len(records),
            "request_id": max(record.line["fc_request_id"] or "" for record in records) or None,
        }
        for key, records in groups.items()
    ]


def failed_lists(history: History) -> list[Row]:
    fields = ("service", "function", "qualifier", "error_code", "http_status")
    columns = ("service", "function_name", "qualifier", "error_code", "http_status")
    return [
        {
            **dict(zip(columns, key, strict=True)),
            "times": len(records),
            "last_seen": max(record.time for record in records),
        }
        for key, records in grouped(logged(history, "list_failed"), named(*fields)).items()
    ]


def missing_runs(history: History) -> list[Row]:
    ran = [record.time for record in logged(history, "run_finished") if record.line["trigger"] == "timer"]
    pauses = [(later, later - earlier) for earlier, later in pairwise(ran)]
    long = [(time, pause) for time, pause in pauses if pause > 3 * INTERVAL]
    return [{"next_run": f"{utc(time)}.000", "pause_s": pause} for time, pause in long]


def utc(time: int) -> str:
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def dry_run_and_stopped(history: History) -> list[Row]:
    groups = grouped(logged(history, "would_stop", "confirmed"), lambda one: (day(one), one.line["policy"]))
    return [
        {
            "day": when,
            "policy": policy,
            "dry_run": tasks(record for record in records if record.line["event"] == "would_stop"),
            "stopped": tasks(record for record in records if record.line["event"] == "confirmed"),
        }
        for (when, policy), records in groups.items()
    ]


def held_back(history: History) -> list[Row]:
    return [
        {
            "policy": policy,
            "event": event,
            "runs": len(records),
            "most_due": max(record.line["due"] for record in records),
            "allowed": max(record.line["allowed"] for record in records),
        }
        for (policy, event), records in grouped(
            logged(history, "halted", "budget_spent"), named("policy", "event")
        ).items()
    ]


def unknown(history: History) -> list[Row]:
    return [
        {"policy": policy or "-", "rule": rule, "reason": reason, "tasks": tasks(records)}
        for (policy, rule, reason), records in grouped(
            logged(history, "unknown"), named("policy", "rule", "reason")
        ).items()
    ]


def health(history: History) -> list[Row]:
    groups = grouped(logged(history, "run_finished"), lambda one: (hour(one), one.line["mode"]))
    return [
        {
            "hour": when,
            "mode": mode,
            "runs": len(records),
            "troubled": sum(troubled(record.line) for record in records),
            "listed": sum(record.line["counts"]["listed"] for record in records),
            "p95_ms": percentile([record.line["duration_ms"] for record in records], 0.95),
        }
        for (when, mode), records in groups.items()
    ]


def troubled(line: Row) -> bool:
    return bool(line["errors"] or line["counts"]["failed"] or line["partial"])


EXPECTED: dict[str, Callable[[History], list[Row]]] = {
    "Stopped, by policy and day": stopped,
    "Lateness": lateness,
    "Stuck": stuck,
    "Stops that failed": failed_stops,
    "Lists that failed": failed_lists,
    "Missing runs": missing_runs,
    "Dry run versus enforcement": dry_run_and_stopped,
    "Held back": held_back,
    "Unknown": unknown,
    "Health of the runs": health,
}


def in_any_order(rows: list[Row]) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


def test_there_are_ten() -> None:
    """Each with a reckoning of its own below."""
    assert list(QUERIES) == list(EXPECTED)
    assert len(QUERIES) == 10


@pytest.mark.parametrize("name", EXPECTED)
def test_a_query_answers_what_the_documentation_says(history: History, name: str) -> None:
    """The SQL as it is printed, and the same sum in Python."""
    expected = EXPECTED[name](history)
    assert expected
    assert in_any_order(answer(QUERIES[name], history.records)) == in_any_order(expected)


@pytest.mark.parametrize("name", every_query())
def test_a_query_uses_only_fields_that_are_indexed_and_logged(history: History, name: str) -> None:
    """A field outside of the index is an error of the service, one that no line carries an empty column."""
    query = every_query()[name]
    published = {key for line in (SCHEMA, *SCHEMA["$defs"].values()) for key in line["properties"]}
    assert fields_of(query) <= set(KEYS)
    assert {key.split(".")[1] for key in fields_of(query)} <= published
    for key in fields_of(query):
        search = query.partition("|")[0]
        found = answer(f'{search}| select "{key}" as it from log where "{key}" is not null', history.records)
        assert found, f"no line that the query finds has {key}"


def test_a_pause_of_exactly_three_intervals_is_not_missing(history: History) -> None:
    """More than three are; the first run of all follows no pause."""
    line = logged(history, "run_finished")[0].line
    for pause, number in ((3 * INTERVAL, 0), (3 * INTERVAL + 1, 1)):
        records = [Record(MIDNIGHT, line), Record(MIDNIGHT + pause, line)]
        assert len(answer(QUERIES["Missing runs"], records)) == number


def test_the_story_of_a_task_is_logged_in_order(history: History) -> None:
    """Dry run, held back, and in the end stopped: every line about it, with its reason."""
    logged_of = [record for record in history.records if record.line.get("invocation_id") == "over-1"]
    rows = answer(OF_ONE_TASK, history.records)
    assert [row["event"] for row in rows] == [record.line["event"] for record in logged_of]
    assert {row["reason"] for row in rows if row["event"] == "confirmed"} == {
        "A transcode takes forty minutes at worst."
    }


def test_what_stops_saved_is_the_sum_of_all_runs(history: History) -> None:
    (row,) = answer(SAVED, history.records)
    saved = [record.line["saved"] for record in logged(history, "run_finished")]
    assert row == {name: sum(one[name] or 0 for one in saved) for name in row}
    assert list(row) == ["vcpu_s", "gb_s", "gpu_gb_s", "unknown"]


def test_a_timer_is_logged_as_one(history: History) -> None:
    """Missing runs are counted by this word alone."""
    assert b"triggerTime" in TIMER
    assert {"timer", "alert"} <= {record.line["trigger"] for record in history.records}
