"""The client of a probe has no way to any function but the sleeper, nor to tasks of others there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import InvalidName, ReaperError
from fc_reaper.models import Credentials, Function, Query
from fc_reaper.probing.client import SLEEPER, SleeperClient
from tests.emulator_server import Emulator
from tests.probing.account import SEED, VERSIONS, emulated
from tests.reaping import KEYS


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with emulated(seed=SEED) as emulator:
        yield emulator


@pytest.fixture(params=VERSIONS)
def client(emulator: Emulator, request: pytest.FixtureRequest) -> Iterator[SleeperClient]:
    keys = Credentials(*KEYS.values())
    with closing(
        SleeperClient(emulator.endpoint, keys, api_version=request.param, trace_id="7f", clock=SYSTEM_CLOCK)
    ) as client:
        yield client


def test_its_name_is_a_constant_and_no_method_takes_one(client: SleeperClient) -> None:
    assert SLEEPER == "fc-reaper-probe"
    for method in (client.submit, client.ask, client.said):
        assert not {"function", "service", "path"} & set(inspect.signature(method).parameters)


OTHERS = [
    Function(None, "media", "LATEST"),
    Function(None, f"{SLEEPER}-2", "LATEST"),
    Function(None, f"{SLEEPER}${SLEEPER}", "LATEST"),
]
INHERITED: dict[str, Callable[[SleeperClient, Function], object]] = {
    "get": lambda client, function: client.get(function, "job-1"),
    "stop": lambda client, function: client.stop(function, "job-1"),
    "list": lambda client, function: client.list_page(Query(function)),
    "invoke": lambda client, function: client.invoke_async(function, b"{}"),
    "functions": lambda client, _: client.functions_page(services=False),
}


@pytest.mark.parametrize("function", OTHERS, ids=str)
@pytest.mark.parametrize("call", INHERITED)
def test_what_it_inherits_cannot_reach_another_function(
    emulator: Emulator, client: SleeperClient, call: str, function: Function
) -> None:
    """It raises before anything is sent."""
    before = emulator.calls()["counts"]
    with pytest.raises(InvalidName, match="probe addresses no other"):
        INHERITED[call](client, function)
    assert emulator.calls()["counts"] == before


@pytest.mark.parametrize("service", ["media", f"{SLEEPER}-2"])
def test_nor_a_function_of_that_name_in_another_service(client: SleeperClient, service: str) -> None:
    refusal = r"probe addresses no other|has no services"
    with pytest.raises(ReaperError, match=refusal):
        client.stop(Function(service, SLEEPER, "LATEST"), "job-1")


def test_nor_a_task_of_the_sleeper_that_no_probe_submitted(client: SleeperClient) -> None:
    service = None if client.names.id_field == "taskId" else SLEEPER
    with pytest.raises(InvalidName, match="probe addresses no other"):
        client.stop(Function(service, SLEEPER, "LATEST"), "job-1")


def test_its_ids_are_those_of_one_run(emulator: Emulator, client: SleeperClient) -> None:
    """Another run's task is not found, nor listed, and is alive afterwards."""
    assert client.said("Stop", "of-another-run")[:3] == "404"
    assert not (client.ask("List").value or {}).get(client.names.tasks)
    assert emulator.task("probe-of-another-run")["status"] == "Running"


@pytest.mark.parametrize("name", ["../media", "a/b", "a?b", "a b", "%2e%2e", "x" * 128])
@pytest.mark.parametrize("verb", ["Get", "Stop", "List"])
def test_a_name_cannot_change_the_path(client: SleeperClient, verb: str, name: str) -> None:
    with pytest.raises(InvalidName):
        client.ask(verb, name)
