"""Two policies on one history."""

from __future__ import annotations

from fc_reaper.backtest.stats import compare
from tests.backtest.lives import history, lived, replayed
from tests.builders import ms

PAST = history(
    lived("long", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "9h")),
    lived("short", ("Enqueued", "0s"), ("Running", "0s"), ("Failed", "90m")),
    lived("vip", ("Enqueued", "0s"), ("Running", "0s"), ("Failed", "5h")),
    lived("queue", ("Enqueued", "0s"), ("Expired", "5h")),
)


def compared(old: str, new: str) -> tuple[list[tuple[str, str, str]], int]:
    """Each change with the task and how it ended, and how many tasks are stopped in the same run."""
    changes, same = compare(replayed(PAST, old), replayed(PAST, new))
    every = [one for some in changes.values() for one in some]
    return [(one.how, one.stop.task.invocation_id, one.stop.outcome) for one in every], same


def test_a_tighter_limit_stops_more_and_earlier() -> None:
    """Each task is in exactly one kind."""
    assert compared("match: {running_for: 2h}", "match: {running_for: 1h}") == (
        [("more", "short", "failed"), ("earlier", "long", "succeeded"), ("earlier", "vip", "failed")],
        0,
    )
    old, new = (replayed(PAST, f"match: {{running_for: {limit}}}") for limit in ("2h", "1h"))
    assert new.saved - old.saved == ms("1h") + ms("25m")


def test_an_exemption_stops_less_and_a_longer_limit_later() -> None:
    """The other way round."""
    assert compared("match: {running_for: 1h}", "match: {running_for: 2h}, unless: [vip]") == (
        [("less", "short", "failed"), ("less", "vip", "failed"), ("later", "long", "succeeded")],
        0,
    )


def test_the_name_of_the_policy_makes_no_difference() -> None:
    """Nor that another one stops it in the same run."""
    changed = compared("name: a, match: {running_for: 2h}", "name: b, match: {running_for: 121m}")
    assert changed == ([], 2)


def test_a_stop_that_becomes_a_report_stops_less() -> None:
    """A report stops nothing."""
    changed = compared("match: {queued_for: 2h}", "match: {queued_for: 2h}, report: they wait")
    assert changed == ([("less", "queue", "failed")], 0)
