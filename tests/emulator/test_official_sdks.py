"""Three official SDKs of the platform work against the emulator."""

from __future__ import annotations

import json
from typing import Any

import fc2
import pytest
from alibabacloud_fc20230330 import models as three_models
from alibabacloud_fc20230330.client import Client as ThreeClient
from alibabacloud_fc_open20210406 import models as open_models
from alibabacloud_fc_open20210406.client import Client as OpenClient
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions
from fc2.fc_exceptions import FcError

from tests.emulator_server import Emulator

# The SDKs themselves still use what Python 3.12 and later advise against.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")

JOBS = {f"job-{n}" for n in range(1, 6)}


def _config(emulator: Emulator, secret: str = "emulator-secret") -> Config:
    host = emulator.endpoint.removeprefix("http://")
    return Config(access_key_id="emulator", access_key_secret=secret, endpoint=host, protocol="http")


@pytest.fixture
def open_client(emulator: Emulator) -> Any:
    return OpenClient(_config(emulator))


@pytest.fixture
def three_client(emulator: Emulator) -> Any:
    return ThreeClient(_config(emulator))


class TestFc2:
    """aliyun-fc2: classic paths, FC signature."""

    path = "/2016-08-15/services/media.prod/functions/transcode/stateful-async-invocations"

    @pytest.fixture
    def client(self, emulator: Emulator) -> Any:
        return self._client(emulator, "emulator-secret")

    @staticmethod
    def _client(emulator: Emulator, secret: str) -> Any:
        return fc2.Client(endpoint=emulator.endpoint, accessKeyID="emulator", accessKeySecret=secret)

    def _send(self, client: Any, method: str, path: str, params: dict[str, Any] | None = None) -> Any:
        return client._do_request(method, path, client._build_common_headers(method, path), params=params)

    def test_lists_page_by_page(self, client: Any) -> None:
        ids, token = set(), None
        for _ in range(5):
            params = {"limit": 2, "invocationIdPrefix": "job-", "includePayload": True, "nextToken": token}
            page = self._send(client, "GET", self.path, params).json()
            ids |= {task["invocationId"] for task in page["invocations"]}
            token = page.get("nextToken")
            if token is None:
                break
        assert ids == JOBS

    def test_gets_and_stops(self, client: Any) -> None:
        assert self._send(client, "GET", f"{self.path}/job-1").json()["status"] == "Running"
        stopped = self._send(client, "PUT", f"{self.path}/job-1")
        assert (stopped.status_code, stopped.content) == (200, b"")
        assert self._send(client, "GET", f"{self.path}/job-1").json()["status"] == "Stopping"

    def test_lists_functions(self, client: Any) -> None:
        page = self._send(client, "GET", "/2016-08-15/stateful-async-invocation-functions").json()
        assert {(f["serviceName"], f["functionName"], f["qualifier"]) for f in page["data"]} == {
            ("media", "transcode", "prod"),
            ("media", "transcode", "LATEST"),
        }

    def test_invokes_with_an_id_once(self, client: Any) -> None:
        headers = {"x-fc-invocation-type": "Async", "x-fc-stateful-async-invocation-id": "mine-1"}
        accepted = client.invoke_function("media", "transcode", "{}", headers=dict(headers), qualifier="prod")
        request_id = accepted.headers["X-Fc-Request-Id"]
        assert self._send(client, "GET", f"{self.path}/mine-1").json()["requestId"] == request_id
        with pytest.raises(FcError) as refused:
            client.invoke_function("media", "transcode", "{}", headers=dict(headers), qualifier="prod")
        assert refused.value.status_code == 409
        assert refused.value.err_code == "StatefulAsyncInvocationAlreadyExists"

    def test_invokes_and_waits(self, client: Any) -> None:
        assert (
            client.invoke_function("media", "transcode", payload=b"hello", qualifier="prod").data == b"hello"
        )

    def test_reads_services_and_functions(self, client: Any) -> None:
        assert client.get_service("media").data["serviceName"] == "media"
        assert client.get_function("media", "transcode").data["functionName"] == "transcode"
        assert client.list_services().data == {"services": [{"serviceName": "media"}]}
        assert client.list_functions("media").data == {"functions": [{"functionName": "transcode"}]}

    def test_switches_task_mode(self, client: Any) -> None:
        config = {"statefulInvocation": False}
        client.put_function_async_invoke_config("media", "prod", "transcode", config)
        stored = client.get_function_async_invoke_config("media", "prod", "transcode").data
        assert stored["statefulInvocation"] is False

    @pytest.mark.parametrize(
        ("secret", "path", "status", "code"),
        [
            ("wrong", "/job-1", 403, "SignatureNotMatch"),
            ("emulator-secret", "/done-1", 412, "StatefulAsyncInvocationAlreadyCompleted"),
            ("emulator-secret", "/missing", 404, "StatefulAsyncInvocationNotFound"),
        ],
    )
    def test_reports_errors(self, emulator: Emulator, secret: str, path: str, status: int, code: str) -> None:
        with pytest.raises(FcError) as refused:
            self._send(self._client(emulator, secret), "PUT", self.path + path)
        assert (refused.value.status_code, refused.value.err_code) == (status, code)
        assert refused.value.request_id != "unknown"

    def test_reports_an_unknown_function(self, client: Any) -> None:
        with pytest.raises(FcError) as refused:
            client.get_function("media", "nothing")
        assert (refused.value.status_code, refused.value.err_code) == (404, "FunctionNotFound")


class TestOpen20210406:
    """alibabacloud-fc-open20210406: ACS3 signature, qualifier in the query."""

    def test_lists_page_by_page(self, open_client: Any) -> None:
        ids, token = set(), None
        for _ in range(5):
            request = open_models.ListStatefulAsyncInvocationsRequest(
                limit=2, qualifier="prod", invocation_id_prefix="job-", include_payload=True, next_token=token
            )
            body = open_client.list_stateful_async_invocations("media", "transcode", request).body
            ids |= {task.invocation_id for task in body.invocations}
            assert all(task.invocation_payload.startswith("{") for task in body.invocations)
            assert all(task.events[-1].status == "Running" for task in body.invocations)
            token = body.next_token
            if not token:
                break
        assert ids == JOBS

    def test_gets_and_stops(self, open_client: Any) -> None:
        get = open_models.GetStatefulAsyncInvocationRequest(qualifier="prod")
        stop = open_models.StopStatefulAsyncInvocationRequest(qualifier="prod")
        assert self._get(open_client, "job-1", get).status == "Running"
        assert (
            open_client.stop_stateful_async_invocation("media", "transcode", "job-1", stop).status_code == 200
        )
        assert self._get(open_client, "job-1", get).status == "Stopping"

    @staticmethod
    def _get(client: Any, task_id: str, request: Any) -> Any:
        return client.get_stateful_async_invocation("media", "transcode", task_id, request).body

    def test_lists_functions(self, open_client: Any) -> None:
        request = open_models.ListStatefulAsyncInvocationFunctionsRequest(limit=1)
        first = open_client.list_stateful_async_invocation_functions(request).body
        request.next_token = first.next_token
        second = open_client.list_stateful_async_invocation_functions(request).body
        assert [f.qualifier for f in first.data + second.data] == ["LATEST", "prod"]
        assert not second.next_token

    def test_invokes_with_an_id_once(self, open_client: Any) -> None:
        accepted = self._invoke(open_client, "mine-1")
        assert accepted.status_code == 202
        task = self._get(
            open_client, "mine-1", open_models.GetStatefulAsyncInvocationRequest(qualifier="prod")
        )
        assert task.request_id == accepted.headers["x-fc-request-id"]
        with pytest.raises(AlibabaCloudException) as refused:
            self._invoke(open_client, "mine-1")
        assert refused.value.status_code == 409
        assert refused.value.code == "StatefulAsyncInvocationAlreadyExists"

    @staticmethod
    def _invoke(client: Any, task_id: str) -> Any:
        headers = open_models.InvokeFunctionHeaders(
            x_fc_invocation_type="Async", x_fc_stateful_async_invocation_id=task_id
        )
        request = open_models.InvokeFunctionRequest(body=b'{"a": 1}', qualifier="prod")
        return client.invoke_function_with_options("media", "transcode", request, headers, RuntimeOptions())

    @pytest.mark.parametrize(
        ("secret", "function", "task", "status", "code"),
        [
            ("wrong", "transcode", "job-1", 403, "SignatureNotMatch"),
            ("emulator-secret", "nothing", "job-1", 404, "FunctionNotFound"),
            ("emulator-secret", "transcode", "done-1", 412, "StatefulAsyncInvocationAlreadyCompleted"),
            ("emulator-secret", "transcode", "elsewhere-1", 404, "StatefulAsyncInvocationNotFound"),
        ],
    )
    def test_reports_errors(
        self, emulator: Emulator, secret: str, function: str, task: str, status: int, code: str
    ) -> None:
        client = OpenClient(_config(emulator, secret))
        request = open_models.StopStatefulAsyncInvocationRequest(qualifier="prod")
        with pytest.raises(AlibabaCloudException) as refused:
            client.stop_stateful_async_invocation("media", function, task, request)
        assert (refused.value.status_code, refused.value.code) == (status, code)
        assert refused.value.request_id

    def test_switches_task_mode(self, open_client: Any) -> None:
        request = open_models.PutFunctionAsyncInvokeConfigRequest(
            qualifier="prod", stateful_invocation=False, max_async_retry_attempts=0
        )
        body = open_client.put_function_async_invoke_config("media", "transcode", request).body
        assert (body.stateful_invocation, body.max_async_retry_attempts) == (False, 0)


class TestThree20230330:
    """alibabacloud-fc20230330: Function Compute 3.0."""

    def test_lists_page_by_page(self, three_client: Any) -> None:
        ids, token = set(), None
        for _ in range(5):
            request = three_models.ListAsyncTasksRequest(
                limit=2, qualifier="prod", prefix="job-", status="Running", next_token=token
            )
            body = three_client.list_async_tasks("transcode", request).body
            ids |= {task.task_id for task in body.tasks}
            token = body.next_token
            if not token:
                break
        assert ids == JOBS

    def test_gets_and_stops(self, three_client: Any) -> None:
        get = three_models.GetAsyncTaskRequest(qualifier="prod")
        stop = three_models.StopAsyncTaskRequest(qualifier="prod")
        task = three_client.get_async_task("transcode", "job-2", get).body
        assert (task.status, json.loads(task.task_payload)) == ("Running", {"order": "o-2"})
        assert three_client.stop_async_task("transcode", "job-2", stop).status_code == 200
        assert three_client.get_async_task("transcode", "job-2", get).body.status == "Stopping"

    def test_lists_configurations(self, three_client: Any) -> None:
        request = three_models.ListAsyncInvokeConfigsRequest(limit=10)
        configs = three_client.list_async_invoke_configs(request).body.configs
        assert [c.function_arn.rpartition("/")[2] for c in configs] == ["LATEST", "prod"]
        assert all(c.async_task for c in configs)

    def test_invokes_with_an_id_once(self, three_client: Any) -> None:
        accepted = self._invoke(three_client, "mine-1")
        assert accepted.status_code == 202
        request = three_models.GetAsyncTaskRequest(qualifier="prod")
        assert three_client.get_async_task("transcode", "mine-1", request).body.task_payload == "payload"
        with pytest.raises(AlibabaCloudException) as refused:
            self._invoke(three_client, "mine-1")
        assert (refused.value.status_code, refused.value.code) == (409, "AsyncTaskAlreadyExists")

    @staticmethod
    def _invoke(client: Any, task_id: str) -> Any:
        headers = three_models.InvokeFunctionHeaders(x_fc_async_task_id=task_id, x_fc_invocation_type="Async")
        request = three_models.InvokeFunctionRequest(body="payload", qualifier="prod")
        return client.invoke_function_with_options("transcode", request, headers, RuntimeOptions())

    @pytest.mark.parametrize(
        ("secret", "function", "task", "status", "code"),
        [
            ("wrong", "transcode", "job-1", 403, "SignatureNotMatch"),
            ("emulator-secret", "nothing", "job-1", 404, "FunctionNotFound"),
            ("emulator-secret", "transcode", "done-1", 412, "AsyncTaskAlreadyCompleted"),
            ("emulator-secret", "transcode", "elsewhere-1", 404, "AsyncTaskNotFound"),
        ],
    )
    def test_reports_errors(
        self, emulator: Emulator, secret: str, function: str, task: str, status: int, code: str
    ) -> None:
        client = ThreeClient(_config(emulator, secret))
        with pytest.raises(AlibabaCloudException) as refused:
            client.stop_async_task(function, task, three_models.StopAsyncTaskRequest(qualifier="prod"))
        assert (refused.value.status_code, refused.value.code) == (status, code)
        assert refused.value.request_id

    def test_switches_task_mode(self, three_client: Any) -> None:
        body = three_models.PutAsyncInvokeConfigInput(async_task=False)
        request = three_models.PutAsyncInvokeConfigRequest(body=body, qualifier="prod")
        assert three_client.put_async_invoke_config("transcode", request).body.async_task is False
        read = three_models.GetAsyncInvokeConfigRequest(qualifier="prod")
        assert three_client.get_async_invoke_config("transcode", read).body.async_task is False
