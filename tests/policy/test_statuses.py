"""In which statuses a matcher can hold."""

from __future__ import annotations

import pytest

from fc_reaper.models import ALIVE
from fc_reaper.rules.rules import common_statuses
from tests.policy.builders import issue, match, spared


@pytest.mark.parametrize(
    ("written", "statuses"),
    [
        ("{queued_for: 1h}", ("Enqueued", "Dequeued")),
        ("{running_for: 1h}", ("Running",)),
        ("{alive_for: 1h}", ALIVE),
        ("{stopping_for: 1h}", ("Stopping",)),
        ("{retries_over: 3}", ALIVE),
        ("{id: x}", ALIVE),
        ("{status: [Stopping, Running]}", ("Running", "Stopping")),
        ("{status: [Stopping, Running], alive_for: 1h}", ("Running",)),
        ("{queued_for: 1h, alive_for: 2h}", ("Enqueued", "Dequeued")),
    ],
)
def test_a_match_holds_where_all_its_keys_can(written: str, statuses: tuple[str, ...]) -> None:
    """A task that is Stopping is meant only where it is named."""
    assert match(written).match_statuses == statuses


def test_an_exemption_without_a_status_reaches_every_status() -> None:
    """What is exempt by its id is exempt while it is Stopping, too."""
    by_id, by_clock = spared("[keep-*, {running_for: 1h}]")
    assert common_statuses(by_id.rules) is None
    assert common_statuses(by_clock.rules) == ("Running",)


@pytest.mark.parametrize(
    "written",
    [
        "{queued_for: 1h, running_for: 1h}",
        "{alive_for: 1h, stopping_for: 1h}",
        "{status: Stopping, alive_for: 1h}",
        "{status: [Enqueued, Stopping], running_for: 1h}",
        "{status: Stopping, retries_over: 3}",
        "{stopping_for: 1h, retries_over: 3}",
    ],
)
@pytest.mark.parametrize("key", ["match", "unless"])
def test_conditions_that_no_status_can_meet_are_refused(written: str, key: str) -> None:
    """A match that never holds stops nothing; an exemption that never holds spares no task."""
    found = issue(**{key: written if key == "match" else f"[{written}]"})
    assert "no task can fit" in found.what


def test_limits_are_the_clocks_that_are_stated() -> None:
    """By name, each with its limit in milliseconds."""
    both = match("{running_for: 1s, id: x, alive_for: 2s}")
    assert both.limits == (("running_for", 1000), ("alive_for", 2000))
