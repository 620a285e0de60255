"""How a call fails: one typed error for every refusal, silence and nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fc2 import FcError

from fc_reaper.errors import CloudError


class _FcFace(FcError):  # type: ignore[misc]  # fc2 has no types
    """Lets fc2's error stand among the bases of one that is built from a single text."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 0)


class CallFailed(CloudError, _FcFace):
    """A call that did not end well. Code written for fc2 catches it as `fc2.FcError`.

    `status_code` (0 without an answer), `err_code`, `request_id` (empty if unknown) and `message` (JSON text)
    repeat for such code what `http_status`, `error_code`, `fc_request_id` and `detail` say.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        error_code: str = "",
        fc_request_id: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        unclear: bool = False,
    ) -> None:
        super().__init__(
            message,
            http_status=http_status,
            error_code=error_code,
            fc_request_id=fc_request_id,
            retryable=retryable,
            retry_after=retry_after,
            unclear=unclear,
        )
        self.status_code = http_status or 0
        self.err_code = error_code
        self.request_id = fc_request_id or ""
        self.message = json.dumps(
            {"ErrorCode": error_code, "ErrorMessage": message, "RequestId": self.request_id}
        )

    def __reduce__(self) -> tuple[Callable[..., CallFailed], tuple[str, dict[str, Any]]]:
        facts = {name: getattr(self, name) for name in _FACTS}
        return _rebuild, (self.detail, facts)


_FACTS = ("http_status", "error_code", "fc_request_id", "retryable", "retry_after", "unclear")


def _rebuild(message: str, facts: dict[str, Any]) -> CallFailed:
    return CallFailed(message, **facts)


def aborted() -> CallFailed:
    """Nothing is asked any more: the run was told to end."""
    return CallFailed("the client was closed; nothing more is sent through it", error_code="Aborted")


def out_of_time(operation: str) -> CallFailed:
    """The deadline came before this attempt could begin."""
    return CallFailed(f"no time was left for {operation}", error_code="OutOfTime", retryable=True)
