"""What an event comes to: requests, each with a selector, and notes about its other parts."""

from __future__ import annotations

from typing import Literal, NamedTuple

NoteEvent = Literal["trigger_ignored", "trigger_unrecognised", "trigger_refused"]


class OwnAccount(NamedTuple):
    """The region and account of the reaper. None means unknown; nothing is then taken for foreign."""

    region: str | None = None
    account: str | None = None


class Selector(NamedTuple):
    """The part of the policy's targets that a request is about; None selects all.

    Each value has the shape of a name on the platform, so none of them is a pattern.
    """

    service: str | None = None
    function: str | None = None
    qualifier: str | None = None
    invocation_id: str | None = None


class Request(NamedTuple):
    """One request of an event: a run over the targets that `selector` leaves.

    `kind` (timer, alert, command, task) is compared with a policy's `triggers`; `name` is the timer's, else
    None. `part` is where it comes from: `""` for the whole event, `[2]` for the third element of a list.
    """

    kind: str
    name: str | None
    selector: Selector
    part: str


class Note(NamedTuple):
    """A log line about one part of the event. `why` is one line of ASCII and shows no value of the event."""

    event: NoteEvent
    why: str
    part: str


class Reading(NamedTuple):
    """How a part was recognised: envelopes around it, outermost first, its sender, an alert's own state."""

    part: str
    layers: tuple[str, ...]
    source: str
    state: str | None = None


class Trigger(NamedTuple):
    """A parsed event. It starts a run, narrows it, or makes it a dry run; it cannot do more.

    `dry_run_asked_at` is the path to the first wish for a dry run (`[2].data.dryRun`; `event`: the whole
    text), which holds for the whole run, whichever part of the event has it; None without one.
    `http` is true if the caller expects an answer in the shape of an HTTP trigger.
    `kind` is the broadest kind among the requests (timer, alert, command, task); alert if there are none.
    """

    requests: tuple[Request, ...]
    dry_run_asked_at: str | None
    notes: tuple[Note, ...]
    readings: tuple[Reading, ...] = ()
    http: bool = False
    kind: str = "alert"

    @property
    def dry_run(self) -> bool:
        """Whether the event wishes a dry run."""
        return self.dry_run_asked_at is not None

    @property
    def refused(self) -> bool:
        """Whether there are no requests because something was refused."""
        return not self.requests and any(note.event == "trigger_refused" for note in self.notes)
