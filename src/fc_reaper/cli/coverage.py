"""What is known of each function in task mode: who watches it, and its native limits."""

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
from fc_reaper.errors import CloudError
from fc_reaper.models import Function, Query, Target, spellings
from fc_reaper.policy import Policy
from fc_reaper.sweep.scope import is_own

Listed = dict[bool, list[Function] | None]  # in task mode: of 2.0 for True, of 3.0 for False; None: unknown
Watching = Mapping[Policy, str]  # what each policy does with what it finds
Answers = dict[tuple[Function, str], Any]  # by function and operation: anything, or a CloudError

_NO_TASK = "fc-reaper-doctor-reads-no-task"  # where tasks may be read, reading this one is answered by 404
_Number = Annotated[int | None, BeforeValidator(lambda one: one if type(one) is int and one >= 0 else None)]


class Coverage(BaseModel):
    """One function. Null is what is not known, of limits also what nobody has set."""

    model_config = ConfigDict(populate_by_name=True)
    service: str | None
    function: str
    qualifier: str
    watched_by: dict[str, Literal["enforced", "dry run", "not approved", "reports"]]
    uncovered: bool = Field(description="Whether nobody watches it; fc-reaper itself needs nobody.")
    timeout_s: _Number = Field(default=None, validation_alias="timeout")
    event_age_s: _Number = Field(default=None, validation_alias="maxAsyncEventAgeInSeconds")
    retries: _Number = Field(default=None, validation_alias="maxAsyncRetryAttempts")


def cover(listed: Listed, watching: Watching, answers: Answers, ourselves: Target | None) -> list[Coverage]:
    """Each function, those that nobody watches first."""
    functions: dict[Function, dict[str, Any]] = {one: {} for each in listed.values() for one in each or ()}
    rows = []
    for (about, _), answer in answers.items():
        if isinstance(answer, dict) and about in functions:
            functions[about] |= answer
    for one, known in functions.items():
        if one.service is None and not functions.keys().isdisjoint(spellings(one)[1:]):
            continue  # it is listed by its other name too
        by = {its.name: does for its, does in watching.items() if any(map(its.watches, spellings(one)))}
        known |= dict(zip(("service", "function", "qualifier"), one, strict=True))
        known |= {"watched_by": by, "uncovered": not (by or is_own(one, ourselves))}
        rows.append(Coverage.model_validate(known))
    return sorted(rows, key=lambda one: not one.uncovered)


def inspect(cloud: AsyncTaskClient, pool: Pool, functions: Sequence[Function], until: Deadline) -> Answers:
    """Make four calls about each function, which only read, and show the progress."""
    jobs: Jobs[tuple[Function, str], Any] = deque()
    for one in functions:
        names = ASYNC_TASK if one.service is None else STATEFUL
        config = "GetAsyncInvokeConfig" if one.service is None else "GetFunctionAsyncInvokeConfig"
        calls: dict[str, Callable[..., Any]] = {
            f"List{names.task}s": partial(cloud.list_page, Query(one)),
            f"Get{names.task}": partial(cloud.get, one, _NO_TASK),
            "GetFunction": partial(cloud.get_function, one),
            config: partial(_read_config, cloud, one, config),
        }
        jobs += [((one, name), partial(call, deadline=until)) for name, call in calls.items()]
    answers = Answers()
    with output.progress("Reading the functions", len(jobs)) as advance:
        for key, answer in pool.each(jobs, until):
            # One that was not asked in time is only listed.
            answers |= {} if isinstance(answer, CloudError) and answer.out_of_time else {key: answer}
            advance(1)
    return answers


def _read_config(cloud: AsyncTaskClient, one: Function, operation: str, *, deadline: Deadline) -> Any:
    _, path, query = path_of(cloud._version, one)
    return cloud._read(operation, f"{path}/async-invoke-config", query, deadline).value


def coverage_table(rows: Iterable[Coverage]) -> Table:
    """A row for each function."""
    heads, drawn = ("function", "watched by", "timeout", "waits", "retries"), []
    for one in rows:
        by = ", ".join(f"{name} ({does})" for name, does in one.watched_by.items())
        watched = Text("nobody", output.BAD) if one.uncovered else by or "fc-reaper itself"
        lengths = map(output.format_seconds, (one.timeout_s, one.event_age_s))
        retries = "-" if one.retries is None else str(one.retries)
        drawn.append((output.short(one.service, one.function, one.qualifier), watched, *lengths, retries))
    return output.table(heads, drawn, right=heads[2:])
