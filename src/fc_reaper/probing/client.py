"""The client of a probe, which can address nothing but its own tasks of one function, the sleeper."""

import json
import re
from typing import Any

from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.api import ASYNC_TASK, STATEFUL, WITHOUT_SERVICES, Answer, path_of
from fc_reaper.cloud.errors import CallFailed
from fc_reaper.errors import InvalidName
from fc_reaper.models import LATEST, Function

SLEEPER = "fc-reaper-probe"  # the function, and in FC 2.0 its service too; nothing sets another name

_PLACE = rf"/[0-9-]+/(?:services/{SLEEPER}(?:\.[\w-]+)?/)?functions/{SLEEPER}"
_OWN = re.compile(rf"{_PLACE}/(?:invocations|[a-z]+-[a-z-]+(?:/probe-[\w-]+(?:/stop)?)?)", re.ASCII)


class SleeperClient(AsyncTaskClient):
    """Calls about the tasks of one run, by names that end their ids, until `until`; answers as they came.

    Every method raises `CallFailed`, and `InvalidName` for any other function: `_do_request`, which every
    request passes, knows no other path.
    """

    until: float | None = None

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        service, names = (None, ASYNC_TASK) if self._version == WITHOUT_SERVICES else (SLEEPER, STATEFUL)
        self._service, self.names, self.prefix = service, names, f"probe-{more['trace_id']}-"

    def submit(self, name: str, qualifier: str, payload: dict[str, Any], delay: int) -> None:
        """Submit a task that begins *delay* seconds late; it is never sent twice."""
        function, body = Function(self._service, SLEEPER, qualifier), json.dumps(payload).encode()
        self.invoke_async(function, body, invocation_id=self.prefix + name, delay=delay)

    def ask(self, verb: str, name: str = "", qualifier: str = LATEST, **filters: str) -> Answer:
        """Get or Stop a task, or List those whose names begin so. A stop is never sent twice."""
        listed = verb == "List"
        task = {"id_prefix" if listed else "invocation_id": self.prefix + name}
        _, path, query = path_of(self._version, Function(self._service, SLEEPER, qualifier), **task)
        operation = f"{verb}{self.names.task}"
        if verb == "Stop":
            return self._do_request("PUT", path + self.names.stop_suffix, {}, query, operation=operation)
        if listed:
            operation, path = f"{operation}s", f"{path}/{self.names.collection}"
        return self._read(operation, path, query | filters, self.until)

    def said(self, verb: str, name: str, qualifier: str = LATEST) -> str:
        """The status of an answer, with the code of a refusal; one that is unclear or passing raises."""
        try:
            return str(self.ask(verb, name, qualifier).status)
        except CallFailed as error:
            if error.unclear or error.retryable:
                raise
            return f"{error.http_status} {error.error_code}"

    def _do_request(self, method: str, path: str, *args: Any, **more: Any) -> Answer:
        if not _OWN.fullmatch(path):
            raise InvalidName(f"{path} is not about the function {SLEEPER}, and probe addresses no other")
        return super()._do_request(method, path, *args, **{"deadline": self.until, **more})
