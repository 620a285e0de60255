"""Paging, order and filters of a list."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.emulator.seeds import Entry, both, seed
from tests.emulator.wire import CLASSIC, OPEN, THREE, Caller, Door
from tests.emulator_process import EmulatorProcess, running_emulator


def _all_pages(door: Door, **query: str | int) -> list[list[str]]:
    pages, token = [], ""
    while True:
        answer = door.page(**query, **({"nextToken": token} if token else {})).json()
        pages.append([task[door.id_key] for task in answer[door.tasks_key]])
        if "nextToken" not in answer:
            return pages
        token = answer["nextToken"]


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
def test_pages_hold_every_task_once_and_end_without_a_token(door: Door, limit: int) -> None:
    pages = _all_pages(door, limit=limit)
    assert all(len(page) == limit for page in pages[:-1])
    assert sorted(chain.from_iterable(pages)) == sorted(door.ids(limit=100))


def test_the_newest_come_first_unless_asked_otherwise(door: Door) -> None:
    newest, oldest = door.ids(), door.ids(sortOrderByTime="asc")
    assert newest == door.ids(sortOrderByTime="desc")
    assert newest == oldest[::-1]
    assert oldest[:2] == ["again-1", "queued-1"]


def test_twenty_tasks_come_when_no_limit_is_given(call: Caller) -> None:
    with running_emulator(seed=seed(both(invocationId="job-{n}", count=30))) as emulator:
        for version in (CLASSIC, OPEN, THREE):
            assert len(Door(Caller(emulator.endpoint), version).ids()) == 20


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", "٣"])
def test_a_limit_outside_1_to_100_is_refused(door: Door, limit: str) -> None:
    answer = door.page(limit=limit)
    assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")


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
def test_a_wrong_parameter_is_refused(door: Door, query: dict[str, str]) -> None:
    answer = door.page(**query)
    assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")


def test_a_parameter_given_twice_is_refused(call: Caller) -> None:
    """One status per call; whoever sends two is told so."""
    path = Door(call, CLASSIC).tasks_path
    answer = call.send("GET", f"{path}?status=Running&status=Enqueued", None, b"", call.fc("GET", path))
    assert (answer.status_code, answer.json()["ErrorCode"]) == (400, "InvalidArgument")


@pytest.mark.parametrize("status", ["Enqueued", "Running", "Retrying", "Stopping", "Succeeded"])
def test_a_status_filter_leaves_only_that_status(door: Door, status: str) -> None:
    found = door.page(status=status).json()[door.tasks_key]
    assert found
    assert {task["status"] for task in found} == {status}


def test_a_status_that_nobody_has_gives_an_empty_list(door: Door) -> None:
    assert door.page(status="Expired").json() == {door.tasks_key: []}


def test_dequeued_is_no_status_to_filter_by_in_2021_04_06(door: Door) -> None:
    """Its enumeration lacks the name, though its records carry it."""
    answer = door.page(status="Dequeued")
    if door.version == OPEN:
        assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")
    else:
        assert [task[door.id_key] for task in answer.json()[door.tasks_key]] == ["taken-1"]
    assert door.get("taken-1").json()["status"] == "Dequeued"


def test_a_prefix_of_ids_narrows_a_list(door: Door) -> None:
    key = "prefix" if door.version == THREE else "invocationIdPrefix"
    assert sorted(door.ids(**{key: "job-"})) == [f"job-{n}" for n in range(1, 6)]


def test_both_ends_of_the_window_on_started_time_belong_to_it(door: Door) -> None:
    at = door.get("job-1").json()["startedTime"]
    jobs = [f"job-{n}" for n in range(1, 6)]
    assert sorted(door.ids(startedTimeBegin=at, startedTimeEnd=at)) == jobs
    assert sorted(door.ids(startedTimeEnd=at - 1)) == ["again-1", "queued-1"]
    assert not set(door.ids(startedTimeBegin=at + 1)) & set(jobs)


def test_a_window_moves_with_the_clock(emulator: EmulatorProcess, door: Door) -> None:
    """After an hour was skipped, tasks are an hour older, in records and in the window alike."""
    before = door.get("job-1").json()["startedTime"]
    emulator.advance("1h")
    after = door.get("job-1").json()["startedTime"]
    assert after == before - 3_600_000
    assert "job-1" in door.ids(startedTimeBegin=after, startedTimeEnd=after)
    assert "job-1" not in door.ids(startedTimeBegin=before, startedTimeEnd=before)


def test_a_token_is_good_for_its_own_question_only(door: Door) -> None:
    token = door.page(limit=2).json()["nextToken"]
    assert door.page(limit=3, nextToken=token, includePayload="true").status_code == 200
    for changed in ({"status": "Running"}, {"sortOrderByTime": "asc"}):
        answer = door.page(nextToken=token, **changed)
        assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")


def test_a_token_survives_tasks_that_end_and_come_between_pages(
    emulator: EmulatorProcess, door: Door
) -> None:
    """Nobody unrelated is skipped or shown twice."""
    first = door.page(limit=4).json()
    door.stop("job-1")
    door.invoke({"x-fc-invocation-type": "Async", door.id_header: "late-1"})
    emulator.advance("1h")
    rest = door.page(limit=100, nextToken=first["nextToken"]).json()
    shown = [task[door.id_key] for task in first[door.tasks_key] + rest[door.tasks_key]]
    assert sorted(shown) == sorted(set(door.ids(limit=100)) - {"late-1"})


@pytest.mark.parametrize("version", [CLASSIC, OPEN])
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
        call, path = Caller(emulator.endpoint), f"/{THREE}/async-invoke-configs"
        first = call("GET", path, {"limit": 1}).json()
        second = call("GET", path, {"limit": 1, "nextToken": first["nextToken"]}).json()
        configs = first["configs"] + second["configs"]
        arn = "acs:fc:cn-hangzhou:123456789:functions"
        assert [c["functionArn"] for c in configs] == [f"{arn}/resize/v1", f"{arn}/transcode/prod"]
        assert [c["asyncTask"] for c in configs] == [True, True]
        assert "nextToken" not in second
        only = call("GET", path, {"functionName": "resize"}).json()["configs"]
        assert [c["functionArn"] for c in only] == [f"{arn}/resize/v1"]
        assert call("GET", path, {"functionName": "nobody"}).json()["Code"] == "FunctionNotFound"
