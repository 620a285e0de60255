"""What has been found so far while an event is read, part by part."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from fc_reaper.errors import EventRefused
from fc_reaper.events.trigger import (
    ALERT,
    IGNORED,
    REFUSED,
    TASK,
    UNRECOGNISED,
    Note,
    Reading,
    Request,
    Selector,
    Trigger,
)

MOST_NOTES = 100
"""So many notes of one event are told one by one; the rest is counted, a line for each kind."""

MOST_LAYERS = 8
"""An event may be wrapped so often, the limit included; real ones stay below five."""


class Place(NamedTuple):
    """Where in the event we are: which part, and inside which layers."""

    part: str = ""
    layers: tuple[str, ...] = ()

    def element(self, index: int) -> Place:
        """The place of one element of the list that is here."""
        return self._replace(part=f"{self.part}[{index}]", layers=(*self.layers, "list"))

    def inside(self, layer: str) -> Place:
        """The place of what *layer* wraps.

        Raises:
            EventRefused: it is wrapped more often than any sender does.
        """
        if len(self.layers) >= MOST_LAYERS:
            raise EventRefused(f"it is wrapped more than {MOST_LAYERS} times")
        return self._replace(layers=(*self.layers, layer))


class Findings:
    """Collects asks, notes and the wish for a dry run; identical asks are one."""

    def __init__(self) -> None:
        self._http = False
        self._dry_run = False
        self._asks: dict[tuple[str, str | None, Selector], Request] = {}
        self._notes: list[Note] = []
        self._untold: Counter[str] = Counter()
        self._readings: list[Reading] = []
        self._identities: dict[tuple[str, str], str] = {}

    def ask(self, kind: str, narrowing: Selector, place: Place, name: str | None = None) -> None:
        """Somebody asks; to name a task by its id makes any ask one of kind task."""
        if narrowing.invocation_id is not None:
            kind, name = TASK, None
        self._asks.setdefault((kind, name, narrowing), Request(kind, name, narrowing, place.part))

    def dry_run(self, wish: bool) -> None:
        """A wish for a dry run is never taken back by another part."""
        self._dry_run = self._dry_run or wish

    def refuse(self, refusal: EventRefused, place: Place) -> None:
        """A part cannot be obeyed; its wish for a dry run still counts, for it can do no harm."""
        self.dry_run(refusal.dry_run)
        self._note(REFUSED, refusal.why, place)

    def ignore(self, why: str, place: Place) -> None:
        """A part was understood and asks for nothing."""
        self._note(IGNORED, why, place)

    def doorbell(self, why: str, place: Place) -> None:
        """A part says no more than that something happened somewhere."""
        self._note(UNRECOGNISED, why, place)
        self.ask(ALERT, Selector(), place)

    def read_as(self, source: str, place: Place, state: str | None = None) -> None:
        """Remember how a part was understood."""
        if len(self._readings) < MOST_NOTES:
            self._readings.append(Reading(place.part, place.layers, source, state))

    def first_with(self, identity: tuple[str, str]) -> str | None:
        """The earlier part of the same identity that was read; None when there is none."""
        return self._identities.get(identity)

    def remember(self, identity: tuple[str, str], place: Place) -> None:
        """Note that a part of this identity has been read."""
        self._identities[identity] = place.part

    def answer_http(self, wanted: bool) -> None:
        """Whether the caller waits for an answer in HTTP shape."""
        self._http = self._http or wanted

    def trigger(self) -> Trigger:
        """All of it."""
        return Trigger(
            tuple(self._asks.values()),
            self._dry_run,
            (*self._notes, *self._rest()),
            tuple(self._readings),
            self._http,
        )

    def _note(self, event: str, why: str, place: Place) -> None:
        if len(self._notes) < MOST_NOTES:
            self._notes.append(Note(event, why, place.part))
        else:
            self._untold[event] += 1

    def _rest(self) -> list[Note]:
        return [
            Note(event, f"{count} more parts of the event, not listed", "")
            for event, count in self._untold.items()
        ]
