"""Which functions exist in task mode: asked only when a target is a pattern."""

from __future__ import annotations

from functools import partial

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError
from fc_reaper.models import Function, FunctionsPage
from fc_reaper.sweep.pool import Pool, Work
from fc_reaper.sweep.ports import Cloud

_MOST_PAGES = 1_000


def existing(cloud: Cloud, crew: Pool, *, services: bool, until: Deadline) -> list[Function]:
    """All functions in task mode; *services* chooses Function Compute 2.0, else 3.0.

    Raises:
        CloudError: the listing failed, or did not end in time; what was seen of it is not handed out,
            since nothing follows from a part.
    """
    found: dict[Function, None] = {}
    work: Work[int, FunctionsPage] = Work()
    ask = partial(cloud.functions_page, services=services, deadline=until)
    work.add(1, ask)
    for done in crew.each(work, until):
        try:
            page = done.result()
        except TimeoutError:
            break
        found.update(dict.fromkeys(page.functions))
        if page.token is None:
            return list(found)
        if done.tag < _MOST_PAGES:
            work.add(done.tag + 1, partial(ask, token=page.token))
    raise CloudError("the functions could not be listed to their end", error_code="OutOfTime")
