"""Parse an event into a `Trigger`, outermost envelope first.

Each part is refused by itself, and no bytes whatever make this raise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from fc_reaper.errors import EventRefused
from fc_reaper.events.alerts import Alert, OwnAccount, read_alerts
from fc_reaper.events.command import (
    Command,
    check_envelope,
    has_dry_run_key,
    means,
    mentions_dry_run,
    parse_inner,
    read_command,
    wishes_dry_run,
)
from fc_reaper.events.decode import JsonObject, looks_like_json, parse, strip, text_of
from fc_reaper.events.envelopes import (
    TIMER_KEYS,
    CloudEvent,
    HttpRequest,
    Message,
    TimerEvent,
    decode_text,
    http_request,
    message_of,
    timer_payload,
)
from fc_reaper.events.trigger import Note, NoteEvent, Reading, Request, Selector, Trigger
from fc_reaper.names import kind_of

MOST_ELEMENTS = 10_000
"""The most elements in all lists of an event, inclusive: the largest window of a stream.
https://www.alibabacloud.com/help/en/functioncompute/fc/advanced-features-of-triggers"""

MOST_LAYERS = 8
"""The most envelopes around a part, inclusive; real events have fewer than five."""

MOST_NOTES = 100
"""The most notes of one event that are logged one by one; the rest is counted, one line for each kind."""

ANYWHERE = OwnAccount()


def parse_event(raw: bytes, own_account: OwnAccount = ANYWHERE) -> Trigger:
    """Parse the bytes of an event. Never raises: what cannot be obeyed becomes a note.

    At most 1 MiB is read (1,048,576 bytes, inclusive), at most 64 levels deep (inclusive). No bytes, blanks
    and `{}` select everything. Alerts about another region or account than *own_account* are ignored.
    """
    parser = _Parser(own_account)
    parser.attempt(parser.event, raw, _Place())
    return parser.trigger()


class _Place(NamedTuple):
    """A place in the event: the part, and the layers around it."""

    part: str = ""
    layers: tuple[str, ...] = ()

    def element(self, index: int) -> _Place:
        return _Place(f"{self.part}[{index}]", (*self.layers, "list"))

    def inside(self, layer: str) -> _Place:
        if len(self.layers) >= MOST_LAYERS:
            raise EventRefused(f"it is wrapped more than {MOST_LAYERS} times")
        return _Place(self.part, (*self.layers, layer))


@contextmanager
def _keeping_wish(value: Any) -> Iterator[None]:
    """If something within *value* is refused, a dry run that it requests still counts."""
    try:
        yield
    except EventRefused as refusal:
        refusal.dry_run = refusal.dry_run or wishes_dry_run(value, in_texts=True)
        raise


class _Parser:
    """Opens layer after layer; each method reads one kind of value at one place, or raises EventRefused.

    Identical requests are one. A wish for a dry run is never taken back by another part.
    """

    def __init__(self, own_account: OwnAccount) -> None:
        self._own_account = own_account
        self._http = False
        self._dry_run = False
        self._requests: dict[tuple[str, str | None, Selector], Request] = {}
        self._notes: list[Note] = []
        self._more_notes: Counter[NoteEvent] = Counter()
        self._readings: list[Reading] = []
        self._identities: dict[tuple[str, str], str] = {}
        self._elements = 0

    def trigger(self) -> Trigger:
        """All that has been read."""
        more = "{} more parts of the event, not listed"
        notes = [*self._notes, *(Note(one, more.format(n), "") for one, n in self._more_notes.items())]
        requests, readings = tuple(self._requests.values()), tuple(self._readings)
        return Trigger(requests, self._dry_run, tuple(notes), readings, self._http)

    def attempt(self, read: Callable[[Any, _Place], None], value: Any, place: _Place) -> None:
        """Read one part by itself; a refusal is noted and stops no other part."""
        try:
            read(value, place)
        except EventRefused as refusal:
            self._dry_run |= refusal.dry_run
            self._note("trigger_refused", refusal.why, place)

    def event(self, raw: bytes, place: _Place) -> None:
        """Read the whole event. Text that is no JSON must be a form or base64; plain words are refused."""
        text = text_of(raw)
        if not text:
            self._object(JsonObject(), place)
        elif (value := decode_text(text)) is not None:
            self._value(value, place.inside("text"))
        else:
            self._value(parse(text), place)

    def _value(self, value: Any, place: _Place) -> None:
        if isinstance(value, JsonObject):
            with _keeping_wish(value):
                self._object(value, place)
        elif isinstance(value, list) and value:
            self._list(self._element, value, place)
        elif isinstance(value, str):
            self._text(strip(value), place)
        else:
            self._unrecognised(value, place)

    def _text(self, text: str, place: _Place) -> None:
        """Text inside something: JSON encoded once more, a form, base64 of either, or plain words."""
        value = parse_inner(text) if looks_like_json(text) else decode_text(text)
        if value is None:
            self._unrecognised(text, place)
        else:
            self._value(value, place.inside("text"))

    def _list(self, read: Callable[[Any, _Place], None], elements: list[Any], place: _Place) -> None:
        self._elements += len(elements)
        if self._elements > MOST_ELEMENTS:
            raise EventRefused(f"it has more than {MOST_ELEMENTS} elements")
        for index, element in enumerate(elements):
            self.attempt(read, element, place.element(index))

    def _element(self, element: Any, place: _Place) -> None:
        if isinstance(element, list):
            wish = wishes_dry_run(element, in_texts=True)
            raise EventRefused("a list within a list; write one list", dry_run=wish)
        self._value(element, place)

    def _object(self, data: JsonObject, place: _Place) -> None:
        if (alerts := read_alerts(data)) is not None:
            self._alerts(data, alerts, place)
        elif TimerEvent.fits(data):
            self._timer(data, place)
        elif CloudEvent.fits(data):
            self._cloud_event(data, place)
        elif (request := http_request(data)) is not None:
            self._http_request(data, request, place)
        elif (message := message_of(data)) is not None:
            self._message(data, message, place)
        elif not self._command(data, "command", place):
            self._unrecognised(data, place)

    def _command(self, data: JsonObject, kind: str, place: _Place, name: str | None = None) -> bool:
        """Take *data* as a command, if it is one; whether it was."""
        command = read_command(data)
        if command is not None:
            self._read_as(kind, place)
            self._dry_run |= command.dry_run
            self._request(kind, command.selector, place, name)
        return command is not None

    def _timer(self, data: JsonObject, place: _Place) -> None:
        check_envelope(data, TIMER_KEYS, "the timer's payload")
        timer = TimerEvent.model_validate(data)
        payload = timer_payload(timer.payload)
        if isinstance(payload, list) and payload:
            self._list(partial(self._timer_command, timer), payload, place)
            return
        if payload is None:
            # Plain words are no command, but a dry run that they mention counts.
            self._dry_run |= mentions_dry_run(timer.payload)
        self._timer_command(timer, JsonObject() if payload in (None, []) else payload, place)

    def _timer_command(self, timer: TimerEvent, element: Any, place: _Place) -> None:
        """One command of a timer, an object or the text of one; somebody else's object selects everything."""
        payload = timer_payload(element)
        if not isinstance(payload, JsonObject):
            raise EventRefused(
                f"{kind_of(element)} as a command of the timer; write the text of a JSON object",
                dry_run=wishes_dry_run(element, in_texts=True),
            )
        with _keeping_wish(payload):
            if not self._command(payload, "timer", place, timer.name):
                self._command(JsonObject(), "timer", place, timer.name)

    def _cloud_event(self, data: JsonObject, place: _Place) -> None:
        check_envelope(data, CloudEvent.model_fields, "data")
        event = CloudEvent.model_validate(data)
        first = self._identities.get(event.identity) if event.identity else None
        if first is not None:
            self._dry_run |= wishes_dry_run(data, in_texts=True)
            why = f"the same event as {first or 'the whole'}: same source and id"
            self._note("trigger_ignored", why, place)
            return
        self._value(event.content, place.inside("cloudevent"))
        if event.identity:
            # Only now: one that was refused may be sent again, corrected, under the same id.
            self._identities[event.identity] = place.part

    def _http_request(self, data: JsonObject, request: HttpRequest, place: _Place) -> None:
        check_envelope(data, data, "the body")
        self._http |= not place.layers
        query = read_command(request.query) or Command()
        self._dry_run |= query.dry_run
        inner = place.inside("http request")
        if request.body is None:
            self._read_as("command", inner)
            self._request("command", query.selector, inner)
        elif query.selector != Selector():
            raise EventRefused("the query selects, and there is a body too; write the command in one of them")
        else:
            self._value(request.body, inner)

    def _message(self, data: JsonObject, message: Message, place: _Place) -> None:
        check_envelope(data, {message.content} | message.marks, message.content)
        self._value(data[message.content], place.inside(message.layer))

    def _alerts(self, data: JsonObject, alerts: list[Alert], place: _Place) -> None:
        if not all(alert.ignored for alert in alerts):
            if any(means(key, "invocationId") for key in data):
                # It would be read as wider than it was meant.
                why = "an alert cannot name one task; send a command with functionName and invocationId"
                raise EventRefused(why)
            self._dry_run |= has_dry_run_key(data)
        for alert in alerts:
            self._alert(alert, place._replace(part=place.part + alert.part))

    def _alert(self, alert: Alert, place: _Place) -> None:
        source = alert.source
        self._read_as(source, place, alert.state)
        if alert.ignored is not None:
            self._note("trigger_ignored", alert.ignored, place)
        for why in alert.refused:
            self._note("trigger_refused", f"the {source} gives an impossible name: {why}", place)
        if not (alert.ignored or alert.refused or alert.targets):
            self._alert_for_all(f"the {source} names no function", place)
        for target in alert.targets:
            if foreign := target.foreign(self._own_account):
                why = f"the {source} is about another {foreign} than the reaper's"
                self._note("trigger_ignored", why, place)
            else:
                self._request("alert", target.selector, place)

    def _unrecognised(self, value: Any, place: _Place) -> None:
        self._dry_run |= wishes_dry_run(value)
        self._read_as("unrecognised", place)
        self._alert_for_all(f"{kind_of(value)} that is neither a command nor a known alert", place)

    def _alert_for_all(self, why: str, place: _Place) -> None:
        self._note("trigger_unrecognised", why, place)
        self._request("alert", Selector(), place)

    def _request(self, kind: str, selector: Selector, place: _Place, name: str | None = None) -> None:
        if selector.invocation_id is not None:
            kind, name = "task", None
        self._requests.setdefault((kind, name, selector), Request(kind, name, selector, place.part))

    def _note(self, event: NoteEvent, why: str, place: _Place) -> None:
        if len(self._notes) < MOST_NOTES:
            self._notes.append(Note(event, why, place.part))
        else:
            self._more_notes[event] += 1

    def _read_as(self, source: str, place: _Place, state: str | None = None) -> None:
        if len(self._readings) < MOST_NOTES:
            self._readings.append(Reading(place.part, place.layers, source, state))
