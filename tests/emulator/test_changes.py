"""What changes without a call of the API: tasks that end, retry or come again; functions; aliases."""

from __future__ import annotations

import urllib.error
from typing import Any

import pytest

from tests.emulator.seeds import A_SHIFT
from tests.emulator.wire import V2016, V2023, VERSIONS, Api, Caller
from tests.emulator_server import Emulator, running_emulator


def changed(emulator: Emulator, api: Api, change: str, **more: Any) -> None:
    service = {} if api.version == V2023 else {"serviceName": api.service}
    place = {**service, "functionName": api.function, "qualifier": api.qualifier}
    emulator.admin("POST", "changes", {"change": change, **place, **more})


def test_a_task_may_finish(emulator: Emulator, api: Api) -> None:
    changed(emulator, api, "finish", invocationId="job-[12]", endsAs="Failed")
    assert [api.get(f"job-{n}").json()["status"] for n in (1, 2, 3)] == ["Failed", "Failed", "Running"]
    assert api.stop("job-1").status_code == 412
    assert "job-1" in api.ids(status="Failed")


def test_a_task_may_retry(emulator: Emulator, api: Api) -> None:
    """It runs again at once; a finished task is left as it is."""
    before = api.get("job-1").json()
    changed(emulator, api, "retry")
    record = api.get("job-1").json()
    assert [event["status"] for event in record["events"]][-3:] == ["Running", "Retrying", "Running"]
    assert record["alreadyRetriedTimes"] == before["alreadyRetriedTimes"] + 1
    assert api.get("done-1").json()["status"] == "Succeeded"


def test_a_task_may_come_again_under_its_id(emulator: Emulator, api: Api) -> None:
    """The journal keeps what happened to the one before."""
    before = api.get("job-1").json()
    api.stop("job-1")
    changed(emulator, api, "resubmit", invocationId="job-1")
    record = api.get("job-1").json()
    assert record["requestId"] != before["requestId"]
    assert [event["status"] for event in record["events"]] == ["Enqueued"]
    assert api.ids().count("job-1") == 1
    causes = [entry["cause"] for entry in emulator.journal() if entry["invocationId"] == "job-1"]
    assert causes.count("stop") == 1


def test_a_function_may_be_deleted(emulator: Emulator, api: Api) -> None:
    """Under all its qualifiers, with its tasks; the journal keeps them."""
    number = len(emulator.journal())
    changed(emulator, api, "delete", qualifier="LATEST")
    assert api.get("job-1").status_code == api.stop("job-1").status_code == api.page().status_code == 404
    assert len(emulator.journal()) == number
    emulator.reset()
    assert api.page().status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("where", "found"), [("alias", True), ("version", False)])
def test_an_alias_may_be_repointed(version: str, where: str, found: bool) -> None:
    """Its tasks stay under it, or are found under the version in which they run only."""
    flags = ("--alias-tasks", where, "--record-qualifier", "version")
    with running_emulator(*flags, seed=A_SHIFT) as emulator:
        api = Api(Caller(emulator.endpoint), version)
        old = api.get("job-1").json()["qualifier"]
        changed(emulator, api, "repoint", version="7")
        api.invoke({"x-fc-invocation-type": "Async", api.id_header: "new-1"})
        assert api.get("new-1").json()["qualifier"] == "7"
        assert (api.get("job-1").status_code == 200, "job-1" in api.ids()) == (found, found)
        there = api if found else Api(api.call, version, qualifier=old)
        assert there.get("job-1").json()["qualifier"] == old
        assert "job-1" in there.ids()
        assert there.stop("job-1").status_code == 200


def test_a_change_may_be_made_right_before_a_call(emulator: Emulator, call: Caller) -> None:
    """As a part of a fault, so that a test need not hit the moment."""
    api = Api(call, V2016)
    place = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}
    change = {"change": "finish", **place, "invocationId": "job-1"}
    emulator.faults([{"operation": "StopStatefulAsyncInvocation", "change": change}])
    assert api.get("job-1").json()["status"] == "Running"
    assert api.stop("job-1").status_code == 412


@pytest.mark.parametrize(
    "wrong",
    [
        {"change": "explode", "functionName": "f"},
        {"change": "finish"},
        {"change": "repoint", "functionName": "f", "qualifier": "prod"},
        {"change": "repoint", "functionName": "f", "qualifier": "prod", "version": "canary"},
    ],
)
def test_a_wrong_change_is_refused(emulator: Emulator, wrong: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        emulator.admin("POST", "changes", wrong)
    with refused.value as answer:
        assert answer.code == 400
