"""What client and emulator call things, compared with the models of the official SDKs.

Paths, parameters, headers, fields and statuses are read from the SDKs' own code, statuses from
its comments, so that a name that is misspelt on our side fails here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple, NoReturn

import pytest
from alibabacloud_fc20230330 import models as three_models
from alibabacloud_fc20230330.client import Client as ThreeClient
from alibabacloud_fc_open20210406 import models as open_models
from alibabacloud_fc_open20210406.client import Client as OpenClient
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from fc_emulator import lifecycle, routes
from fc_reaper.backtest.source import to_be_saved
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.api import ASYNC_TASK, STATEFUL, Answer, Names
from fc_reaper.cloud.records import read_function, read_task
from fc_reaper.models import FINISHED, UNFINISHED, Credentials, Function, Query
from fc_reaper.rules.expression import RECORD_FIELDS
from tests.emulator.wire import Caller

# The SDKs themselves still use what Python 3.12 and later advise against.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")


class Sdk(NamedTuple):
    """An official SDK, and what its models are called; *names* are ours, *served* those of the emulator."""

    version: str
    client: Any
    models: Any
    names: Names
    served: Any
    record: Any
    event: Any
    listed: Any
    function: Function

    @property
    def names_of_function(self) -> list[str]:
        service, name, _ = self.function
        return [name] if service is None else [service, name]


CONFIG = Config(access_key_id="any", access_key_secret="any", endpoint="127.0.0.1:9", protocol="http")
SDKS = [
    Sdk("2021-04-06", OpenClient(CONFIG), open_models, STATEFUL, routes.API_2,
        open_models.StatefulAsyncInvocation, open_models.StatefulAsyncInvocationEvent,
        open_models.ListStatefulAsyncInvocationsResponseBody, Function("media", "transcode", "prod")),
    Sdk("2023-03-30", ThreeClient(CONFIG), three_models, ASYNC_TASK, routes.API_3, three_models.AsyncTask,
        three_models.AsyncTaskEvent, three_models.ListAsyncTaskOutput, Function(None, "transcode", "prod")),
]  # fmt: skip
with_each = pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.version)


class Call(NamedTuple):
    """One request: names of its query and headers, these in lower case."""

    action: str
    method: str
    path: str
    query: frozenset[str]
    headers: frozenset[str]


_LISTS = {name: name for name in ("events", "invocations", "tasks", "data", "configs")}


class Sent(Exception):
    """Raised in place of a request."""


def fields(model: Any) -> list[str]:
    """The fields of a model, as Python calls them."""
    return [name for name in inspect.signature(model.__init__).parameters if name != "self"]


def whole(sdk: Sdk, name: str) -> list[Any]:
    """The model *name* with a value in every plain field; none if there is no such model."""
    model = getattr(sdk.models, name, None)
    if model is None:
        return []
    types = {one.name: one.annotation for one in inspect.signature(model.__init__).parameters.values()}
    plain = ("str", "int", "bool", str, int, bool)
    return [model(**{one: "1" for one, its in types.items() if its in plain})]


def of_sdk(sdk: Sdk, action: str, *names: str) -> Call:
    """What the SDK sends for an operation whose request and headers are filled in."""
    method = re.sub("([A-Z])", lambda letter: f"_{letter[1].lower()}", action)[1:] + "_with_options"
    given = [*names, *whole(sdk, f"{action}Request"), *(whole(sdk, f"{action}Headers") or [{}])]
    sent: list[Call] = []

    def call(params: Any, request: Any, _runtime: Any) -> NoReturn:
        headers = frozenset(name.lower() for name in request.headers)
        sent.append(
            Call(params.action, params.method, params.pathname, frozenset(request.query or {}), headers)
        )
        raise Sent

    with pytest.MonkeyPatch.context() as patched:
        for name in ("call_api", "execute", "do_request"):
            patched.setattr(sdk.client, name, call, raising=False)
        with pytest.raises(Sent):
            getattr(sdk.client, method)(*given, RuntimeOptions())
    return sent[0]


def of_ours(call: Callable[[AsyncTaskClient], object]) -> Call:
    """What our client sends, the headers of every call among them."""
    its: dict[str, Any] = {"account_id": "1", "trace_id": "t"}
    client: Any = AsyncTaskClient("http://127.0.0.1:9", Credentials("any", "any", ""), **its)
    sent: list[Call] = []

    def request(method: str, path: str, headers: Any, query: Any, *_: Any, **named: Any) -> NoReturn:
        headers = frozenset({*headers, *client._headers} - {"content-type", "user-agent"})
        sent.append(Call(named["operation"], method, path, frozenset(query), headers))
        raise Sent

    with closing(client), pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "_do_request", request)
        with pytest.raises(Sent):
            call(client)
    return sent[0]


def calls(sdk: Sdk) -> dict[str, tuple[Callable[[AsyncTaskClient], object], list[str]]]:
    """Every call that our client makes, by the SDK's name of it, with all that it can be given."""
    function, names, task = sdk.function, sdk.names_of_function, sdk.names.task
    query = Query(function, "Running", started_after=1, started_before=2, id_prefix="job", payload=True)
    with_service = function.service is not None
    return {
        f"Stop{task}": (lambda client: client.stop(function, "job-1"), [*names, "job-1"]),
        f"Get{task}": (lambda client: client.get(function, "job-1"), [*names, "job-1"]),
        f"List{task}s": (lambda client: client.list_page(query, "token"), names),
        sdk.names.functions: (lambda client: client.functions_page(services=with_service, token="t"), []),
        "InvokeFunction": (lambda client: client.invoke_async(function, b"", invocation_id="job-1"), names),
    }


NOT_ASKED_WITH = {"ListAsyncInvokeConfigs": {"functionName"}}
"""Parameters of the SDK's that our client leaves out."""


@with_each
def test_our_client_sends_what_the_sdk_would_send(sdk: Sdk) -> None:
    """The same operation, method, path and parameters, and no header that it does not know."""
    for action, (call, names) in calls(sdk).items():
        theirs, ours = of_sdk(sdk, action, *names), of_ours(call)
        assert (ours.action, ours.method, ours.path) == (theirs.action, theirs.method, theirs.path)
        assert ours.query == theirs.query - NOT_ASKED_WITH.get(action, set()), action
        # The models of 3.0 have no headers but those of an invocation.
        usual = {"x-fc-account-id", "x-fc-trace-id"} if sdk.names is ASYNC_TASK else set()
        assert ours.headers <= theirs.headers | usual, action


@with_each
def test_the_emulator_serves_the_paths_of_the_sdk(sdk: Sdk) -> None:
    """Each operation under its own name."""
    for method, path, action, _ in sdk.served:
        values = {"service": "media", "function": "transcode", "id": "job-1"}
        names = [values[name] for name in re.findall(r"{(\w+)}", path)]
        theirs = of_sdk(sdk, action, *names)
        found = routes.match(theirs.method, theirs.path)
        assert found is not None, action
        assert (found.route.name, found.route.version.version, method) == (action, sdk.version, theirs.method)
        assert [*found.params.values()] == names


@with_each
def test_every_parameter_of_a_list_matters_to_the_emulator(sdk: Sdk, call: Caller) -> None:
    """A value that fits nothing changes the answer, which that of an unknown parameter does not."""
    action = f"List{sdk.names.task}s"
    theirs = of_sdk(sdk, action, *sdk.names_of_function)
    usual = {} if "qualifier" not in theirs.query else {"qualifier": "prod"}

    def answer(**more: str) -> str:
        text = call(theirs.method, theirs.path, {**usual, **more}).text
        return re.sub('"(?:requestId|RequestId)": *"[^"]*"|"instanceId": *"[^"]*"', "", text)

    assert answer() == answer(noSuchParameter="nonsense")
    assert [name for name in theirs.query if answer(**{name: "nonsense"}) == answer()] == []


@with_each
def test_a_record_of_the_emulator_has_the_fields_of_the_sdk(sdk: Sdk, call: Caller) -> None:
    """Those of a task and of its events; what a function returned is in beta, and never shown."""
    theirs = of_sdk(sdk, f"Get{sdk.names.task}", *sdk.names_of_function, "job-1")
    record = call(theirs.method, theirs.path, {"qualifier": "prod"}).json()
    assert {*record} == {*wire_names(sdk.record)} - {"returnPayload"}
    assert {*record["events"][0]} == {*wire_names(sdk.event)}


def wire_names(model: Any) -> dict[str, str]:
    """The names of a model's fields on the wire, and what they are called in Python."""
    always, named = {*model().to_map()}, {}  # lists are never left out
    for name in fields(model):
        (wire,) = model(**{name: [] if name in _LISTS else "1"}).to_map().keys() - (
            always - {_LISTS.get(name)}
        )
        named[wire] = name
    return named


@with_each
def test_our_client_understands_a_record_that_the_sdk_writes(sdk: Sdk) -> None:
    """Each thing that is read has its value, and nothing contradicts it."""
    place = {"service_name": "media", "function_name": "transcode"}
    if sdk.names is ASYNC_TASK:
        place = {"function_arn": "acs:fc:cn-hangzhou:1:functions/transcode"}
    id_field = wire_names(sdk.record)[sdk.names.id_field]
    events = [sdk.event(event_id=7, status="Running", timestamp=1_700_000_000_000, event_detail="a secret")]
    record = sdk.record(
        **place, **{id_field: "job-1"}, status="Running", request_id="a-request", events=events,
        started_time=1_700_000_000_001, already_retried_times=3, qualifier="prod",
    ).to_map()  # fmt: skip
    task = read_task(sdk.function, record, "job-1")
    assert task.inconsistency is None
    assert (task.invocation_id, task.status, task.request_id) == ("job-1", "Running", "a-request")
    assert (task.started_at, task.retries) == (1_700_000_000_001, 3)
    assert task.events == ((1_700_000_000_000, 7, "Running"),)
    assert "a secret" not in str(task.record)
    ended = sdk.record(**place, **{id_field: "job-1"}, status="Failed", end_time=1_700_000_000_002).to_map()
    assert read_task(sdk.function, ended, "job-1").ended_at == 1_700_000_000_002
    for name in (*place, id_field):
        wrong = {
            **place,
            id_field: "job-1",
            name: place.get(name, "job-1").replace("transcode", "other") + "2",
        }
        other = sdk.record(**wrong, status="Failed").to_map()
        assert read_task(sdk.function, other, "job-1").inconsistency is not None, name


@with_each
def test_a_history_and_an_expression_know_the_fields_of_the_sdk(sdk: Sdk) -> None:
    """A saved record has all of them but what the function returned; `where` may name each."""
    record = {name: [] if name == "events" else "1" for name in wire_names(sdk.record)}
    assert {*to_be_saved(record)} == {*record} - {"returnPayload"}
    assert {*record} <= {*RECORD_FIELDS}
    event = dict.fromkeys(wire_names(sdk.event), "1")
    assert {*to_be_saved({"events": [event]})["events"][0]} == {*event} - {"eventDetail"}


def test_no_field_of_a_record_is_ours_alone() -> None:
    """Each is in the model of 2.0 or of 3.0."""
    assert {*RECORD_FIELDS} == {name for sdk in SDKS for name in wire_names(sdk.record)}


@with_each
def test_a_page_has_the_keys_of_the_sdk(sdk: Sdk) -> None:
    assert {*wire_names(sdk.listed)} == {sdk.names.tasks, "nextToken"}


def test_functions_in_task_mode_are_read_from_the_models_of_the_sdks() -> None:
    """Names and qualifier of 2.0, resource name and mode of 3.0."""
    body = open_models.ListStatefulAsyncInvocationFunctionsResponseBody
    assert {*wire_names(body)} == {STATEFUL.functions_key, "nextToken"}
    assert {*wire_names(three_models.ListAsyncInvokeConfigOutput)} == {ASYNC_TASK.functions_key, "nextToken"}
    answer = Answer.of(200, {}, b"{}", 0, 0)
    two = open_models.AsyncConfigMeta(
        service_name="media", function_name="transcode", qualifier="prod"
    ).to_map()
    assert read_function(answer, two, services=True) == ("media", "transcode", "prod")
    arn = "acs:fc:cn-hangzhou:1:functions/transcode/prod"
    for mode in (True, False):
        three = three_models.AsyncConfig(function_arn=arn, async_task=mode).to_map()
        found = read_function(answer, three, services=False)
        assert found == ((None, "transcode", "prod") if mode else None)


def test_statuses_are_those_that_the_sdk_describes() -> None:
    """In the comments on the record and on the filter of its list, and no others."""
    sources = map(inspect.getsource, (three_models.AsyncTask, three_models.ListAsyncTasksRequest))
    described = [set(re.findall(r"# *[*-] +([A-Z]\w+):", source)) for source in sources]
    assert all(len(some) > 5 for some in described)
    assert {*UNFINISHED, *FINISHED} == set.union(*described) == {*lifecycle.STATUSES}
    assert {*lifecycle.FINISHED} == {*FINISHED}
