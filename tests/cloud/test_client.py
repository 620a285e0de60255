"""The operations, in all three API versions, against the emulator over HTTP."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fc2
import pytest

from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.cloud import AsyncTaskClient, ReadOnlyClient
from fc_reaper.cloud.client import caller_identity
from fc_reaper.errors import CloudError, InvalidName, SettingsError
from fc_reaper.models import Credentials, Function, Query, Task
from tests.cloud.clients import RESIZE, SECRET, TRANSCODE, FastClock, ours
from tests.cloud.loopback import answering, hang_up, http
from tests.emulator_server import Emulator, running_emulator

RUNNING = {"status": "Running", "enqueued": "-3h", "started": "-2h30m"}
SEED = {
    "invocations": [
        {"serviceName": "media", "functionName": "transcode", "qualifier": "prod", "invocationId": "job-{n}",
         "count": 250, **RUNNING},
        {"serviceName": "media", "functionName": "transcode", "qualifier": "prod", "invocationId": "young-1",
         "status": "Running", "enqueued": "-3m", "started": "-2m"},
        {"serviceName": "media", "functionName": "transcode", "qualifier": "prod", "invocationId": "done-1",
         "status": "Succeeded", "enqueued": "-9h", "started": "-9h", "ends": "-8h"},
        {"functionName": "resize", "qualifier": "LATEST", "invocationId": "job-{n}", "count": 250, **RUNNING},
        {"functionName": "resize", "qualifier": "LATEST", "invocationId": "young-1",
         "status": "Running", "enqueued": "-3m", "started": "-2m"},
        {"functionName": "resize", "qualifier": "LATEST", "invocationId": "done-1",
         "status": "Succeeded", "enqueued": "-9h", "started": "-9h", "ends": "-8h"},
    ]
}  # fmt: skip

API_VERSIONS = [
    pytest.param("2021-04-06", TRANSCODE, id="2021-04-06"),
    pytest.param("2016-08-15", TRANSCODE, id="2016-08-15"),
    pytest.param("2021-04-06", RESIZE, id="2023-03-30"),
]
in_all_versions = pytest.mark.parametrize(("version", "function"), API_VERSIONS)


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with running_emulator(seed=SEED) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    """The emulator as it was seeded."""
    running.reset()
    return running


def names(function: Function, two: str, three: str) -> str:
    """What an operation is called for this function."""
    return three if function.service is None else two


def every_task(client: AsyncTaskClient, function: Function, **filters: Any) -> list[Task]:
    tasks: list[Task] = []
    token = None
    while True:
        page = client.list_page(Query(function, **filters), token)
        tasks += page.tasks
        token = page.token
        if token is None:
            return tasks


@in_all_versions
def test_a_listing_is_read_page_by_page_the_oldest_first(
    emulator: Emulator, version: str, function: Function
) -> None:
    """Every task once, over three pages."""
    with ours(emulator.endpoint, api_version=version) as client:
        tasks = every_task(client, function)
    times = [task.started_at or 0 for task in tasks]
    assert (len(tasks), len({task.invocation_id for task in tasks})) == (252, 252)
    assert times == sorted(times)
    operation = names(function, "ListStatefulAsyncInvocations", "ListAsyncTasks")
    assert emulator.calls()["counts"] == {operation: 3}


@in_all_versions
def test_filters_are_the_clouds_own(emulator: Emulator, version: str, function: Function) -> None:
    """Status, earliest and latest start and beginning of the id are pushed down."""
    with ours(emulator.endpoint, api_version=version) as client:
        done = every_task(client, function, status="Succeeded")
        tens = every_task(client, function, id_prefix="job-10")
        young = client.get(function, "young-1").task.started_at
        assert young is not None
        old = every_task(client, function, status="Running", started_before=young - 1)
        new = every_task(client, function, status="Running", started_after=young - 1)
    assert [task.invocation_id for task in done] == ["done-1"]
    assert len(tens) == 11
    assert len(old) == 250
    assert [task.invocation_id for task in new] == ["young-1"]


@in_all_versions
def test_a_task_is_read_by_itself(emulator: Emulator, version: str, function: Function) -> None:
    """With its dated events, and the moment that this is true for."""
    with ours(emulator.endpoint, api_version=version) as client:
        task, moment = client.get(function, "job-7")
    assert (task.function, task.invocation_id, task.status, task.inconsistency) == (
        function,
        "job-7",
        "Running",
        None,
    )
    assert [event.status for event in task.events] == ["Enqueued", "Dequeued", "Running"]
    assert task.events[-1].at <= moment.earliest


@in_all_versions
def test_a_stop_is_accepted_once(emulator: Emulator, version: str, function: Function) -> None:
    """The task goes through Stopping; the moment is that of the answer."""
    with ours(emulator.endpoint, api_version=version) as client:
        moment = client.stop(function, "job-7")
        assert client.get(function, "job-7").task.status in ("Stopping", "Stopped")
    assert moment.earliest > 0
    stops = [entry for entry in emulator.journal() if entry["cause"] == "stop"]
    assert [entry["invocationId"] for entry in stops] == ["job-7"]


@in_all_versions
def test_a_stop_that_is_refused_says_why(emulator: Emulator, version: str, function: Function) -> None:
    """It finished in the meantime."""
    with ours(emulator.endpoint, api_version=version) as client, pytest.raises(CloudError) as caught:
        client.stop(function, "done-1")
    code = names(function, "StatefulAsyncInvocationAlreadyCompleted", "AsyncTaskAlreadyCompleted")
    assert (caught.value.http_status, caught.value.error_code) == (412, code)
    assert caught.value.fc_request_id


@in_all_versions
def test_the_qualifier_is_sent_as_it_was_received(
    emulator: Emulator, version: str, function: Function
) -> None:
    """With every read and with every stop, where the API version wants it."""
    other = function._replace(qualifier="canary-2")
    with ours(emulator.endpoint, api_version=version) as client:
        for call in (client.get, client.stop):
            with pytest.raises(CloudError) as caught:
                call(other, "job-7")
            assert caught.value.http_status == 404
        with pytest.raises(CloudError):
            client.list_page(Query(other))
    for call in emulator.calls()["recent"]:
        assert "canary-2" in (call["path"] if version == "2016-08-15" else call["query"])


@in_all_versions
def test_an_unknown_task_is_a_404(emulator: Emulator, version: str, function: Function) -> None:
    """Not there, or not visible yet."""
    with ours(emulator.endpoint, api_version=version) as client, pytest.raises(CloudError) as caught:
        client.get(function, "nobody")
    code = names(function, "StatefulAsyncInvocationNotFound", "AsyncTaskNotFound")
    assert (caught.value.http_status, caught.value.error_code) == (404, code)


@in_all_versions
def test_functions_in_task_mode_are_listed(emulator: Emulator, version: str, function: Function) -> None:
    """Each generation by itself."""
    with ours(emulator.endpoint, api_version=version) as client:
        page = client.functions_page(services=function.service is not None)
    assert page == ([function], None)


@in_all_versions
def test_a_task_is_submitted_under_its_id(emulator: Emulator, version: str, function: Function) -> None:
    """The request id is the task's; a second of the same id is refused."""
    with ours(emulator.endpoint, api_version=version) as client:
        request_id = client.invoke_async(function, b'{"a": 1}', invocation_id="mine-1")
        with pytest.raises(CloudError) as caught:
            client.invoke_async(function, b"", invocation_id="mine-1")
    (task,) = [task for task in emulator.tasks() if task["invocationId"] == "mine-1"]
    assert (task["requestId"], caught.value.http_status) == (request_id, 409)


@pytest.mark.parametrize("invocation_id", [None, "mine-1"])
def test_a_submission_is_sent_once(invocation_id: str | None) -> None:
    """Without an id nobody could tell a second task from the first."""
    with answering(hang_up) as server, ours(server.endpoint) as client:
        with pytest.raises(CloudError):
            client.invoke_async(TRANSCODE, b"", invocation_id=invocation_id)
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", [200, 204])
def test_only_a_202_is_an_accepted_submission(status: int) -> None:
    """A 200 would mean that the function ran while we waited."""
    with answering(http(status)) as server, ours(server.endpoint) as client:
        with pytest.raises(CloudError, match="UnreadableAnswer"):
            client.invoke_async(TRANSCODE, b"", invocation_id="mine-1")
        assert len(server.seen) == 1


@in_all_versions
def test_wrong_keys_are_refused_at_once(emulator: Emulator, version: str, function: Function) -> None:
    """A retry would not help."""
    keys = {"access_key_secret": f"not-{SECRET}"}
    with ours(emulator.endpoint, api_version=version, **keys) as client, pytest.raises(fc2.FcError) as caught:
        client.get(function, "job-7")
    assert (caught.value.status_code, caught.value.err_code) == (403, "SignatureNotMatch")
    assert sum(emulator.calls()["counts"].values()) == 1


@in_all_versions
def test_temporary_keys_are_signed(version: str, function: Function) -> None:
    """Their token travels and is part of what is signed."""
    with running_emulator("--security-token", "token/+=", seed=SEED) as emulator:
        with ours(emulator.endpoint, "token/+=", api_version=version) as client:
            assert client.get(function, "job-7").task.status == "Running"
        with ours(emulator.endpoint, api_version=version) as client, pytest.raises(CloudError) as caught:
            client.get(function, "job-7")
        assert caught.value.http_status == 403


@in_all_versions
def test_account_and_trace_id_travel_along(emulator: Emulator, version: str, function: Function) -> None:
    """So that a call can be found again on the platform's side."""
    settings = {"api_version": version, "account_id": "123456789", "trace_id": "run-1"}
    with ours(emulator.endpoint, **settings) as client:
        client.list_page(Query(function))
        client.stop(function, "job-7")
    for call in emulator.calls()["recent"]:
        assert (call["accountId"], call["traceId"]) == ("123456789", "run-1")


@in_all_versions
def test_every_attempt_is_limited_and_counted(emulator: Emulator, version: str, function: Function) -> None:
    """Also those that are retried: one rate holds for all calls."""
    emulator.faults([{"operation": "*", "status": 503, "code": "ResourceThrottled", "times": 2}])
    turns: list[Any] = []
    with ours(emulator.endpoint, api_version=version, rate_limiter=turns.append) as client:
        client.get(function, "job-7")
    operation = names(function, "GetStatefulAsyncInvocation", "GetAsyncTask")
    assert turns == [None] * 3
    assert emulator.calls()["counts"] == client.calls == {operation: 3}


@in_all_versions
def test_a_stop_follows_its_reading_at_once(emulator: Emulator, version: str, function: Function) -> None:
    """Its turn is waited for before the reading, also where that is sent again: later it would be old."""
    emulator.faults([{"operation": "*", "status": 503, "code": "ResourceThrottled", "times": 2}])
    turns: list[Any] = []
    with ours(emulator.endpoint, api_version=version, rate_limiter=turns.append) as client:
        client.get(function, "job-7", turns=2)
        assert len(turns) == 4
        client.stop(function, "job-7")
    assert len(turns) == 4


@in_all_versions
def test_a_stop_is_never_retried(emulator: Emulator, version: str, function: Function) -> None:
    """The task is read before a second request."""
    emulator.faults(
        [{"operation": "*", "status": 503, "code": "ResourceThrottled", "retryAfter": 1, "times": 1}]
    )
    with ours(emulator.endpoint, api_version=version) as client, pytest.raises(CloudError) as caught:
        client.stop(function, "job-7")
    assert (caught.value.retryable, caught.value.retry_after) == (True, 1)
    assert sum(emulator.calls()["counts"].values()) == 1


def test_the_moment_is_the_servers_when_it_is_earlier(emulator: Emulator) -> None:
    """The difference of the clocks is kept, the largest one seen."""
    clock = FastClock().clock()
    with ours(emulator.endpoint, clock=clock) as client:
        client.get(TRANSCODE, "job-7")
        assert client.skew_ms < 2000
        emulator.faults([{"operation": "*", "date": "-1h", "times": 1}])
        moment = client.get(TRANSCODE, "job-7").moment.earliest
        client.get(TRANSCODE, "job-7")
        assert 3_590_000 < client.skew_ms < 3_601_000
    assert 3_590_000 < clock.now() - moment < 3_611_000


@pytest.mark.parametrize("version", ["2021-04-06", "2016-08-15", "2023-03-30"])
def test_the_version_goes_with_the_function(emulator: Emulator, version: str) -> None:
    """A function without a service is asked in 2023-03-30, whatever is set for the others."""
    with ours(emulator.endpoint, api_version=version) as client:
        client.get(RESIZE, "job-7")
        if version == "2023-03-30":
            with pytest.raises(SettingsError, match="has no services"):
                client.get(TRANSCODE, "job-7")
            with pytest.raises(SettingsError, match="has no services"):
                client.functions_page(services=True)
    assert [call["path"].split("/")[1] for call in emulator.calls()["recent"]] == ["2023-03-30"]


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a?b", "job-1\n", "x" * 129])
def test_an_impossible_name_is_not_sent(emulator: Emulator, bad: str) -> None:
    """Neither in the path nor in the query."""
    places = [
        TRANSCODE._replace(service=bad),
        TRANSCODE._replace(name=bad),
        TRANSCODE._replace(qualifier=bad),
    ]
    with ours(emulator.endpoint) as client:
        for call in (client.get, client.stop):
            for place in places:
                with pytest.raises(InvalidName):
                    call(place, "job-7")
            with pytest.raises(InvalidName):
                call(TRANSCODE, bad)
        with pytest.raises(InvalidName):
            client.invoke_async(TRANSCODE, b"", invocation_id=bad)
        with pytest.raises(InvalidName):
            client.list_page(Query(TRANSCODE, id_prefix=bad or "*"))
    assert emulator.calls()["counts"] == {}


@in_all_versions
def test_many_threads_share_a_client(emulator: Emulator, version: str, function: Function) -> None:
    """Each gets its own answer, over no more connections than threads."""
    ids = [f"job-{n}" for n in range(1, 201)]
    with ours(emulator.endpoint, api_version=version) as client, ThreadPoolExecutor(8) as threads:
        tasks = [snapshot.task for snapshot in threads.map(lambda i: client.get(function, i), ids)]
    assert [task.invocation_id for task in tasks] == ids
    assert all(task.inconsistency is None for task in tasks)


def test_threads_keep_their_connections() -> None:
    """Eight threads, eight connections at most, however many calls."""
    together = threading.Barrier(8)
    answer = http(200, {"invocationId": "job-1", "status": "Running"})

    def calls(_number: int) -> None:
        together.wait()
        for _ in range(10):
            client.get(TRANSCODE, "job-1")

    with answering(answer) as server, ours(server.endpoint) as client, ThreadPoolExecutor(8) as threads:
        list(threads.map(calls, range(8)))
        assert len(server.seen) == 80
        assert len({seen.port for seen in server.seen}) <= 8


@pytest.mark.parametrize(("payload", "limit"), [(False, "100"), (True, "25")])
def test_a_page_with_payloads_is_small(emulator: Emulator, payload: bool, limit: str) -> None:
    """A payload has up to 128 KB, and many pages are in flight at the same time."""
    with ours(emulator.endpoint) as client:
        client.list_page(Query(TRANSCODE, payload=payload))
    assert f"limit={limit}&" in f"{emulator.calls()['recent'][-1]['query']}&"


@in_all_versions
def test_a_client_that_only_reads_sends_no_change(
    emulator: Emulator, version: str, function: Function
) -> None:
    """A stop and an invocation raise, and the emulator sees neither."""
    client = ReadOnlyClient(emulator.endpoint, Credentials("emulator", SECRET, ""), api_version=version)
    with contextlib.closing(client):
        assert client.get(function, "young-1").task.status == "Running"
        for change in (lambda: client.stop(function, "young-1"), lambda: client.invoke_async(function, b"")):
            with pytest.raises(CloudError, match="this client only reads"):
                change()
    get = names(function, "GetStatefulAsyncInvocation", "GetAsyncTask")
    assert client.calls == emulator.calls()["counts"] == {get: 1}


def test_the_caller_is_identified_by_sts(emulator: Emulator) -> None:
    """A user by its keys, a role by its token; on loopback the emulator is asked."""

    def whose(at: str, token: str = "", secret: str = SECRET) -> tuple[str, str]:
        return caller_identity(at, Credentials("emulator", secret, token), SYSTEM_CLOCK, 9)

    assert whose(emulator.endpoint) == ("123456789", "RAMUser acs:ram::123456789:user/emulator")
    with running_emulator("--security-token", "a-token", "--account-id", "42") as other:
        role = "AssumedRoleUser acs:sts::42:assumed-role/emulator/session"
        assert whose(other.endpoint, "a-token") == ("42", role)
        with pytest.raises(CloudError):
            whose(other.endpoint, "wrong")
        with pytest.raises(CloudError, match="SignatureNotMatch"):
            whose(other.endpoint, "a-token", "wrong")


def test_an_answer_that_names_no_account_is_not_understood() -> None:
    """Nor one whose account is no number."""
    for body in (b"{}", b'{"AccountId": 7}', b'{"AccountId": "seven"}', b"[]"):
        refused = pytest.raises(CloudError, match="names no account")
        with answering(http(200, body)) as server, refused:
            caller_identity(server.endpoint, Credentials("emulator", SECRET, ""), SYSTEM_CLOCK, 9)


def test_an_identity_without_kind_and_arn_is_an_account_alone() -> None:
    """What is absent is not called None."""
    with answering(http(200, {"AccountId": "42"})) as server:
        found = caller_identity(server.endpoint, Credentials("emulator", SECRET, ""), SYSTEM_CLOCK, 9)
    assert found == ("42", "")
