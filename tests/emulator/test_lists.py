"""Paging, order and filters of a list."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.emulator.seeds import Entry, both, seed
from tests.emulator.wire import V2016, V2021, V2023, Api, Caller
from tests.emulator_server import Emulator, running_emulator


def _all_pages(api: Api, **query: str | int) -> list[list[str]]:
    pages, token = [], ""
    while True:
        answer = api.page(**query, **({"nextToken": token} if token else {})).json()
        pages.append([task[api.id_key] for task in answer[api.tasks_key]])
        if "nextToken" not in answer:
            return pages
        token = answer["nextToken"]


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
def test_pages_hold_every_task_once_and_end_without_a_token(api: Api, limit: int) -> None:
    pages = _all_pages(api, limit=limit)
    assert all(len(page) == limit for page in pages[:-1])
    assert sorted(chain.from_iterable(pages)) == sorted(api.ids(limit=100))


def test_the_newest_come_first_by_default(api: Api) -> None:
    newest, oldest = api.ids(), api.ids(sortOrderByTime="asc")
    assert newest == api.ids(sortOrderByTime="desc")
    assert newest == oldest[::-1]
    assert oldest[:2] == ["again-1", "queued-1"]


def test_twenty_tasks_come_when_no_limit_is_given(call: Caller) -> None:
    with running_emulator(seed=seed(both(invocationId="job-{n}", count=30))) as emulator:
        for version in (V2016, V2021, V2023):
            assert len(Api(Caller(emulator.endpoint), version).ids()) == 20


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", "٣"])
def test_a_limit_outside_1_to_100_is_refused(api: Api, limit: str) -> None:
    answer = api.page(limit=limit)
    assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "query",
    [
        {"status": "running"},
        {"status": "Running,Enqueued"},
        {"sortOrderByTime": "up"},
        {"includePayload": "yes"},
        {"startedTimeBegin": "yesterday"},
        {"startedTimeEnd": "-1"},
        {"nextToken": "x"},
        {"nextToken": "bm8="},
    ],
)
def test_a_wrong_parameter_is_refused(api: Api, query: dict[str, str]) -> None:
    answer = api.page(**query)
    assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


def test_a_parameter_given_twice_is_refused(call: Caller) -> None:
    path = Api(call, V2016).tasks_path
    answer = call.send("GET", f"{path}?status=Running&status=Enqueued", None, b"", call.fc("GET", path))
    assert (answer.status_code, answer.json()["ErrorCode"]) == (400, "InvalidArgument")


@pytest.mark.parametrize("status", ["Enqueued", "Running", "Retrying", "Stopping", "Succeeded"])
def test_a_status_filter_leaves_only_that_status(api: Api, status: str) -> None:
    found = api.page(status=status).json()[api.tasks_key]
    assert found
    assert {task["status"] for task in found} == {status}


def test_a_status_without_tasks_gives_an_empty_list(api: Api) -> None:
    assert api.page(status="Expired").json() == {api.tasks_key: []}


def test_2021_04_06_has_no_filter_for_dequeued(api: Api) -> None:
    """Its documented enumeration lacks the name, though records carry it."""
    answer = api.page(status="Dequeued")
    if api.version == V2021:
        assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")
    else:
        assert [task[api.id_key] for task in answer.json()[api.tasks_key]] == ["taken-1"]
    assert api.get("taken-1").json()["status"] == "Dequeued"


def test_a_prefix_of_ids_narrows_a_list(api: Api) -> None:
    key = "prefix" if api.version == V2023 else "invocationIdPrefix"
    assert sorted(api.ids(**{key: "job-"})) == [f"job-{n}" for n in range(1, 6)]


def test_the_window_on_started_time_includes_both_ends(api: Api) -> None:
    at = api.get("job-1").json()["startedTime"]
    jobs = [f"job-{n}" for n in range(1, 6)]
    assert sorted(api.ids(startedTimeBegin=at, startedTimeEnd=at)) == jobs
    assert sorted(api.ids(startedTimeEnd=at - 1)) == ["again-1", "queued-1"]
    assert not set(api.ids(startedTimeBegin=at + 1)) & set(jobs)


def test_a_window_moves_with_the_clock(emulator: Emulator, api: Api) -> None:
    """Tasks are an hour older after an hour, in records and in the window alike."""
    before = api.get("job-1").json()["startedTime"]
    emulator.advance("1h")
    after = api.get("job-1").json()["startedTime"]
    assert after == before - 3_600_000
    assert "job-1" in api.ids(startedTimeBegin=after, startedTimeEnd=after)
    assert "job-1" not in api.ids(startedTimeBegin=before, startedTimeEnd=before)


def test_a_token_is_valid_for_its_own_query_only(api: Api) -> None:
    token = api.page(limit=2).json()["nextToken"]
    assert api.page(limit=3, nextToken=token, includePayload="true").status_code == 200
    for changed in ({"status": "Running"}, {"sortOrderByTime": "asc"}):
        answer = api.page(nextToken=token, **changed)
        assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


def test_tasks_that_end_or_start_between_pages_move_no_others(emulator: Emulator, api: Api) -> None:
    """No other task is skipped or shown twice."""
    first = api.page(limit=4).json()
    api.stop("job-1")
    api.invoke({"x-fc-invocation-type": "Async", api.id_header: "late-1"})
    emulator.advance("1h")
    rest = api.page(limit=100, nextToken=first["nextToken"]).json()
    shown = [task[api.id_key] for task in first[api.tasks_key] + rest[api.tasks_key]]
    assert sorted(shown) == sorted(set(api.ids(limit=100)) - {"late-1"})


@pytest.mark.parametrize("version", [V2016, V2021])
def test_functions_in_task_mode_are_listed_page_by_page(version: str) -> None:
    """Every seeded function and qualifier of 2.0, except those that are not in task mode."""
    functions: list[Entry] = [
        {"serviceName": "a", "functionName": "quiet", "qualifier": "v1"},
        {"serviceName": "a", "functionName": "plain", "taskMode": False},
    ]
    with running_emulator(seed=seed(both(invocationId="job"), functions=functions)) as emulator:
        call, path = Caller(emulator.endpoint), f"/{version}/stateful-async-invocation-functions"
        first = call("GET", path, {"limit": 1}).json()
        assert first["data"] == [{"serviceName": "a", "functionName": "quiet", "qualifier": "v1"}]
        second = call("GET", path, {"limit": 1, "nextToken": first["nextToken"]}).json()
        assert second == {
            "data": [{"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}]
        }
        assert call("GET", path, {"limit": 101}).status_code == 400
        assert call("GET", path, {"nextToken": "?"}).status_code == 400


def test_functions_of_3_0_are_found_by_their_configurations() -> None:
    functions: list[Entry] = [
        {"functionName": "plain", "taskMode": False},
        {"functionName": "resize", "qualifier": "v1"},
    ]
    with running_emulator(seed=seed(both(invocationId="job"), functions=functions)) as emulator:
        call, path = Caller(emulator.endpoint), f"/{V2023}/async-invoke-configs"
        first = call("GET", path, {"limit": 1}).json()
        second = call("GET", path, {"limit": 1, "nextToken": first["nextToken"]}).json()
        configs = first["configs"] + second["configs"]
        arn = "acs:fc:cn-hangzhou:123456789:functions"
        assert [c["functionArn"] for c in configs] == [f"{arn}/resize/v1", f"{arn}/transcode/prod"]
        assert [c["asyncTask"] for c in configs] == [True, True]
        assert "nextToken" not in second
        only = call("GET", path, {"functionName": "resize"}).json()["configs"]
        assert [c["functionArn"] for c in only] == [f"{arn}/resize/v1"]
        assert call("GET", path, {"functionName": "missing"}).json()["Code"] == "FunctionNotFound"
