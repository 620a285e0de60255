"""Single calls with any method, path and header, signed by the code of the official SDKs."""

from __future__ import annotations

import email.utils
import hashlib
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import requests
from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest
from fc2.auth import Auth

Query = dict[str, str | int]

V2016, V2021, V2023 = "2016-08-15", "2021-04-06", "2023-03-30"
VERSIONS = (V2016, V2021, V2023)


@dataclass
class Caller:
    """Signs and sends. `skew` seconds are added to every date, `extra` headers are signed too."""

    endpoint: str
    key: str = "emulator"
    secret: str = "emulator-secret"
    token: str | None = None
    skew: float = 0
    extra: dict[str, str] = field(default_factory=dict)
    timeout: float = 30

    def __call__(
        self, method: str, path: str, query: Query | None = None, body: bytes = b""
    ) -> requests.Response:
        """Sign with the scheme of the version that *path* begins with, and send."""
        headers = self.headers(method, path, query or {}, body)
        return self.send(method, path, query, body, headers)

    def send(
        self, method: str, path: str, query: Query | None, body: bytes, headers: dict[str, str]
    ) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method, self.endpoint + path, params=query, data=body, headers=headers, timeout=self.timeout
            )

    def headers(self, method: str, path: str, query: Query, body: bytes) -> dict[str, str]:
        if path.startswith(f"/{V2016}"):
            return self.fc(method, path)
        return self.acs3(method, path, query, body)

    def fc(self, method: str, path: str) -> dict[str, str]:
        headers = {"content-type": "application/json", **self.extra}
        headers.setdefault("date", email.utils.formatdate(time.time() + self.skew, usegmt=True))
        if self.token is not None:
            headers["x-fc-security-token"] = self.token
        headers["authorization"] = Auth(self.key, self.secret).sign_request(method, unquote(path), headers)
        return headers

    def acs3(self, method: str, path: str, query: Query, body: bytes) -> dict[str, str]:
        digest = hashlib.sha256(body).hexdigest()
        headers = {
            "host": self.endpoint.removeprefix("http://"),
            "x-acs-version": path.split("/")[1],
            "x-acs-action": action_of(method, path),
            "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.skew)),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": digest,
            **self.extra,
        }
        if self.token is not None:
            headers |= {"x-acs-security-token": self.token, "x-acs-accesskey-id": self.key}
        request = DaraRequest()
        request.method, request.pathname, request.headers = method, path, headers
        request.query = {name: str(value) for name, value in query.items()}
        signed = Utils.get_authorization(request, "ACS3-HMAC-SHA256", digest, self.key, self.secret)
        return {**headers, "authorization": signed}


def action_of(method: str, path: str) -> str:
    """The documented name of an operation."""
    _, version, *parts = path.split("/")
    three = version == V2023
    config = "AsyncInvokeConfig" if three else "FunctionAsyncInvokeConfig"
    by_last = {
        "PUT stop": "StopAsyncTask",
        "GET async-tasks": "ListAsyncTasks",
        "GET async-invoke-configs": "ListAsyncInvokeConfigs",
        "GET stateful-async-invocations": "ListStatefulAsyncInvocations",
        "GET stateful-async-invocation-functions": "ListStatefulAsyncInvocationFunctions",
        "POST invocations": "InvokeFunction",
        "PUT async-invoke-config": f"Put{config}",
        "GET async-invoke-config": f"Get{config}",
        "GET services": "ListServices",
        "GET functions": "ListFunctions",
    }
    by_kind = {
        "GET async-tasks": "GetAsyncTask",
        "GET stateful-async-invocations": "GetStatefulAsyncInvocation",
        "PUT stateful-async-invocations": "StopStatefulAsyncInvocation",
        "GET services": "GetService",
        "GET functions": "GetFunction",
    }
    kind = parts[-2] if len(parts) > 1 else ""
    return by_last.get(f"{method} {parts[-1] if parts else ''}") or by_kind.get(f"{method} {kind}", "Nothing")


@dataclass(frozen=True)
class Api:
    """One function in one API version, with the same methods for all three."""

    call: Caller
    version: str
    function: str = "transcode"
    qualifier: str | None = "prod"
    service: str = "media"

    def page(self, **query: str | int) -> requests.Response:
        return self._send("GET", self.tasks_path, query)

    def get(self, task_id: str) -> requests.Response:
        return self._send("GET", f"{self.tasks_path}/{task_id}", {})

    def stop(self, task_id: str) -> requests.Response:
        return self._send(
            "PUT", f"{self.tasks_path}/{task_id}" + ("/stop" if self.version == V2023 else ""), {}
        )

    def invoke(self, headers: dict[str, str] | None = None, body: bytes = b"{}") -> requests.Response:
        caller = Caller(self.call.endpoint, extra={**self.call.extra, **(headers or {})})
        path, query = self.path + "/invocations", self._query({})
        return caller("POST", path, query, body)

    def ids(self, **query: str | int) -> list[str]:
        """The ids on a page, in the order of the page."""
        return [str(task[self.id_key]) for task in self.page(**query).json()[self.tasks_key]]

    def config(self, method: str, body: bytes = b"") -> requests.Response:
        return self.call(method, self.path + "/async-invoke-config", self._query({}), body)

    def _send(self, method: str, path: str, query: Query) -> requests.Response:
        return self.call(method, path, self._query(query))

    def _query(self, query: Query) -> Query:
        named = self.version != V2016 and self.qualifier is not None
        return {**query, "qualifier": str(self.qualifier)} if named else query

    @property
    def path(self) -> str:
        if self.version == V2023:
            return f"/{V2023}/functions/{self.function}"
        dotted = f".{self.qualifier}" if self.version == V2016 and self.qualifier else ""
        return f"/{self.version}/services/{self.service}{dotted}/functions/{self.function}"

    @property
    def tasks_path(self) -> str:
        return f"{self.path}/{'async-tasks' if self.version == V2023 else 'stateful-async-invocations'}"

    @property
    def tasks_key(self) -> str:
        return "tasks" if self.version == V2023 else "invocations"

    @property
    def id_key(self) -> str:
        return "taskId" if self.version == V2023 else "invocationId"

    @property
    def id_header(self) -> str:
        return "x-fc-async-task-id" if self.version == V2023 else "x-fc-stateful-async-invocation-id"

    def code(self, answer: requests.Response) -> str:
        """The error code of a response, after a check of the shape of its body."""
        body: dict[str, Any] = answer.json()
        if self.version == V2016:
            assert set(body) == {"ErrorCode", "ErrorMessage"}
            return str(body["ErrorCode"])
        assert set(body) == {"Code", "Message", "RequestId"}
        assert body["RequestId"] == answer.headers["X-Fc-Request-Id"]
        return str(body["Code"])

    def named(self, code: str) -> str:
        """The name of an error code of Function Compute 2.0 in this version."""
        renamed = code.replace("StatefulAsyncInvocation", "AsyncTask")
        return renamed if self.version == V2023 else code
