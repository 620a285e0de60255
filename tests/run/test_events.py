"""Every sample event, as the platform would send it, through a whole run against the emulator."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fc_reaper.models import Exit
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import reap
from tests.run.account import operations, stopped

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
SAMPLES = sorted(path for path in EVENTS.iterdir() if path.suffix in (".json", ".txt"))
REFUSED = sorted((EVENTS / "refused").iterdir())
POLICY = """\
version: 1
policies:
  - name: runaway
    targets: [media/transcode@prod, resize]
    match: {running_for: 2h}
    stop: forty minutes at worst
"""
EXPECTED = {"transcode", "resize"}


def listed_functions(cloud: Emulator) -> set[str]:
    """The functions whose tasks were listed or read, by the emulator's own account."""
    paths = [call["path"].split("/") for call in cloud.calls()["recent"]]
    return {path[path.index("functions") + 1] for path in paths if "functions" in path}


@pytest.fixture(scope="module")
def example() -> Iterator[Emulator]:
    """The account that the documents use with the policy of the project."""
    with running_emulator(seed=json.loads((ROOT / "examples" / "account.json").read_bytes())) as emulator:
        yield emulator


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_sample_fits_the_policy_of_the_project(example: Emulator, sample: Path) -> None:
    """It is understood or ignored, and never refused; a copy of the project can be tried with each."""
    reaped = reap(example.endpoint, ROOT / "policy.yaml", sample.read_bytes())
    assert reaped.finished.exit is Exit.DONE
    assert reaped.finished.result.errors == []
    assert not reaped.logged("trigger_refused")
    assert reaped.finished.trigger.requests == () or reaped.counts["listed"]
    assert listed_functions(example) <= {"transcode"}


@pytest.mark.parametrize("sample", REFUSED, ids=lambda path: path.name)
def test_a_refused_sample_lists_nothing(cloud: Emulator, sample: Path) -> None:
    """The reason is logged, no call is made, and the platform is given no reason to retry."""
    reaped = reap(cloud.endpoint, POLICY, sample.read_bytes(), enforce=True)
    assert reaped.finished.exit is Exit.REFUSED
    assert not reaped.finished.curable
    assert reaped.logged("trigger_refused")
    assert operations(cloud) == {}


BODIES: dict[str, Any] = {
    "XML": "<Message>{command}</Message>",
    "YAML": "functionName: transcode\ndryRun: true",
    "form": "payload=%7B%22dryRun%22%3Atrue%7D",
    "multipart": '--b\r\nContent-Disposition: form-data; name="dryRun"\r\n\r\ntrue\r\n--b--\r\n',
    "words": "please dry run only",
    "base64": "{base64}",
    "base64 in XML": "<Message>{base64}</Message>",
}
COMMAND = '{"serviceName": "media", "functionName": "transcode", "dryRun": true}'
OVER = {"over-1", "over-2", "over-3", "keep-1", "vip-1"}


def carried(body: str) -> list[Any]:
    """Events that carry *body*."""
    for name, value in (("command", COMMAND), ("base64", b64encode(COMMAND.encode()).decode())):
        body = body.replace(f"{{{name}}}", value)
    context = {"http": {"method": "POST", "path": "/"}, "requestId": "1"}
    return [
        {"headers": {}, "body": body, "queryParameters": {}, "requestContext": context},
        {"Records": [{"messageId": "1", "body": body}]},
        {"triggerTime": "t", "triggerName": "nightly", "payload": body},
        [{"functionName": "transcode"}, {"detail": {"input": {"message": body}}}],
    ]


@pytest.mark.parametrize("name", BODIES)
def test_a_wish_for_a_dry_run_is_obeyed_in_every_envelope(cloud: Emulator, name: str) -> None:
    """The run says where it was asked for, and warns, because it would have enforced."""
    for event in carried(BODIES[name]):
        reaped = reap(cloud.endpoint, POLICY, event, enforce=True)
        (started,) = reaped.logged("run_started")
        assert (started["mode"], started["level"]) == ("dry-run", "WARNING")
        assert started["dry_run_asked_at"]
    assert stopped(cloud) == set()


def test_a_dry_run_that_is_one_anyway_is_no_warning(cloud: Emulator) -> None:
    """Nothing else than what was expected happens."""
    (started,) = reap(cloud.endpoint, POLICY, {"dryRun": True}).logged("run_started")
    assert (started["level"], started["dry_run_asked_at"]) == ("INFO", "dryRun")
    (started,) = reap(cloud.endpoint, POLICY, {}, enforce=True).logged("run_started")
    assert (started["level"], started["dry_run_asked_at"]) == ("INFO", None)


LABELS = {"alertname": "AsyncBacklog", "functionName": "transcode", "serviceName": "media"}


def a_notification(labels: dict[str, str], **more: Any) -> dict[str, Any]:
    alert = {"status": "firing", "labels": labels, "annotations": {"query": "not mode: dry-run"}}
    return {"version": "4", "status": "firing", "receiver": "r", "groupLabels": {}, "alerts": [alert], **more}


@pytest.mark.parametrize(
    ("event", "ids"),
    [
        (a_notification(LABELS), OVER),
        (a_notification({**LABELS, "region": "eu-west-1"}), OVER),
        (a_notification({**LABELS, "user_id": "880012345"}), OVER),
        (a_notification({"functionName": "transcode", "service": "exporter"}), OVER),
        (a_notification(LABELS, truncatedAlerts=2), {*OVER, "three-1"}),
    ],
    ids=["quotes our log", "region", "account", "service", "cut off"],
)
def test_an_alert_stops_what_is_due_in_the_functions_that_it_names(
    cloud: Emulator, event: Any, ids: set[str]
) -> None:
    """Neither labels of the watcher nor a quotation of our log hide it; cut off, it names nobody."""
    context = SimpleNamespace(region="cn-hangzhou", account_id="123456789", request_id="r")
    reap(cloud.endpoint, POLICY, event, enforce=True, context=context)
    assert stopped(cloud) == ids


@pytest.mark.parametrize(
    ("element", "event"),
    [
        ({"functonName": "a"}, "trigger_refused"),
        ({"receiver": "r", "status": "", "alerts": []}, "trigger_unrecognised"),
    ],
)
def test_ten_thousand_parts_do_not_flood_the_log(cloud: Emulator, element: Any, event: str) -> None:
    """A hundred lines, and one that counts the rest."""
    reaped = reap(cloud.endpoint, POLICY, [element] * 10_000)
    assert len(reaped.logged(event)) == 100
    assert [line["omitted"] for line in reaped.logged("lines_omitted")] == [event]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample with some of its bytes changed, dropped or doubled."""
    raw = bytearray(draw(st.sampled_from(SAMPLES)).read_bytes() or b"{}")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        length = draw(st.integers(0, 12))
        raw[at : at + length] = draw(st.binary(max_size=6) | st.just(bytes(raw[:length])))
    return bytes(raw)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=mutated() | st.binary(max_size=200))
def test_no_event_leads_outside_the_targets(cloud: Any, raw: bytes) -> None:
    """Whatever the bytes, a run or a refusal: one last line, no fault, and no other function listed."""
    reaped = reap(cloud.endpoint, POLICY, raw)
    assert [line["event"] for line in reaped.lines].count("run_finished") == 1
    assert not any("fault" in error for error in reaped.finished.result.errors)
    assert listed_functions(cloud) <= EXPECTED
