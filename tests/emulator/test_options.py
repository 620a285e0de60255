"""Undocumented behaviour of the platform is a switch; each switch does what it says."""

from __future__ import annotations

import json
import time

import pytest

from tests.emulator.seeds import A_SHIFT, both, seed
from tests.emulator.wire import V2021, V2023, VERSIONS, Api, Caller
from tests.emulator_server import Emulator, running_emulator

DAY = 86_400_000


def _apis(emulator: Emulator) -> list[Api]:
    return [Api(Caller(emulator.endpoint), version) for version in VERSIONS]


def test_started_time_may_be_when_the_present_attempt_began() -> None:
    """0 while a task never ran; lists are ordered by the same time."""
    with running_emulator("--started-time", "execution", seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            records = {task[api.id_key]: task for task in api.page(limit=100).json()[api.tasks_key]}
            for task in ("queued-1", "taken-1"):
                assert records[task]["startedTime"] == 0
            for task in ("job-1", "again-1"):
                runs = [e["timestamp"] for e in records[task]["events"] if e["status"] == "Running"]
                assert records[task]["startedTime"] == runs[-1]
            assert api.ids(sortOrderByTime="asc")[:2] == ["queued-1", "taken-1"]


def test_a_task_moves_in_the_list_when_it_begins_to_run() -> None:
    waiting = both(invocationId="waits", status="Enqueued", enqueued="-9h", started="+1h")
    entries = seed(waiting, both(invocationId="runs", enqueued="-3h"))
    with running_emulator("--started-time", "execution", seed=entries) as emulator:
        apis = _apis(emulator)
        assert {tuple(api.ids()) for api in apis} == {("runs", "waits")}
        emulator.advance("1h")
        assert {tuple(api.ids()) for api in apis} == {("waits", "runs")}


@pytest.mark.parametrize(
    ("where", "in_list", "in_get"), [("list", True, True), ("get", False, True), ("no", False, False)]
)
def test_events_are_where_the_switch_says(where: str, in_list: bool, in_get: bool) -> None:
    """The admin API shows them always."""
    with running_emulator("--events", where, seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            assert all(("events" in task) == in_list for task in api.page().json()[api.tasks_key])
            assert ("events" in api.get("job-1").json()) == in_get
        assert all(task["events"] for task in emulator.tasks())


def test_a_record_may_name_the_version_behind_an_alias() -> None:
    """The alias still finds the task; LATEST and versions are shown as they are."""
    entries = seed(
        both(invocationId="a"),
        both(invocationId="b", qualifier="LATEST"),
        both(invocationId="c", qualifier="7"),
    )
    with running_emulator("--record-qualifier", "version", seed=entries) as emulator:
        for api in _apis(emulator):
            shown = api.get("a").json()["qualifier"]
            assert shown.isdecimal()
            assert api.page().json()[api.tasks_key][0]["qualifier"] == shown
            for qualifier, task in (("LATEST", "b"), ("7", "c")):
                other = Api(api.call, api.version, qualifier=qualifier)
                assert other.get(task).json()["qualifier"] == qualifier


def test_stopping_may_last_for_ever() -> None:
    with running_emulator("--stopping", "never", seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            api.stop("job-1")
            emulator.advance("30d")
            assert api.get("job-1").json()["status"] == "Stopping"


@pytest.mark.parametrize(("lasting", "before"), [("10m", "9m59s"), ("0s", None)])
def test_stopping_lasts_as_long_as_configured(lasting: str, before: str | None) -> None:
    with running_emulator("--stopping", lasting, seed=A_SHIFT) as emulator:
        api = _apis(emulator)[0]
        api.stop("job-1")
        if before is not None:
            emulator.advance(before)
            assert api.get("job-1").json()["status"] == "Stopping"
            emulator.advance("1s")
        assert api.get("job-1").json()["status"] == "Stopped"


def test_stopping_a_finished_task_may_be_an_invalid_argument() -> None:
    with running_emulator("--stop-finished", "400", seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            answer = api.stop("done-1")
            assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


def test_stopping_a_stopping_task_may_be_refused() -> None:
    with running_emulator("--stop-stopping", "412", seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            answer = api.stop("stopping-1")
            assert answer.status_code == 412
            assert api.code(answer) == api.named("StatefulAsyncInvocationAlreadyCompleted")


def test_a_stop_may_be_answered_without_content() -> None:
    with running_emulator("--stop-answer", "204", seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            for _ in range(2):
                answer = api.stop("job-1")
                assert (answer.status_code, answer.content) == (204, b"")
            assert api.get("job-1").json()["status"] == "Stopping"


def test_the_resource_names_of_3_0_may_have_a_slash_before_functions() -> None:
    for spelling, separator in (("colon", ":"), ("slash", "/")):
        with running_emulator("--arn", spelling, "--account-id", "1234", seed=A_SHIFT) as emulator:
            api = Api(Caller(emulator.endpoint), V2023)
            name = f"acs:fc:cn-hangzhou:1234{separator}functions/transcode"
            assert api.get("job-1").json()["functionArn"] == name
            configs = api.call("GET", f"/{V2023}/async-invoke-configs").json()["configs"]
            assert [config["functionArn"] for config in configs] == [f"{name}/LATEST", f"{name}/prod"]


def test_an_empty_list_may_lack_its_key() -> None:
    """Lists of functions too; a list that is not empty has it."""
    functions = {V2021: "stateful-async-invocation-functions", V2023: "async-invoke-configs"}
    with running_emulator("--empty-list", "omitted", seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            assert api.page(startedTimeEnd=1).json() == {}
            assert len(api.ids()) == 10
    with running_emulator("--empty-list", "omitted") as emulator:
        for version, path in functions.items():
            assert Caller(emulator.endpoint)("GET", f"/{version}/{path}").json() == {}


def test_the_details_of_an_event_may_hold_what_a_function_printed() -> None:
    """Its payload, for instance; details that were seeded stay."""
    own = [{"status": "Enqueued"}, {"status": "Running", "eventDetail": "mine"}, {"status": "Running"}]
    entries = seed(both(invocationId="a", events=own, payload={"secret": 7}))
    with running_emulator("--event-detail", "log-tail", seed=entries) as emulator:
        for api in _apis(emulator):
            details = [event["eventDetail"] for event in api.get("a").json()["events"]]
            assert details[:2] == ["", "mine"]
            assert '{"secret": 7}' in json.loads(details[2])["logTail"]


def test_a_list_may_lag() -> None:
    """A list shows a stop, and a new task, only after the lag; get shows them at once."""
    with running_emulator("--list-lag", "1m", seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            emulator.reset()
            api.stop("job-1")
            api.invoke({"x-fc-invocation-type": "Async", api.id_header: "new-1"})
            listed = {task[api.id_key]: task["status"] for task in api.page().json()[api.tasks_key]}
            assert (listed["job-1"], "new-1" in listed) == ("Running", False)
            assert "job-1" not in api.ids(status="Stopping")
            assert api.get("job-1").json()["status"] == "Stopping"
            assert api.get("new-1").status_code == 200
            emulator.advance("1m2s")
            listed = {task[api.id_key]: task["status"] for task in api.page().json()[api.tasks_key]}
            assert (listed["job-1"], listed["new-1"]) == ("Stopped", "Running")


def test_more_calls_than_the_rate_are_refused_with_429() -> None:
    with running_emulator("--rate", "2/s", seed=A_SHIFT) as emulator:
        api = _apis(emulator)[0]
        answers = [api.page() for _ in range(20)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert {api.code(answer) for answer in refused} == {"ResourceExhausted"}
        assert answers[0].status_code == 200
        assert emulator.calls()["counts"] == {"ListStatefulAsyncInvocations": 20}


def test_latency_is_added_to_every_call() -> None:
    with running_emulator("--latency", "120ms", seed=A_SHIFT) as emulator:
        for api in _apis(emulator):
            began = time.monotonic()
            api.page()
            api.get("missing")
            assert time.monotonic() - began >= 0.24


def test_the_same_name_with_and_without_a_service_is_two_functions(emulator: Emulator) -> None:
    two, three = (Api(Caller(emulator.endpoint), version) for version in (V2021, V2023))
    two.stop("job-1")
    assert two.get("job-1").json()["status"] == "Stopping"
    assert three.get("job-1").json()["status"] == "Running"
