"""What an event comes to: the asks it makes of the reaper, and what is to be said about the rest of it."""

from __future__ import annotations

from typing import NamedTuple

TIMER, ALERT, COMMAND, TASK = "timer", "alert", "command", "task"

_BROADEST_FIRST = (TIMER, ALERT, COMMAND, TASK)

IGNORED = "trigger_ignored"
UNRECOGNISED = "trigger_unrecognised"
REFUSED = "trigger_refused"


class Selector(NamedTuple):
    """Which of the targets an ask is about. None means not narrowed by this part.

    Every part that is given has the shape the platform gives such names, so that it holds no pattern.
    """

    service: str | None = None
    function: str | None = None
    qualifier: str | None = None
    invocation_id: str | None = None


class Request(NamedTuple):
    """One thing the event asks for: look at the targets that the narrowing leaves.

    `kind` is what a policy's `triggers` are compared with: timer, alert, command, task.
    `name` is the timer's triggerName; None where there is none.
    `part` says which element of the event asked: `""` for the whole, `[2]` for the third of a list.
    """

    kind: str
    name: str | None
    narrowing: Selector
    part: str


class Note(NamedTuple):
    """One line for the log about a part of the event. `why` is one line of ASCII, without payload values."""

    event: str
    why: str
    part: str


class Reading(NamedTuple):
    """How one part was understood, for people who ask.

    `layers` names what it was wrapped in, outermost first. `source` says who sent it.
    `state` is the alert's own word, None where the source has none.
    """

    part: str
    layers: tuple[str, ...]
    source: str
    state: str | None = None


class Trigger(NamedTuple):
    """An event, understood. It can make a run look, look at less, or dry_run: it holds no other wish.

    `dry-run` is for the whole run, whichever part wrote it.
    `http` is true when the caller waits for an answer in the shape of an HTTP trigger.
    """

    requests: tuple[Request, ...]
    dry_run: bool
    notes: tuple[Note, ...]
    readings: tuple[Reading, ...] = ()
    http: bool = False

    @property
    def kind(self) -> str:
        """The broadest kind among the requests (timer, alert, command, task); alert when nothing is asked."""
        kinds = {ask.kind for ask in self.requests}
        return next((kind for kind in _BROADEST_FIRST if kind in kinds), ALERT)

    @property
    def refused(self) -> bool:
        """Whether nothing is left to do because something was refused."""
        return not self.requests and any(note.event == REFUSED for note in self.notes)
