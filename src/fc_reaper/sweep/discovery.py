"""Which functions exist in task mode: asked only when a target is a pattern."""

from __future__ import annotations

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError
from fc_reaper.model import Function
from fc_reaper.sweep.ports import Cloud

_MOST_PAGES = 1_000


def existing(cloud: Cloud, *, services: bool, until: Deadline) -> list[Function]:
    """All functions in task mode; *services* chooses Function Compute 2.0, else 3.0.

    Raises:
        CloudError: the listing failed, or did not end; what was seen of it is not handed out, since
            nothing follows from a part.
    """
    found: dict[Function, None] = {}
    token: str | None = None
    for _ in range(_MOST_PAGES):
        page = cloud.functions_page(services=services, token=token, deadline=until)
        found.update(dict.fromkeys(page.functions))
        if page.token is None:
            return list(found)
        token = page.token
    raise CloudError("the listing of functions does not end", error_code="UnreadableAnswer")
