"""Who is next: `plan` names each task that will be due within an hour, and the moment at which it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fc_reaper.models import iso
from tests.cli.command import a_policy_file, at, fc_reaper
from tests.emulator_server import running_emulator
from tests.reaping import FASTER

POLICY = """\
version: 1
exempt: [keep-*, {{id: freed-1, until: {end}, because: migration}}]
policies:
  - {{name: alive, targets: [a], match: {{alive_for: 2h}}, stop: x, unless: [{{id: let-1, until: {end}}}]}}
  - {{name: running, targets: [b], match: {{running_for: {{from: payload.max, at_most: 2h}}}}, stop: x}}
  - {{name: queued, targets: [c], match: {{queued_for: 2h}}, stop: x, holdout: 99.99%}}
  - {{name: stopping, targets: [d], match: {{stopping_for: 2h}}, stop: x}}
  - {{name: warned, targets: [b], match: {{alive_for: 1h}}, report: x}}
  - {{name: group, targets: [e], match: {{status: Running}}, keep: {{at_most: 1}}, stop: x}}
  - {{name: grouped, targets: [e], match: {{alive_for: 2h}}, stop: x}}
  - {{name: cancelled, targets: [e], match: {{id: '*'}}, triggers: [task], stop: x}}
"""
AGO = "-100m"


def task(function: str, name: str, status: str = "Running", **more: Any) -> dict[str, Any]:
    return {"functionName": function, "invocationId": name, "status": status, "enqueued": "-3h", **more}


NEXT = {
    "alive-1": task("a", "alive-1", enqueued=AGO, started=AGO),
    "cut-1": task("a", "cut-1", enqueued=AGO, started=AGO, cutHead=1),
    "long-1": task("b", "long-1", started=AGO, payload={"max": "forever"}),
    "short-1": task("b", "short-1", started="-70m", payload={"max": "90m"}),
    "queued-1": task("c", "queued-1", "Enqueued", enqueued=AGO),
    "stopping-1": task("d", "stopping-1", "Stopping", started="-3h", stopping=AGO),
    "group-1": task("e", "group-1", enqueued=AGO, started=AGO),
}
"""Each is due in twenty minutes; `cut-1` is unknown until then, since it may be older."""
SPARED = {
    "freed-1": task("a", "freed-1", started="-3h"),
    "let-1": task("a", "let-1", started="-3h"),
}
"""Until an exemption ends, by the clock on the wall."""
OTHERS = [
    task("a", "keep-1", enqueued=AGO, started=AGO),
    task("a", "young-1", enqueued="-50m", started="-50m"),
    task("a", "over-1", started="-3h"),
    task("b", "none-1", started=AGO, payload={}),
    task("e", "excess-1", enqueued="-80m", started="-80m"),
]


def test_each_task_is_due_at_the_moment_that_plan_says_and_not_before(tmp_path: Path) -> None:
    """By every clock, by a limit of its own, and where an exemption ends; none that a group makes due now."""
    now = FASTER.now()
    a_policy_file(tmp_path, POLICY.format(end=f"{iso(now + 1_200_000)[:19]}Z"))
    seed = {"invocations": [*NEXT.values(), *SPARED.values(), *OTHERS]}
    with running_emulator("--started-time", "execution", seed=seed) as cloud:
        args, env = ("plan", "--json"), at(cloud)
        soon = {one["invocation_id"]: one for one in fc_reaper(*args, env=env, cwd=tmp_path).json["next"]}
        assert set(soon) == {*NEXT, *SPARED}
        assert {name for name in soon if abs(soon[name]["due_in_s"] - 1200) > 60} == set()
        for advance, due in (("1100s", {"over-1", "excess-1"}), ("110s", {"over-1", *NEXT})):
            cloud.advance(advance)
            result = fc_reaper(*args, env=env, cwd=tmp_path).json
            assert {one["invocation_id"] for one in result["tasks"]} == due
