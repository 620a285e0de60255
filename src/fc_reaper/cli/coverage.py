"""What is known of each function in task mode: who watches it, its native limits, a page of its records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from rich.table import Table
from rich.text import Text

from fc_reaper.cli import output
from fc_reaper.clock import Deadline, Jobs, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.api import ASYNC_TASK, STATEFUL, path_of
from fc_reaper.models import Function, Page, Query

Answers = Mapping[str, Any]
"""What came back about one function by operation: a page of tasks, a task, an object, or a `CloudError`."""

_NO_TASK = "fc-reaper-doctor-reads-no-task"
"""An id that no task has: where tasks may be read, reading this one is answered by 404."""

_Number = Annotated[int | None, BeforeValidator(lambda one: one if type(one) is int and one >= 0 else None)]


class Coverage(BaseModel):
    """One function. Null is what is not known, of limits also what nobody has set."""

    model_config = ConfigDict(populate_by_name=True)
    service: str | None
    function: str
    qualifier: str
    watched_by: dict[str, Literal["enforced", "dry run", "not approved", "reports"]]
    itself: bool = Field(description="Whether it is fc-reaper's own function, which is never stopped.")
    timeout_s: _Number = Field(default=None, validation_alias="timeout")
    event_age_s: _Number = Field(default=None, validation_alias="maxAsyncEventAgeInSeconds")
    retries: _Number = Field(default=None, validation_alias="maxAsyncRetryAttempts")
    records: int | None = Field(description="Tasks on a page of at most 100.")

    @classmethod
    def of(
        cls, function: Function, answers: Answers, watched_by: Mapping[str, str], *, itself: bool
    ) -> Coverage:
        """What is known of *function*: https://help.aliyun.com/zh/functioncompute/api-fc-2023-03-30-getfunction"""
        known: dict[str, Any] = {"records": None}
        for answer in answers.values():
            known |= {"records": len(answer.tasks)} if isinstance(answer, Page) else {}
            known |= answer if isinstance(answer, dict) else {}
        place = zip(("service", "function", "qualifier"), function, strict=True)
        return cls.model_validate({**known, **dict(place), "watched_by": watched_by, "itself": itself})

    @property
    def uncovered(self) -> bool:
        """Whether nobody watches it."""
        return not (self.watched_by or self.itself)


def inspect(
    cloud: AsyncTaskClient, pool: Pool, functions: Sequence[Function], until: Deadline
) -> dict[Function, Answers]:
    """Make four calls about each function, which only read, and show the progress."""
    found: dict[Function, dict[str, Any]] = {one: {} for one in functions}
    jobs: Jobs[tuple[Function, str], Any] = deque()
    for one in functions:
        names = ASYNC_TASK if one.service is None else STATEFUL
        config = "GetAsyncInvokeConfig" if one.service is None else "GetFunctionAsyncInvokeConfig"
        calls: dict[str, Callable[..., Any]] = {
            f"List{names.task}s": partial(cloud.list_page, Query(one)),
            f"Get{names.task}": partial(cloud.get, one, _NO_TASK),
            "GetFunction": partial(_read, cloud, one, "GetFunction", ""),
            config: partial(_read, cloud, one, config, "/async-invoke-config"),
        }
        jobs += [((one, name), partial(call, deadline=until)) for name, call in calls.items()]
    with output.progress("Reading the functions", len(jobs)) as advance:
        for (one, name), answer in pool.each(jobs, until):
            found[one][name] = answer
            advance(1)
    return dict(found)


def _read(
    cloud: AsyncTaskClient, function: Function, operation: str, suffix: str, *, deadline: Deadline
) -> dict[str, Any]:
    _, path, query = path_of(cloud._version, function)
    return cloud._read(operation, path + suffix, query, deadline).value or {}


def coverage_table(rows: Iterable[Coverage]) -> Table:
    """A row for each function."""
    heads, drawn = ("function", "watched by", "timeout", "waits", "retries", "records"), []
    for one in rows:
        by = ", ".join(f"{name} ({does})" for name, does in one.watched_by.items())
        watched = Text("nobody", output.BAD) if one.uncovered else by or "fc-reaper itself"
        lengths = map(output.format_seconds, (one.timeout_s, one.event_age_s))
        numbers = ("-" if number is None else str(number) for number in (one.retries, one.records))
        drawn.append((output.short(one.service, one.function, one.qualifier), watched, *lengths, *numbers))
    return output.table(heads, drawn, right=heads[2:])
