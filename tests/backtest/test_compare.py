"""Two policies on one history."""

from __future__ import annotations

from fc_reaper.backtest.stats import Comparison, compare
from tests.backtest.lives import history, lived, replayed
from tests.builders import ms

PAST = history(
    lived("long", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "9h")),
    lived("short", ("Enqueued", "0s"), ("Running", "0s"), ("Failed", "90m")),
    lived("vip", ("Enqueued", "0s"), ("Running", "0s"), ("Failed", "5h")),
    lived("queue", ("Enqueued", "0s"), ("Expired", "5h")),
)


def compared(old: str, new: str) -> Comparison:
    """What *new* changes against *old*."""
    return compare(replayed(PAST, old), replayed(PAST, new))


def test_a_tighter_limit_stops_more_and_earlier() -> None:
    """Each task is in exactly one kind, with both its stops."""
    change = compared("match: {running_for: 2h}", "match: {running_for: 1h}")
    assert [(one.how, one.task.invocation_id, one.outcome) for one in change.changes] == [
        ("more", "short", "failed"),
        ("earlier", "long", "succeeded"),
        ("earlier", "vip", "failed"),
    ]
    assert (change.same, change.saved) == (0, ms("1h") + ms("25m"))


def test_an_exemption_stops_less_and_a_longer_limit_later() -> None:
    """The other way round."""
    change = compared("match: {running_for: 1h}", "match: {running_for: 2h}, unless: [vip]")
    assert [(one.how, one.task.invocation_id) for one in change.changes] == [
        ("less", "short"),
        ("less", "vip"),
        ("later", "long"),
    ]
    assert change.outcomes("less") == {"failed": 2}
    assert change.outcomes("later") == {"succeeded": 1}
    assert change.saved < 0


def test_the_name_of_the_policy_makes_no_difference() -> None:
    """Nor that another one stops it in the same run."""
    change = compared("name: a, match: {running_for: 2h}", "name: b, match: {running_for: 121m}")
    assert (change.changes, change.same) == ((), 2)


def test_a_stop_that_becomes_a_report_stops_less() -> None:
    """A report stops nothing."""
    change = compared("match: {queued_for: 2h}", "match: {queued_for: 2h}, report: they wait")
    assert [(one.how, one.task.invocation_id) for one in change.changes] == [("less", "queue")]
