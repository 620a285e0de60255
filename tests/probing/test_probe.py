"""The command: what it shows and writes, what it leaves behind, and what becomes of odd accounts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fc_reaper.models import Exit
from fc_reaper.platform import Platform, account_digest
from fc_reaper.probing.client import SLEEPER
from fc_reaper.probing.observe import LENGTHS, TASKS, rounded, shape
from tests.emulator.wire import V2021, V2023, Api, Caller
from tests.emulator_server import Emulator
from tests.probing.account import OTHER, SEED, VERSIONS, Probed, alive, emulated, probed, sleepers, virtual
from tests.run.account import stopped

SAID = (
    f"fc-reaper: 6 tasks, which sleep, are submitted to {SLEEPER} of account 123456789 in cn-hangzhou"
    " by API 2023-03-30, observed for 5m at most, and what is left is stopped"
)
"""What it is about to do."""


@pytest.fixture
def cloud() -> Iterator[Emulator]:
    with emulated() as emulator:
        yield emulator


def denied(cloud: Emulator, *operations: str) -> None:
    """Refuse all calls of *operations* as RAM does."""
    refused: dict[str, Any] = {
        "times": 1000,
        "status": 403,
        "code": "AccessDenied",
        "message": "no right to it",
    }
    cloud.faults([{"operation": operation, **refused} for operation in operations])


# What it shows, writes and touches


class Usual(NamedTuple):
    """One probe of the usual account, and the emulator afterwards."""

    found: Probed
    text: str
    cloud: Emulator


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Usual]:
    folder = tmp_path_factory.mktemp("usual")
    with emulated(seed=SEED) as cloud:
        found = probed(cloud, folder)
        yield Usual(found, (folder / "probe.json").read_text("utf-8"), cloud)


def test_the_table_has_each_assumption_what_was_found_and_the_setting(usual: Usual) -> None:
    ran = usual.found.ran
    assert (ran.code, ran.errors) == (Exit.DONE, [SAID])
    assert ran.text.startswith("assumption this account setting to use")
    assert "The moment that startedTime tells enqueue REAPER_STARTED_TIME=enqueue" in ran.text
    assert "How long Stopping lasts, rounded up 1s -" in ran.text
    assert "A - means that there is nothing to set" in ran.text
    assert "probe.json has what else was seen" in ran.text
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_fact_that_was_not_observed_says_so(tmp_path: Path) -> None:
    seed = {"functions": [one for one in sleepers()["functions"] if "serviceName" in one]}
    with emulated("--events", "no", "--stopping", "0s", seed=seed) as cloud:
        text = probed(cloud, tmp_path).ran.text
    for row in (
        "The qualifier that a record names",
        "eventDetail holds",
        "A stop of a Stopping task answers",
    ):
        assert f"{row} not observed -" in text


def test_the_file_is_of_the_published_model_and_holds_no_secret_nor_the_account_s_id(usual: Usual) -> None:
    platform = Platform.model_validate_json(usual.text)
    assert (platform.region, platform.account) == ("cn-hangzhou", account_digest("cn-hangzhou", "123456789"))
    assert platform.api_versions == dict.fromkeys(VERSIONS, True)
    assert "123456789" not in usual.text
    assert "probe-" not in usual.text


def test_it_addresses_its_own_function_only_and_stops_its_own_tasks_only(usual: Usual) -> None:
    calls = usual.cloud.calls()["recent"]
    assert len(calls) < 100
    assert all(f"/functions/{SLEEPER}/" in call["path"] for call in calls if call["path"] != "/")
    assert usual.cloud.calls()["counts"]["InvokeFunction"] == len(TASKS)
    assert all(one.startswith("probe-") for one in stopped(usual.cloud))
    others = {usual.cloud.task(one)["status"] for one in ("job-1", "probe-of-another-run")}
    assert (others, alive(usual.cloud)) == ({"Running"}, set())


def test_beside_the_facts_it_notes_what_it_saw(usual: Usual) -> None:
    observed = usual.found.observed
    assert observed["unknown_task"] == {"Get": "404 AsyncTaskNotFound", "Stop": "404 AsyncTaskNotFound"}
    assert observed["wrong_qualifier"] == {"Get": "404 AliasNotFound", "Stop": "404 AliasNotFound"}
    completed = "412 AsyncTaskAlreadyCompleted"
    assert observed["stops"] == {
        **dict.fromkeys(("running", "stopping", "queued"), "200"),
        **dict.fromkeys(("stopped", "finished"), completed),
    }
    assert (observed["delayed"], observed["queued_becomes"]) == ("Enqueued", "Stopped")
    assert observed["rights"] == {"List": True, "Get": True, "Stop": True}
    assert observed["order"] == {"asc": "asc", "desc": "desc", "default": "desc", "pages_follow": True}
    assert observed["filters"] == {
        "startedTimeBegin -1 ms": True,
        "startedTimeBegin +0 ms": True,
        "startedTimeBegin +1 ms": False,
        "startedTimeEnd -1 ms": False,
        "startedTimeEnd +0 ms": True,
        "startedTimeEnd +1 ms": True,
        "status Succeeded": True,
        "status Failed": False,
        "prefix": True,
    }
    assert observed["alias"] == {"Get by LATEST": "404 AsyncTaskNotFound"}


def test_it_notes_fields_and_times_of_a_task_in_each_status_in_get_and_in_list(usual: Usual) -> None:
    """Times from the first of them; a field that is there, and empty, says so."""
    seen = usual.found.observed["fields"]
    assert set(seen) == {"delayed", "running", "retrying", "retried", "finished"}
    assert all(set(verbs) == {"Get", "List"} for verbs in seen.values())
    assert {"instanceId", "endTime (empty)"} <= set(seen["running"]["Get"]["fields"])
    assert "instanceId" not in seen["delayed"]["Get"]["fields"]
    assert "endTime" in seen["finished"]["List"]["fields"]
    began = ["Enqueued 0s", "Dequeued 0s", "Running 0s"]
    assert seen["running"]["List"]["times"] == [*began, "startedTime 0s", "durationMs 0s"]
    assert seen["retrying"]["Get"]["times"][:4] == [*began, "Retrying 2s"]
    retried = ["Retrying 2s", "Running 5s", "Retrying 10s", "Running 10s", "Retrying 10s", "Running 15s"]
    assert seen["retried"]["List"]["times"][:10] == [*began, *retried, "Failed 15s"]


@pytest.mark.parametrize(
    ("record", "fields", "times"),
    [
        ({}, [], []),
        ({"startedTime": None, "endTime": 0, "durationMs": "?"}, ["durationMs", "endTime (empty)",
          "startedTime (empty)"], []),
        ({"startedTime": "1700000000", "endTime": 1700000013000}, ["endTime", "startedTime"],
         ["startedTime 0s", "endTime 15s"]),
        ({"events": [{}, {"status": "Running", "timestamp": 1700000000000}]}, ["events"], ["Running 0s"]),
    ],
)  # fmt: skip
def test_whatever_a_record_lacks_is_left_out(record: Any, fields: list[str], times: list[str]) -> None:
    assert shape(record) == {"fields": fields, "times": times}


@pytest.mark.parametrize(
    ("answer", "code"), [(b"y\n", Exit.DONE), (b"n\n", Exit.ATTENTION), (b"", Exit.ATTENTION)]
)
def test_it_asks_first_and_submits_nothing_without_a_yes(
    cloud: Emulator, tmp_path: Path, answer: bytes, code: Exit
) -> None:
    ran, file = probed(cloud, tmp_path, asks=True, stdin=answer)
    assert ran.out.startswith(f"{SAID.removeprefix('fc-reaper: ')}; go on? [y/N]")
    assert ran.code == code
    submitted = cloud.calls()["counts"].get("InvokeFunction", 0)
    assert (file is None, submitted) == ((True, 0) if code else (False, len(TASKS)))


def test_wrong_usage_makes_no_call(cloud: Emulator, tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("", "utf-8")
    for words, why in (
        (["--json"], "--json leaves no room"),
        (["--out", "there.json"], "the file exists; choose another name, or add --force"),
        (["--timeout", "soon"], "--timeout"),
    ):
        ran, file = probed(cloud, tmp_path, *words, asks=True)
        assert (ran.code, file) == (Exit.REFUSED, None)
        assert why in ran.err
    assert cloud.calls()["counts"] == {}


# Lengths


@pytest.mark.parametrize("length", LENGTHS)
def test_a_length_is_rounded_up_to_one_of_a_few(length: int) -> None:
    assert rounded(length - 0.001 if length else -1) == f"{length}s"


@pytest.mark.parametrize(
    ("switches", "fact", "found"),
    [
        *((("--stopping", real), "stopping", found) for real, found in
          (("0s", "0s"), ("5s", "5s"), ("45s", "60s"), ("120s", "120s"))),
        *((("--list-lag", real), "list_lag", found) for real, found in
          (("400ms", "1s"), ("20s", "30s"))),
    ],
)  # fmt: skip
def test_lengths_are_measured(switches: tuple[str, str], fact: str, found: str, tmp_path: Path) -> None:
    with emulated(*switches) as cloud:
        assert probed(cloud, tmp_path).facts[fact] == found


def test_a_task_that_is_stopped_at_once_is_never_seen_stopping(tmp_path: Path) -> None:
    with emulated("--stopping", "0s") as cloud:
        found = probed(cloud, tmp_path, "--json")
        assert found.ran.json == found.file
        assert found.facts["stop_stopping"] is None
        assert "stopping" not in found.observed["stops"]


# What hides a fact


def test_without_the_alias_nothing_is_said_about_the_qualifier_in_a_record(tmp_path: Path) -> None:
    with emulated("--record-qualifier", "version", seed=sleepers()) as cloud:
        found = probed(cloud, tmp_path)
        assert found.ran.code == Exit.DONE
        assert found.facts["record_qualifier"] is None
        assert "alias" not in found.observed


def test_that_started_time_is_the_first_enqueueing_needs_a_retry(cloud: Emulator, tmp_path: Path) -> None:
    """Only a retry shows that it stays."""
    api = Api(Caller(cloud.endpoint), V2023, SLEEPER, None)
    assert api.config("PUT", b'{"asyncTask": true, "maxAsyncRetryAttempts": 0}').status_code == 200
    assert probed(cloud, tmp_path).facts["started_time"] is None


# The versions of the API


def test_a_function_of_2_0_is_found_too(tmp_path: Path) -> None:
    seed = {"functions": [one for one in SEED["functions"] if "serviceName" in one]}
    with emulated(seed=seed) as cloud:
        found = probed(cloud, tmp_path)
        assert found.ran.code == Exit.DONE
        assert found.facts["arn"] is None
        assert cloud.calls()["counts"]["StopStatefulAsyncInvocation"] > 5
        refusal = {"operation": "ListStatefulAsyncInvocations", "status": 400, "code": "PathNotSupported"}
        cloud.faults([{**refusal, "match": {"serviceName": SLEEPER}}])
        found = probed(cloud, tmp_path)
        assert found.file is not None
        assert found.file["api_versions"] == {"2023-03-30": True, V2021: False, "2016-08-15": True}
        assert "served        REAPER_API_VERSION=2016-08-15" in found.ran.out


@pytest.mark.parametrize("version", [None, *VERSIONS])
def test_without_the_function_one_line_says_how_to_make_it(tmp_path: Path, version: str | None) -> None:
    seed = {"invocations": [{"functionName": OTHER, "invocationId": "job-1", "status": "Running"}]}
    with emulated(seed=seed) as cloud:
        ran, file = probed(cloud, tmp_path, *(["--api-version", version] if version else []))
        assert (ran.code, file, len(ran.errors)) == (Exit.REFUSED, None, 1)
        assert f"cn-hangzhou has no {SLEEPER}; s deploy -y -t deploy/s-probe.yaml makes it" in ran.err
        assert "InvokeFunction" not in cloud.calls()["counts"]


# Odd accounts


def test_without_the_right_to_list_nothing_is_submitted(cloud: Emulator, tmp_path: Path) -> None:
    denied(cloud, "ListAsyncTasks", "ListStatefulAsyncInvocations")
    ran, file = probed(cloud, tmp_path)
    assert (ran.code, file) == (Exit.UNREACHABLE, None)
    assert "AccessDenied" in ran.err


def test_without_the_right_to_submit_the_file_has_what_is_left(cloud: Emulator, tmp_path: Path) -> None:
    denied(cloud, "InvokeFunction")
    found = probed(cloud, tmp_path)
    assert found.ran.code == Exit.ATTENTION
    assert "no task can be submitted, by fc:InvokeFunction: HTTP 403 AccessDenied" in found.ran.err
    assert {name for name, value in found.facts.items() if value is not None} == {"empty_list"}


def test_a_function_that_is_not_in_task_mode_is_told(tmp_path: Path) -> None:
    with emulated(seed=sleepers(taskMode=False)) as cloud:
        ran, _ = probed(cloud, tmp_path)
        assert ran.code == Exit.ATTENTION
        said = "by fc:InvokeFunction: HTTP 400 InvalidArgument: fc-reaper-probe@LATEST is not in"
        assert f"no task can be submitted, {said}" in ran.err


def test_without_the_right_to_stop_the_rest_is_observed_and_the_tasks_end_by_themselves(
    cloud: Emulator, tmp_path: Path
) -> None:
    denied(cloud, "StopAsyncTask")
    found = probed(cloud, tmp_path)
    assert found.ran.code == Exit.ATTENTION
    assert "not stopped: queued; each ends by itself within seven minutes" in found.ran.err
    unknown = {name for name, value in found.facts.items() if value is None}
    assert unknown == {"alias_tasks", "stop_answer", "stop_stopping", "stop_finished", "stopping"}
    assert set(found.observed["stops"].values()) == {"403 AccessDenied"}
    assert alive(cloud) == {"queued"}
    cloud.advance("7m")
    assert alive(cloud) == set()


def test_where_no_stop_is_answered_the_rest_is_observed(cloud: Emulator, tmp_path: Path) -> None:
    cloud.faults([{"operation": "StopAsyncTask", "status": 500, "times": 1000}])
    found = probed(cloud, tmp_path)
    assert (found.ran.code, found.ran.errors[1:]) == (
        Exit.ATTENTION,
        [
            *(
                f"fc-reaper: not wholly observed ({part}): HTTP 500 InternalServerError: a fault that "
                "was ordered"
                for part in ("unknown", "running", "stopping", "finished")
            ),
            "fc-reaper: not stopped: queued, long; each ends by itself within seven minutes",
        ],
    )
    assert (found.facts["events"], found.facts["started_time"]) == ("list", "enqueue")


def test_without_the_right_to_read_everything_is_stopped(cloud: Emulator, tmp_path: Path) -> None:
    denied(cloud, "GetAsyncTask")
    found = probed(cloud, tmp_path)
    assert found.ran.code == Exit.ATTENTION
    assert "HTTP 403 AccessDenied: no right to it" in found.ran.err
    assert found.observed["unknown_task"]["Get"] == "403 AccessDenied"
    assert alive(cloud) == set()


def test_tasks_that_never_start_are_stopped(tmp_path: Path) -> None:
    with emulated(seed=sleepers("probe", starts=False)) as cloud:
        found = probed(cloud, tmp_path)
        assert found.ran.code == Exit.ATTENTION
        assert "a task that should run is Enqueued; see concurrency and log" in found.ran.err
        assert found.facts["list_lag"] == "0s"
        assert found.facts["started_time"] is None
        assert alive(cloud) == set()


@pytest.mark.parametrize("task", ["late", "long"])
def test_a_task_whose_submission_was_not_answered_is_stopped(
    cloud: Emulator, tmp_path: Path, task: str
) -> None:
    cloud.faults(
        [{"operation": "InvokeFunction", "drop": "after", "match": {"invocationId": f"probe-*-{task}"}}]
    )
    found = probed(cloud, tmp_path)
    assert found.ran.code == Exit.ATTENTION
    assert "no task can be submitted, by fc:InvokeFunction: ConnectionFailed" in found.ran.err
    assert alive(cloud) == set()
    assert any(one.endswith(f"-{task}") for one in stopped(cloud))


@pytest.mark.parametrize(("signum", "after"), [(signal.SIGINT, 0), (signal.SIGTERM, 1), (signal.SIGINT, 4)])
def test_an_interrupted_probe_stops_its_tasks_and_writes_what_it_has(
    cloud: Emulator, tmp_path: Path, signum: signal.Signals, after: int
) -> None:
    raised: list[float] = []

    def interrupt(passed: float) -> None:
        if passed >= after and not raised:
            raised.append(passed)
            signal.raise_signal(signum)

    found = probed(cloud, tmp_path, clock=virtual(cloud, interrupt))
    assert (found.ran.code, found.ran.errors) == (Exit.ATTENTION, [SAID, "fc-reaper: interrupted"])
    assert found.facts["list_lag"] == "0s"
    assert found.facts["started_time"] is None
    assert alive(cloud) == set()


def test_after_a_fault_in_the_probe_itself_its_tasks_are_stopped(cloud: Emulator, tmp_path: Path) -> None:
    def fail(passed: float) -> None:
        raise ArithmeticError("a fault")

    with pytest.raises(ArithmeticError):
        probed(cloud, tmp_path, clock=virtual(cloud, fail))
    assert alive(cloud) == set()
    assert not (tmp_path / "probe.json").exists()


@pytest.mark.parametrize("timeout", ["1s", "12s"])
def test_after_its_time_it_stops_its_tasks_and_writes_what_it_has(
    cloud: Emulator, tmp_path: Path, timeout: str
) -> None:
    found = probed(cloud, tmp_path, "--timeout", timeout)
    assert found.ran.code == Exit.ATTENTION
    assert "the time was up" in found.ran.err
    assert found.facts["started_time"] is None
    assert alive(cloud) == set()


def test_an_answer_that_fails_once_ends_no_part(cloud: Emulator, tmp_path: Path) -> None:
    """Reads are repeated; a stop is not, and its part is told."""
    cloud.faults(
        [{"operation": operation, "status": 503} for operation in ("GetAsyncTask", "ListAsyncTasks")]
    )
    assert probed(cloud, tmp_path).ran.code == Exit.DONE
    cloud.faults([{"operation": "StopAsyncTask", "status": 503, "match": {"invocationId": "probe-*-long"}}])
    found = probed(cloud, tmp_path)
    assert found.ran.code == Exit.ATTENTION
    assert "not wholly observed (running): HTTP 503" in found.ran.err
    assert alive(cloud) == set()


def test_what_a_task_was_while_it_was_delayed_may_stay_unknown(cloud: Emulator, tmp_path: Path) -> None:
    fault = {"operation": "GetAsyncTask", "status": 403, "match": {"invocationId": "probe-*-late"}}
    cloud.faults([fault])
    found = probed(cloud, tmp_path)
    assert found.ran.code == Exit.ATTENTION
    assert "not wholly observed (queue): HTTP 403" in found.ran.err
    assert found.facts["started_time"] is None


def test_an_endpoint_that_is_not_reached_is_asked_for_no_other_version(
    cloud: Emulator, tmp_path: Path
) -> None:
    cloud.faults([{"operation": "ListAsyncTasks", "drop": "before", "times": 1000}])
    ran, file = probed(cloud, tmp_path)
    assert (ran.code, file) == (Exit.UNREACHABLE, None)
    assert "ListStatefulAsyncInvocations" not in cloud.calls()["counts"]


def listed_once(cloud: Emulator, body: dict[str, Any]) -> None:
    """Let the fifth list be *body*: those before ask for a version of the API, or for no task."""
    as_usual = {"operation": "ListAsyncTasks", "delay": "0ms", "times": 4}
    cloud.faults([as_usual, {"operation": "ListAsyncTasks", "status": 200, "body": body}])


def test_a_list_that_shows_tasks_of_another_run_is_not_taken_for_its_own(
    cloud: Emulator, tmp_path: Path
) -> None:
    """As where the filter by the prefix is not obeyed: it waits until its own task is listed."""
    listed_once(cloud, {"tasks": [{"taskId": "probe-of-another-late", "status": "Enqueued"}]})
    found = probed(cloud, tmp_path)
    assert (found.ran.code, found.facts["list_lag"]) == (Exit.DONE, "1s")


@pytest.mark.parametrize("body", [{}, {"tasks": None}, {"tasks": []}, {"unexpected": 1}], ids=str)
def test_a_list_without_tasks_is_one_that_lags(cloud: Emulator, tmp_path: Path, body: dict[str, Any]) -> None:
    listed_once(cloud, body)
    assert probed(cloud, tmp_path).facts["list_lag"] == "1s"
