"""Whole runs over accounts and policies of every kind: what was rehearsed is what is done, and no more."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emulator_process import running_emulator
from tests.judge import worlds
from tests.reaping import reap
from tests.run.account import stopped
from tests.run.test_promises import adds_up

VERSIONS = st.sampled_from(["2021-04-06", "2016-08-15"])


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    """A seed whose tasks are all half a minute away from any limit, so that seconds change nothing."""
    return {"invocations": [_entry(draw, number) for number in range(draw(st.integers(3, 25)))]}


def _entry(draw: st.DrawFn, number: int) -> dict[str, Any]:
    function = draw(st.sampled_from(worlds.FUNCTIONS))
    status = draw(st.sampled_from(["Running", "Running", "Enqueued", "Retrying", "Stopping"]))
    minutes = draw(worlds.MINUTES)
    entry = {
        "serviceName": function.service,
        "functionName": function.name,
        "qualifier": function.qualifier,
        "invocationId": f"{draw(st.sampled_from(['job', 'vip', 'keep']))}-{number}",
        "status": status,
        "enqueued": f"-{minutes}m30s",
        "payload": draw(
            st.fixed_dictionaries({}, optional={"order": st.sampled_from("ab"), "n": st.integers(1, 3)})
        ),
    }
    if status != "Enqueued":
        entry["started"] = f"-{draw(st.integers(0, minutes))}m30s"
    return entry


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    worlds.trees(),
    accounts(),
    st.sampled_from(["list", "get"]),
    st.sampled_from(["2021-04-06", "2016-08-15"]),
)
def test_an_enforcement_stops_the_tasks_that_a_rehearsal_names(
    tree: dict[str, Any], seed: dict[str, Any], events: str, version: str
) -> None:
    """On the same state: the same tasks, each once, within every budget; and the counts add up."""
    text = json.dumps(tree) + "\n"  # JSON is YAML
    with running_emulator("--events", events, seed=seed) as cloud:
        rehearsed = reap(cloud.endpoint, text, api_version=version)
        assert stopped(cloud) == set()
        enforced = reap(cloud.endpoint, text, enforce=True, api_version=version)
        assert stopped(cloud) == rehearsed.ids("would_stop") == enforced.ids("accepted")
        assert adds_up(rehearsed)
        assert adds_up(enforced)
        assert rehearsed.counts.get("due") == enforced.counts.get("due")
        for policy in tree["policies"]:
            counts = enforced.finished.result["policies"].get(policy["name"], {})
            done = counts.get("accepted", 0) + counts.get("confirmed", 0)
            assert done <= int(policy["budget"].split("/")[0])
