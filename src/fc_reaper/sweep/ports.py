"""What a sweep needs of the cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fc_reaper.clock import Deadline
from fc_reaper.models import Function, FunctionsPage, Millis, Page, Snapshot


class Cloud(Protocol):
    """The calls a sweep makes. Each raises `CloudError`; reads are retried inside, a stop never is."""

    def functions_page(
        self, *, services: bool, token: str | None = None, deadline: Deadline | None = None
    ) -> FunctionsPage: ...

    def list_page(
        self,
        function: Function,
        *,
        status: str | None = None,
        started_before: Millis | None = None,
        id_prefix: str = "",
        include_payload: bool = False,
        token: str | None = None,
        deadline: Deadline | None = None,
    ) -> Page: ...

    def get(
        self, function: Function, invocation_id: str, *, deadline: Deadline | None = None
    ) -> Snapshot: ...

    def take_turns(self, calls: int, deadline: Deadline | None) -> None:
        """Wait until so many calls may begin at once; the next ones of this thread then need not wait."""
        ...

    def stop(self, function: Function, invocation_id: str, *, deadline: Deadline | None = None) -> Millis: ...

    def close(self) -> None: ...

    @property
    def skew_ms(self) -> Millis: ...


Jitter = Callable[[], float]
"""A number from 0 up to 1."""
