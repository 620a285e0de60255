"""From bytes to a `Trigger`: the story of an event, outermost layer first.

What is refused is refused part by part, and no bytes whatever make this raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from fc_reaper.errors import EventRefused
from fc_reaper.events import cloudevent, timer
from fc_reaper.events.alerts import Complaint, OwnAccount, read_alerts
from fc_reaper.events.command import Command, read_command, refuse_misplaced, refuse_repeats, refuse_task
from fc_reaper.events.decode import JsonObject, looks_like_json, parse, strip, text_of
from fc_reaper.events.dry_run import (
    asks_for_dry_run,
    mentions_dry_run,
    parse_guarded,
    says_dry_run,
    wishes_dry_run,
)
from fc_reaper.events.envelopes import Carrier, HttpRequest, carrier_of, http_request, unsealed
from fc_reaper.events.findings import Findings, Place
from fc_reaper.events.names import kind_of
from fc_reaper.events.trigger import ALERT, COMMAND, TIMER, Selector, Trigger

MOST_ELEMENTS = 10_000
"""The lists of an event may have so many elements, the limit included: the largest window of a stream.
https://www.alibabacloud.com/help/en/functioncompute/fc/advanced-features-of-triggers"""

ANYWHERE = OwnAccount()


def parse_event(raw: bytes, *, home: OwnAccount = ANYWHERE) -> Trigger:
    """Understand the bytes of an event. Never raises: what cannot be obeyed is a note in the answer.

    At most 1 MiB is read (1,048,576 bytes included), nested at most 64 deep (included). No bytes, blanks and
    `{}` narrow nothing. Alerts of another region or account than *home*'s are ignored; what home does not
    know is not compared.
    """
    findings = Findings()
    try:
        _Reader(findings, home).whole(raw)
    except EventRefused as refusal:
        findings.refuse(refusal, Place())
    return findings.trigger()


class _Reader:
    """Opens layer after layer. Every method reads one sort of thing at one place, or raises EventRefused."""

    def __init__(self, findings: Findings, home: OwnAccount) -> None:
        self._findings = findings
        self._home = home
        self._elements = 0

    def whole(self, raw: bytes) -> None:
        """Read the event itself. Text that is no JSON must be a form or base64; words alone are refused."""
        text = text_of(raw)
        if not text:
            self._object(JsonObject(), Place())
        elif (value := unsealed(text)) is not None:
            self._value(value, Place().inside("text"))
        else:
            self._value(parse(text), Place())

    def _value(self, value: Any, place: Place) -> None:
        if isinstance(value, JsonObject):
            self._guarded(value, place)
        elif isinstance(value, list):
            self._list(value, place)
        elif isinstance(value, str):
            self._text(strip(value), place)
        else:
            self._doorbell(value, place)

    def _text(self, text: str, place: Place) -> None:
        """Text inside something: JSON encoded once more, a form, base64 of either, or just words."""
        value = parse_guarded(text) if looks_like_json(text) else unsealed(text)
        if value is None:
            self._doorbell(text, place)
        else:
            self._value(value, place.inside("text"))

    def _list(self, elements: list[Any], place: Place) -> None:
        if not elements:
            self._doorbell(elements, place)
        for element, its_place in self._counted(elements, place):
            self._apart(self._element, element, its_place)

    def _counted(self, elements: list[Any], place: Place) -> Iterator[tuple[Any, Place]]:
        self._elements += len(elements)
        if self._elements > MOST_ELEMENTS:
            raise EventRefused(f"it has more than {MOST_ELEMENTS} elements; no stream delivers so many")
        return ((element, place.element(index)) for index, element in enumerate(elements))

    def _apart(self, read: Callable[[Any, Place], None], element: Any, place: Place) -> None:
        """Read one element; if it is bad, that is its own misfortune."""
        try:
            read(element, place)
        except EventRefused as refusal:
            self._findings.refuse(refusal, place)

    def _element(self, element: Any, place: Place) -> None:
        if isinstance(element, list):
            raise EventRefused("a list within a list; write one list", dry_run=mentions_dry_run(element))
        self._value(element, place)

    def _guarded(self, said: JsonObject, place: Place) -> None:
        try:
            self._object(said, place)
        except EventRefused as refusal:
            refusal.dry_run = refusal.dry_run or mentions_dry_run(said)
            raise

    def _object(self, said: JsonObject, place: Place) -> None:
        if (complaints := read_alerts(said)) is not None:
            self._alerts(said, complaints, place)
        elif timer.is_timer(said):
            self._timer(said, place)
        elif cloudevent.is_cloud_event(said):
            self._cloud_event(said, place)
        elif (request := http_request(said)) is not None:
            self._http(said, request, place)
        elif (carrier := carrier_of(said)) is not None:
            self._carried(said, carrier, place)
        elif not self._command(said, COMMAND, place):
            self._doorbell(said, place)

    def _command(self, said: JsonObject, kind: str, place: Place, name: str | None = None) -> bool:
        """Obey *said* if it is a command; whether it was one."""
        command = read_command(said)
        if command is not None:
            self._findings.read_as(kind, place)
            self._findings.dry_run(command.dry_run)
            self._findings.ask(kind, command.narrowing, place, name)
        return command is not None

    def _timer(self, said: JsonObject, place: Place) -> None:
        refuse_misplaced(said, "the timer's payload")
        refuse_repeats(said, timer.KEYS)
        name, payload = timer.trigger_name(said), timer.read_payload(said.get("payload"))
        if payload is None:
            # Words are no command, but whoever writes dryRun among them wants nothing stopped.
            self._findings.dry_run(says_dry_run(said.get("payload")))
        if not isinstance(payload, list) or not payload:
            self._rung(payload, place, name)
            return
        for element, its_place in self._counted(payload, place):
            self._apart(partial(self._timer_element, name), element, its_place)

    def _timer_element(self, name: str | None, element: Any, place: Place) -> None:
        self._rung(timer.read_element(element), place, name)

    def _rung(self, payload: Any, place: Place, name: str | None) -> None:
        """The timer rang, with a command or without."""
        try:
            commanded = isinstance(payload, JsonObject) and self._command(payload, TIMER, place, name)
        except EventRefused as refusal:
            refusal.dry_run = refusal.dry_run or mentions_dry_run(payload)
            raise
        if not commanded:
            self._findings.read_as(TIMER, place)
            self._findings.ask(TIMER, Selector(), place, name)

    def _cloud_event(self, said: JsonObject, place: Place) -> None:
        refuse_repeats(said, cloudevent.KEYS)
        refuse_misplaced(said, "data")
        identity = cloudevent.identity(said)
        first = self._findings.first_with(identity) if identity else None
        if first is not None:
            self._findings.dry_run(mentions_dry_run(said))
            self._findings.ignore(f"the same event as {first or 'the whole'}: same source and id", place)
            return
        self._value(cloudevent.content(said), place.inside("cloudevent"))
        if identity:
            # Only now: one that was refused may be sent again, mended, under the same id.
            self._findings.remember(identity, place)

    def _http(self, said: JsonObject, request: HttpRequest, place: Place) -> None:
        refuse_repeats(said, said)
        refuse_misplaced(said, "the body")
        self._findings.answer_http(not place.layers)
        command = read_command(request.query) or Command(Selector(), False)
        self._findings.dry_run(command.dry_run)
        inner = place.inside("http request")
        if request.is_empty:
            self._findings.read_as(COMMAND, inner)
            self._findings.ask(COMMAND, command.narrowing, inner)
        elif command.narrowing != Selector():
            raise EventRefused("the query narrows, and there is a body too; write the command in one of them")
        else:
            self._value(request.body, inner)

    def _carried(self, said: JsonObject, carrier: Carrier, place: Place) -> None:
        refuse_repeats(said, (carrier.content, *carrier.marks))
        refuse_misplaced(said, carrier.content)
        self._value(said[carrier.content], place.inside(carrier.name))

    def _alerts(self, said: JsonObject, complaints: list[Complaint], place: Place) -> None:
        if not all(one.ignored for one in complaints):
            refuse_task(said)
            self._findings.dry_run(wishes_dry_run(said))
        for one in complaints:
            self._complaint(one, place._replace(part=place.part + one.part))

    def _complaint(self, one: Complaint, place: Place) -> None:
        self._findings.read_as(one.source, place, one.state)
        if one.ignored is not None:
            self._findings.ignore(one.ignored, place)
        for why in one.refused:
            self._findings.refuse(EventRefused(f"the {one.source} names what cannot be: {why}"), place)
        if not (one.ignored or one.refused or one.whom):
            self._findings.doorbell(f"the {one.source} names no function", place)
        for whom in one.whom:
            foreign = whom.foreign(self._home)
            if foreign is not None:
                self._findings.ignore(f"the {one.source} is about another {foreign} than the reaper's", place)
            else:
                self._findings.ask(ALERT, whom.narrowing, place)

    def _doorbell(self, value: Any, place: Place) -> None:
        self._findings.dry_run(asks_for_dry_run(value))
        self._findings.read_as("unrecognised", place)
        self._findings.doorbell(f"{kind_of(value)} that is neither a command nor an alert we know", place)
