"""`owner`: who is told of a task. Its lines say so, and nothing else of a payload is ever logged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.evaluator.select import select
from tests.cli.command import a_policy_file, at, fc_reaper
from tests.cli.histories import a_history, record
from tests.emulator_server import Emulator, running_emulator
from tests.evaluator.worlds import World, evaluations, loaded, worlds
from tests.reaping import Reaped, reap
from tests.reliability.case import GET
from tests.reliability.stops import before
from tests.run.account import operations, policy, seeded

TASK_EVENTS = {
    "would_stop", "reported", "accepted", "confirmed", "ended", "skipped", "stop_failed", "unknown", "stuck",
}  # fmt: skip
FROM_PAYLOAD = "{from: payload.team}"
SECRET = "a-value-of-the-payload"


def running(name: str, payload: Any = None, **more: Any) -> dict[str, Any]:
    """A task of media/transcode@prod that has been running for three hours."""
    given = {} if payload is None else {"payload": payload}
    return seeded(name, "Running", **{"enqueued": "-5h", "started": "-3h", **given, **more})


def team(name: Any) -> dict[str, Any]:
    return {"team": name, "other": SECRET}


def owners(reaped: Reaped) -> dict[tuple[str, str], Any]:
    """The owner of each line about a task, by event and id; no line says more of a payload."""
    assert SECRET not in json.dumps([reaped.lines, reaped.finished.fields])
    lines = [line for line in reaped.lines if line["event"] in TASK_EVENTS]
    return {(line["event"], line["invocation_id"]): line["owner"] for line in lines}


ANSWERS: dict[str, tuple[Any, str | None]] = {
    "text": (team("media"), "media"),
    "text-with-blanks-around": (team("  media team "), "media team"),
    "number": (team(42), "42"),
    "fraction": (team(1.5), "1.5"),
    "blank": (team(" \t"), None),
    "true": (team(True), None),
    "null": (team(None), None),
    "list": (team(["media"]), None),
    "object": (team({"name": SECRET}), None),
    "absent": ({"other": SECRET}, None),
    "no-object": ([SECRET], None),
    "no-payload": (None, None),
    "long": (team("x" * 128), "x" * 128),
    "longer": (team("x" * 129), "x" * 127 + "…"),
    "two-lines": (team('me\n{"event": "confirmed"}'), 'me\\n{"event": "confirmed"}'),
    "control": (team("a\x1b[2Jb\u202ec"), "a\\x1b[2Jb\\u202ec"),
    "half-a-letter": (team("a\ud800b"), "a\\ud800b"),
    "letters": (team("媒体组 é"), "媒体组 é"),
}


@pytest.mark.parametrize("enforce", [False, True])
def test_a_payload_names_the_owner_by_text_or_a_number(enforce: bool) -> None:
    """Cut, on one line; whatever else it answers is null, and never keeps a task alive."""
    seed = {"invocations": [running(name, payload) for name, (payload, _) in ANSWERS.items()]}
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        found = owners(reap(cloud.endpoint, policy(owner=FROM_PAYLOAD), enforce=enforce))
    for event in ("accepted", "confirmed") if enforce else ("would_stop",):
        assert {name: found[event, name] for name in ANSWERS} == {
            name: said for name, (_, said) in ANSWERS.items()
        }


def test_every_line_of_a_task_that_names_the_policy_names_the_owner(cloud: Emulator) -> None:
    """Also what fails, is left, is unknown, is stuck, or ended before it was to be stopped."""
    cloud.faults([{"operation": "StopStatefulAsyncInvocation", "times": 99, "status": 403,
                   "match": {"invocationId": "over-1"}}])  # fmt: skip
    found = owners(reap(cloud.endpoint, policy(owner="media-team", budget="2/run"), enforce=True))
    assert {event for event, _ in found} == {"accepted", "confirmed", "stop_failed", "stuck"}
    assert set(found.values()) == {"media-team"}
    first = policy(owner="media-team", match="{running_for: 20h}", unless="[x]", stop="x")
    second = first[first.index("  - name") :].replace("runaway", "second").replace("media-team", "other-team")
    for text, owner in ((first + second, "media-team"), (policy() + second, "other-team"), (policy(), None)):
        assert owners(reap(cloud.endpoint, text))["stuck", "stuck-1"] == owner, "by the first that knows it"
    stuck = policy(owner="media-team", match="{stopping_for: 1h}")
    assert owners(reap(cloud.endpoint, stuck))["stuck", "stuck-1"] == "media-team"
    spared = policy(owner="media-team", match="{stopping_for: 3m}", unless="[stuck-*]")
    assert owners(reap(cloud.endpoint, spared))["stuck", "stuck-1"] == "media-team"
    seed = {"invocations": [running(f"over-{n}", team(n)) for n in range(3)]}
    ended = {**running("gone", team("gone")), "ends": "-1s"}
    seed["invocations"].append(ended)
    with running_emulator("--list-lag", "30s", seed=seed) as lagging:
        found = owners(reap(lagging.endpoint, policy(owner=FROM_PAYLOAD, budget="2/run"), enforce=True))
        waiting = owners(reap(lagging.endpoint, policy(owner=FROM_PAYLOAD, halt_over="1"), enforce=True))
    assert found["ended", "gone"] == "gone"
    assert [owner for (event, _), owner in found.items() if event == "skipped"] == [None]
    assert {owner for (event, _), owner in waiting.items() if event == "skipped"} == {None}, (
        "never read again"
    )


@pytest.mark.parametrize("events", ["list", "no"])
def test_no_task_is_read_for_its_owner_alone(events: str) -> None:
    """The same calls as without; a report, which reads no task again, is listed with payloads."""
    seed = {"invocations": [running(f"over-{n}", team("media")) for n in range(3)]}
    calls, found = {}, {}
    with running_emulator("--events", events, seed=seed) as cloud:
        for does in ("stop", "report"):
            for owner in ("", FROM_PAYLOAD):
                text = policy(match="{running_for: 2h}", **({"owner": owner} if owner else {}))
                cloud.reset()
                found[does, owner] = owners(reap(cloud.endpoint, text.replace("stop:", f"{does}:")))
                calls[does, owner] = operations(cloud)
    for does in ("stop", "report"):
        assert calls[does, ""] == calls[does, FROM_PAYLOAD]
    if events == "list":
        assert (
            set(found["stop", FROM_PAYLOAD].values())
            == set(found["report", FROM_PAYLOAD].values())
            == {"media"}
        )


@pytest.mark.parametrize("does", ["stop", "report"])
def test_a_task_that_is_one_too_many_has_its_owner(does: str) -> None:
    """`keep` decides when all are seen, long after their payloads are gone."""
    seed = {
        "invocations": [
            running(f"t-{n}", team(f"team-{n}"), enqueued=f"-{n}h", started="-30m") for n in (1, 2, 3)
        ]
    }
    text = policy(match="{status: Running}", keep="{at_most: 1}", owner=FROM_PAYLOAD)
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        found = owners(reap(cloud.endpoint, text.replace("stop:", f"{does}:"), enforce=True))
    events = ("accepted", "confirmed") if does == "stop" else ("reported",)
    assert found == {(event, f"t-{n}"): f"team-{n}" for event in events for n in (1, 2)}


def test_a_record_of_another_task_names_no_owner() -> None:
    """An id may be used again between the listing and the reading."""
    seed = {"invocations": [running("over-1", team("media"))]}
    with running_emulator(seed=seed) as cloud:
        cloud.faults(before(GET, "resubmit"))
        (line,) = reap(cloud.endpoint, policy(owner=FROM_PAYLOAD), enforce=True).logged("skipped")
    assert (line["why"], line["owner"]) == ("spared", None)


@given(world=worlds())
def test_an_owner_decides_nothing(world: World) -> None:
    """With it every task gets the verdict that it gets without, and the same ones are selected."""
    plain, policies = world.tree, world.tree["policies"]
    owned = {**plain, "policies": [{**one, "owner": {"from": "payload.order"}} for one in policies]}
    seen = []
    for tree in (plain, owned):
        file = loaded(tree)
        every: list[Evaluation] = evaluations(world.some, file)
        chosen = select(every, file.policies, room=1000)
        anonymous = [
            one.verdict._replace(
                owner=None, members=tuple(m._replace(owner=None) for m in one.verdict.members)
            )
            for one in every
        ]
        seen.append((anonymous, [[one.task for one in selection.selected] for selection in chosen]))
    assert seen[0] == seen[1]


def test_the_commands_show_it(tmp_path: Path) -> None:
    """plan, its file and its --json, explain, and the tasks of backtest."""
    a_policy_file(tmp_path, policy(owner=FROM_PAYLOAD))
    seed = {"invocations": [running("over-1", team("媒体 [red]"))]}
    with running_emulator(seed=seed) as cloud:
        cloud.advance("5s")
        env = at(cloud, COLUMNS="120")
        shown = fc_reaper("plan", "--out", "plan.json", env=env, cwd=tmp_path)
        as_json = fc_reaper("plan", "--json", env=env, cwd=tmp_path).json
        said = fc_reaper("explain", "media/transcode@prod", "over-1", env=env, cwd=tmp_path)
        step = fc_reaper("explain", "media/transcode@prod", "over-1", "--json", env=env, cwd=tmp_path).json
        applied = fc_reaper("apply", "plan.json", "--enforce", "--json", env=env, cwd=tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    texts = [shown.text, said.text, plan, as_json, step, applied.out]
    assert SECRET not in json.dumps(texts)
    assert "owner 媒体 [red]" in shown.text
    assert "due, runaway, owner 媒体 [red], running_for 3h" in said.text
    assert (
        plan["tasks"][0]["owner"] == as_json["tasks"][0]["owner"] == step["verdict"]["owner"] == "媒体 [red]"
    )
    assert applied.code == 0, applied
    life = (("Enqueued", "0s"), ("Running", "1m"), ("Failed", "5h"))
    records = [record("slow", *life, invocationPayload=json.dumps(team("media")))]
    args = ("backtest", "--history", a_history(tmp_path, records), "--json")
    (found,) = fc_reaper(*args, env=at(cloud), cwd=tmp_path).json["policies"][0]["found"]
    assert (found["owner"], SECRET in json.dumps(found)) == ("media", False)
