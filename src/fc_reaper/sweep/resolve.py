"""Which one task an event means that names an invocation id."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.model import Function
from fc_reaper.sightings import Sighting
from fc_reaper.sweep.crew import Crew, Work
from fc_reaper.sweep.ports import Cloud
from fc_reaper.trigger import Ask


class Resolved(NamedTuple):
    """The one task, or why there is none. `answered` says whether the cloud answered at all."""

    sighting: Sighting | None
    refusal: str | None
    failures: tuple[tuple[Function, CloudError], ...]
    answered: bool


def resolve(cloud: Cloud, ask: Ask, candidates: Sequence[Function], crew: Crew, until: Deadline) -> Resolved:
    """Read the task under every function it may belong to; exactly one of them must know it.

    While one of them could not be read nobody knows that the task is the only one of its id.
    """
    found, failures, answered = _read_all(cloud, ask, candidates, crew, until)
    if failures:
        why = "it is not certain which task is meant: not every function among the targets could be read"
        return Resolved(None, why, tuple(failures), answered)
    if not found:
        return Resolved(None, "no task of this invocation id among the targets", (), answered)
    if len(found) > 1:
        places = ", ".join(str(sighting.task.function) for sighting in found[:5])
        why = f"several tasks have this invocation id: {places}; name service, function and qualifier"
        return Resolved(None, why, (), answered)
    return Resolved(found[0], None, (), answered)


def _read_all(
    cloud: Cloud, ask: Ask, candidates: Sequence[Function], crew: Crew, until: Deadline
) -> tuple[list[Sighting], list[tuple[Function, CloudError]], bool]:
    work: Work[Function, Sighting] = Work()
    for function in candidates:
        work.add(function, partial(cloud.get, function, ask.narrowing.invocation_id or "", deadline=until))
    found: list[Sighting] = []
    failures: list[tuple[Function, CloudError]] = []
    answered = False
    for done in crew.each(work, until):
        try:
            found.append(done.result())
        except CloudError as error:
            answered = answered or error.http_status is not None
            if error.http_status != 404:
                failures.append((done.tag, error))
        except InvalidName as error:
            failures.append((done.tag, CloudError(str(error), error_code="InvalidName")))
        except TimeoutError:
            failures.append((done.tag, CloudError("the time was up", error_code="TimedOut")))
    return found, failures, answered or bool(found)
