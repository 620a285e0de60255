"""Which one task an event means that names an invocation id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.events import Request
from fc_reaper.models import Function, Snapshot
from fc_reaper.sweep.pool import Done, Pool, Work
from fc_reaper.sweep.ports import Cloud


@dataclass
class Resolved:
    """What was found of the task that an ask names, function by function."""

    found: list[Snapshot] = field(default_factory=list)
    failures: list[tuple[Function, CloudError]] = field(default_factory=list)
    answered: bool = False
    undiscovered: bool = False
    """Whether nobody knows all the functions that the task may belong to."""

    @property
    def uncertain(self) -> bool:
        """Whether it is for want of answers that no task is meant."""
        return bool(self.failures) or self.undiscovered

    @property
    def refusal(self) -> str | None:
        """Why it is not certain which task is meant; None when there is exactly one.

        While one function could not be read nobody knows that the task is the only one of its id.
        """
        if self.uncertain:
            return "it is not certain which task is meant: not every function among the targets could be read"
        if not self.found:
            return "no task of this invocation id among the targets"
        if len(self.found) > 1:
            places = ", ".join(sorted(str(sighting.task.function) for sighting in self.found)[:5])
            return f"several tasks have this invocation id: {places}; name service, function and qualifier"
        return None


def resolve(
    cloud: Cloud, candidates: Mapping[Request, Sequence[Function]], crew: Pool, until: Deadline
) -> dict[Request, Resolved]:
    """Read the task of each ask under every function it may belong to."""
    work: Work[tuple[Request, Function], Snapshot] = Work()
    resolved = {ask: Resolved() for ask in candidates}
    for ask, functions in candidates.items():
        invocation_id = ask.selector.invocation_id or ""
        for function in functions:
            work.add((ask, function), partial(cloud.get, function, invocation_id, deadline=until))
    for done in crew.each(work, until):
        _note(resolved[done.tag[0]], done)
    return resolved


def _note(resolved: Resolved, done: Done[tuple[Request, Function], Snapshot]) -> None:
    function = done.tag[1]
    try:
        resolved.found.append(done.result())
        resolved.answered = True
    except CloudError as error:
        resolved.answered = resolved.answered or error.missing
        if not error.missing:
            resolved.failures.append((function, error))
    except InvalidName as error:
        resolved.failures.append((function, CloudError(str(error), error_code="InvalidName")))
    except TimeoutError:
        late = CloudError("the time was up", error_code="OutOfTime", retryable=True)
        resolved.failures.append((function, late))
