"""What is known of each function in task mode: who watches it, and its native limits."""

from collections import ChainMap, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from rich.table import Table
from rich.text import Text

from fc_reaper.cli import output
from fc_reaper.clock import Deadline, Jobs, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.api import ASYNC_TASK, STATEFUL
from fc_reaper.errors import CloudError
from fc_reaper.models import Function, Query, Target, spellings
from fc_reaper.policy import Policy
from fc_reaper.sweep.scope import is_own

Listed = dict[bool, list[Function] | None]  # in task mode: of 2.0 for True, of 3.0 for False; None: unknown
Watching = Mapping[Policy, str]  # what each policy does with what it finds
Answers = dict[str, dict[Function, Any]]  # by operation and function: anything, or a CloudError

_NO_TASK = "fc-reaper-doctor-reads-no-task"  # where tasks may be read, reading this one is answered by 404
_Number = Annotated[int | None, BeforeValidator(lambda one: one if type(one) is int and one >= 0 else None)]


class Coverage(BaseModel):
    """One function. Null is what is not known, of limits also what nobody has set."""

    model_config = ConfigDict(populate_by_name=True)
    function: str = Field(description="As a target of a policy is written.")
    watched_by: dict[str, Literal["enforced", "dry run", "not approved", "reports"]]
    uncovered: bool = Field(description="Whether nobody watches it; fc-reaper itself needs nobody.")
    timeout_s: _Number = Field(default=None, validation_alias="timeout")
    event_age_s: _Number = Field(default=None, validation_alias="maxAsyncEventAgeInSeconds")
    retries: _Number = Field(default=None, validation_alias="maxAsyncRetryAttempts")


def cover(listed: Listed, watching: Watching, answers: Answers, ourselves: Target | None) -> list[Coverage]:
    """Each function, those that nobody watches first."""
    functions, rows = dict.fromkeys(one for each in listed.values() for one in each or ()), []
    for one in functions:
        if one.service is None and not functions.keys().isdisjoint(spellings(one)[1:]):
            continue  # it is listed by its other name too
        by = {its.name: does for its, does in watching.items() if any(map(its.watches, spellings(one)))}
        lone = not (by or is_own(one, ourselves))
        known = {"function": output.short(*one), "watched_by": by, "uncovered": lone}
        limits = [each[one] for each in answers.values() if isinstance(each.get(one), dict)]
        rows.append(Coverage.model_validate(dict(ChainMap(known, *limits))))
    return sorted(rows, key=lambda one: not one.uncovered)


def inspect(cloud: AsyncTaskClient, pool: Pool, functions: Sequence[Function], until: Deadline) -> Answers:
    """Make four calls about each function, which only read, and show the progress."""
    jobs: Jobs[tuple[str, Function], Any] = deque()
    for one in functions:
        names = ASYNC_TASK if one.service is None else STATEFUL
        config = "GetAsyncInvokeConfig" if one.service is None else "GetFunctionAsyncInvokeConfig"
        read = partial(cloud.get_configuration, one, deadline=until)
        calls: dict[str, Callable[..., Any]] = {
            f"List{names.task}s": partial(cloud.list_page, Query(one)),
            f"Get{names.task}": partial(cloud.get, one, _NO_TASK),
            "GetFunction": partial(cloud._retry.__call__, read),
            config: partial(cloud._retry.__call__, partial(read, "/async-invoke-config", config)),
        }
        jobs += [((name, one), partial(call, deadline=until)) for name, call in calls.items()]
    answers = Answers()
    with output.progress("Reading the functions", len(jobs)) as advance:
        for (name, one), answer in pool.each(jobs, until):
            advance(1)
            if not (isinstance(answer, CloudError) and answer.out_of_time):  # else it is only listed
                answers.setdefault(name, {})[one] = answer
    return answers


def coverage_table(rows: Iterable[Coverage]) -> Table:
    """A row for each function."""
    heads, drawn = ("function", "watched by", "timeout", "waits", "retries"), []
    for one in rows:
        by = ", ".join(f"{name} ({does})" for name, does in one.watched_by.items())
        watched = Text("nobody", output.BAD) if one.uncovered else by or "fc-reaper itself"
        lengths = map(output.format_seconds, (one.timeout_s, one.event_age_s))
        drawn.append((one.function, watched, *lengths, "-" if one.retries is None else str(one.retries)))
    return output.table(heads, drawn, right=heads[2:])
