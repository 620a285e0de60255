"""fc2's client with the operations that it lacks for asynchronous tasks."""

from __future__ import annotations

from fc_reaper.clock import Deadline
from fc_reaper.cloud.api import Answer, names_for
from fc_reaper.cloud.errors import CallFailed, unreadable
from fc_reaper.cloud.records import json_object, read_functions_page, read_page, read_task
from fc_reaper.cloud.transport import Transport
from fc_reaper.models import Function, FunctionsPage, Millis, Page, Snapshot
from fc_reaper.names import check_id_prefix

WITH_PAYLOAD = 25
"""Tasks a page with payloads of up to 128 KB each: many pages are in flight at once, and memory is small."""


class AsyncTaskClient(Transport):
    """The asynchronous tasks of one account in one region; see `Transport` for its arguments.

    Reads are retried until *deadline* (see `Retry`). A stop never is. Every method raises:
        CallFailed: a `CloudError` and a `fc2.FcError`: refused, not understood, or not answered.
        InvalidName: a name or id that the platform could not have given; nothing was sent.
        SettingsError: the API version cannot name the function; nothing was sent.
    """

    def stop(self, function: Function, invocation_id: str, *, deadline: Deadline | None = None) -> Millis:
        """Request once that a task be stopped, and return the moment of the answer.

        Returning means accepted, not stopped. After an error only the task's own status says whether
        the cloud obeyed: read it before asking again.
        https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-stopstatefulasyncinvocation
        """
        return self._send(self._api.stop(function, invocation_id), deadline).moment

    def get(self, function: Function, invocation_id: str, *, deadline: Deadline | None = None) -> Snapshot:
        """Read one task. A record about something else is returned with an `inconsistency`."""
        answer = self._read(self._api.get(function, invocation_id), deadline)
        return Snapshot(read_task(function, json_object(answer), invocation_id), answer.moment)

    def list_page(
        self,
        function: Function,
        *,
        status: str | None = None,
        started_before: Millis | None = None,
        id_prefix: str = "",
        token: str | None = None,
        include_payload: bool = False,
        deadline: Deadline | None = None,
    ) -> Page:
        """List one page of tasks, those with the oldest `startedTime` first.

        *status* is one status name, None for all. *started_before* is sent as `startedTimeEnd`; whether that
        bound is itself inside is not documented. A page holds 100 tasks, 25 with payloads. Absence from a
        list proves nothing: it lags some seconds behind.
        """
        check_id_prefix(id_prefix)
        filters = {
            **_page(WITH_PAYLOAD if include_payload else 100, token),
            "sortOrderByTime": "asc",
            "includePayload": "true" if include_payload else "false",
        }
        if status is not None:
            filters["status"] = status
        if started_before is not None:
            filters["startedTimeEnd"] = str(started_before)
        if id_prefix:
            filters[names_for(function).prefix] = id_prefix
        return read_page(function, self._read(self._api.list(function, filters), deadline), token)

    def functions_page(
        self, *, services: bool, token: str | None = None, deadline: Deadline | None = None
    ) -> FunctionsPage:
        """List one page of the functions in task mode: those with a service, or those of FC 3.0.

        FC 3.0 has no such list; its asynchronous configurations say the same.
        """
        request = self._api.functions(services=services, page=_page(100, token))
        return read_functions_page(self._read(request, deadline), token, services=services)

    def invoke_async(
        self,
        function: Function,
        payload: bytes,
        *,
        invocation_id: str | None = None,
        deadline: Deadline | None = None,
    ) -> str:
        """Submit a task, and return its request id.

        It is retried only with an *invocation_id*, since the platform refuses a second task of that id. If
        such a refusal follows an unclear attempt, that attempt had worked, and its request id is unknown: an
        empty text is returned.
        """
        request = self._api.invoke_async(function, payload, invocation_id)
        unclear = False

        def attempt() -> str:
            nonlocal unclear
            try:
                return _accepted(self._send(request, deadline))
            except CallFailed as error:
                if unclear and error.http_status == 409:
                    return ""
                unclear = unclear or error.unclear
                raise

        return attempt() if invocation_id is None else self._retry(attempt, deadline)


def _accepted(answer: Answer) -> str:
    if answer.status != 202:
        raise unreadable(answer, "this is no answer to an asynchronous invocation (202); it may have run")
    return answer.request_id or ""


def _page(limit: int, token: str | None) -> dict[str, str]:
    return {"limit": str(limit), **({"nextToken": token} if token else {})}
