"""Parse an event into a `Trigger`, outermost envelope first.

Each part is refused by itself, and no bytes whatever make this raise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fc_reaper.errors import EventRefused
from fc_reaper.events.command import (
    Command,
    check_envelope,
    has_dry_run_key,
    meaning,
    mentions_dry_run,
    parse_inner,
    read_command,
    refuse_repeats,
    wishes_dry_run,
)
from fc_reaper.events.decode import BLANKS, BRACKETS, JsonObject, parse
from fc_reaper.events.envelopes import CloudEvent, decode_text, http_request, message_of, unquoted
from fc_reaper.events.trigger import Note, NoteEvent, OwnAccount, Reading, Request, Selector, Trigger
from fc_reaper.names import kind_of

if TYPE_CHECKING:
    from fc_reaper.events.alerts import Alert

MOST_BYTES = 1_048_576
"""The largest event in bytes, inclusive."""

MOST_ELEMENTS = 10_000
"""The most elements in all lists of an event, inclusive: the largest window of a stream.
https://www.alibabacloud.com/help/en/functioncompute/fc/advanced-features-of-triggers"""

MOST_LAYERS = 8
"""The most envelopes around a part, inclusive; real events have fewer than five."""

MOST_NOTES = 100
"""The most notes of one event that are logged one by one; the rest is counted, one line for each kind."""

MOST_TEXTS = 3
"""How often the payload of a timer may be text within text, inclusive."""

ANYWHERE = OwnAccount()

_BROADEST_FIRST = ("timer", "alert", "command", "task")
_TIMER_KEYS = ("triggerTime", "triggerName", "payload")
_TRIGGER_NAME = r"[A-Za-z0-9_.-]{1,128}"


def parse_event(raw: bytes, own_account: OwnAccount = ANYWHERE) -> Trigger:
    """Parse the bytes of an event. Never raises: what cannot be followed becomes a note.

    At most 1 MiB is read (1,048,576 bytes, inclusive), at most 64 levels deep (inclusive). No bytes, blanks
    and `{}` select everything. Alerts about another region or account than *own_account* are ignored.
    """
    parser = _Parser(own_account)
    parser.attempt(parser.event, raw, _Place())
    more = "{} more parts of the event, not listed"
    notes = (*parser.notes, *(Note(one, more.format(n), "") for one, n in parser.more_notes.items()))
    requests = tuple(parser.requests.values())
    kinds = {request.kind for request in requests}
    kind = next((kind for kind in _BROADEST_FIRST if kind in kinds), "alert")
    return Trigger(requests, parser.dry_run, notes, tuple(parser.readings), parser.http, kind)


class _Place(NamedTuple):
    """A place in the event: the part, and the layers around it."""

    part: str = ""
    layers: tuple[str, ...] = ()

    def inside(self, layer: str) -> _Place:
        if len(self.layers) >= MOST_LAYERS:
            raise EventRefused(f"it is wrapped more than {MOST_LAYERS} times")
        return _Place(self.part, (*self.layers, layer))


class _Parser:
    """Opens layer after layer; each method reads one kind of value at one place, or raises EventRefused.

    Identical requests are one. A wish for a dry run is never taken back by another part.
    """

    def __init__(self, own_account: OwnAccount) -> None:
        self.http = self.dry_run = False
        self.requests: dict[tuple[str, str | None, Selector], Request] = {}
        self.notes: list[Note] = []
        self.more_notes: Counter[NoteEvent] = Counter()
        self.readings: list[Reading] = []
        self._own_account = own_account
        self._identities: dict[tuple[str, str], str] = {}
        self._elements = 0

    def attempt(self, read: Callable[[Any, _Place], None], value: Any, place: _Place) -> None:
        """Read one part by itself; a refusal is noted and stops no other part."""
        try:
            read(value, place)
        except EventRefused as refusal:
            self.dry_run |= refusal.dry_run
            self._note("trigger_refused", refusal.why, place)

    def event(self, raw: bytes, place: _Place) -> None:
        """Read the whole event. Text that is no JSON must be a form or base64; plain words are refused."""
        if len(raw) > MOST_BYTES:
            raise EventRefused(f"the event has {len(raw)} bytes; at most {MOST_BYTES} are read")
        try:
            text = bytes(raw).decode("utf-8-sig").strip(BLANKS)
        except UnicodeDecodeError as error:
            raise EventRefused(f"byte {error.start} is not UTF-8; send the event as UTF-8 JSON") from None
        if text.startswith(BRACKETS) or (value := decode_text(text)) is None:
            self._value(parse(text or "{}"), place)
        else:
            self._value(value, place.inside("text"))

    def _value(self, value: Any, place: _Place) -> None:
        """Read a value of any kind; of one that is refused the wish for a dry run still counts."""
        try:
            if isinstance(value, JsonObject):
                self._object(value, place)
            elif isinstance(value, list) and value:
                self._list(self._element, value, place)
            elif isinstance(value, str):
                # JSON encoded once more, a form, base64 of either, or plain words.
                text = value.strip(BLANKS)
                inner = parse_inner(text) if text.startswith(BRACKETS) else decode_text(text)
                if inner is None:
                    self._unrecognised(text, place)
                else:
                    self._value(inner, place.inside("text"))
            else:
                self._unrecognised(value, place)
        except EventRefused as refusal:
            refusal.dry_run = refusal.dry_run or wishes_dry_run(value, in_texts=True)
            raise

    def _list(self, read: Callable[[Any, _Place], None], elements: list[Any], place: _Place) -> None:
        self._elements += len(elements)
        if self._elements > MOST_ELEMENTS:
            raise EventRefused(f"it has more than {MOST_ELEMENTS} elements")
        for index, element in enumerate(elements):
            self.attempt(read, element, _Place(f"{place.part}[{index}]", (*place.layers, "list")))

    def _element(self, element: Any, place: _Place) -> None:
        if isinstance(element, list):
            wish = wishes_dry_run(element, in_texts=True)
            raise EventRefused("a list within a list; write one list", dry_run=wish)
        self._value(element, place)

    def _object(self, data: JsonObject, place: _Place) -> None:
        marks = data.keys() & {"triggerTime", "triggerName"}
        if marks and data.keys() <= set(_TIMER_KEYS):
            self._timer(data, place)
            return
        from fc_reaper.events.alerts import read_alerts  # a timer does without

        if (alerts := read_alerts(data)) is not None:
            self._alerts(data, alerts, place)
        elif len(marks) == 2:
            self._timer(data, place)
        elif CloudEvent.fits(data):
            self._cloud_event(data, place)
        elif (request := http_request(data)) is not None:
            refuse_repeats(data, data)
            check_envelope(data, (), "the body")
            self.http |= not place.layers
            query = read_command(request.query) or Command()
            self.dry_run |= query.dry_run
            inner = place.inside("http request")
            if request.body is None:
                self._read_as("command", inner)
                self._request("command", query.selector, inner)
            elif query.selector == Selector():
                self._value(request.body, inner)
            else:
                why = "the query selects, and there is a body too; write the command in one of them"
                raise EventRefused(why)
        elif (message := message_of(data)) is not None:
            check_envelope(data, {message.content} | message.marks, message.content)
            self._value(data[message.content], place.inside(message.layer))
        elif (command := read_command(data)) is not None:
            self._command(command, "command", place)
        else:
            self._unrecognised(data, place)

    def _command(self, command: Command, kind: str, place: _Place, name: str | None = None) -> None:
        self._read_as(kind, place)
        self.dry_run |= command.dry_run
        self._request(kind, command.selector, place, name)

    def _timer(self, data: JsonObject, place: _Place) -> None:
        """Read the event of Function Compute's own timer.

        Its payload is the text typed into the trigger, so a command in it is JSON inside JSON.
        https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/time-triggers
        """
        check_envelope(data, _TIMER_KEYS, "the timer's payload")
        name = data.get("triggerName")
        if not isinstance(name, str) or not re.fullmatch(_TRIGGER_NAME, name):
            name = None
        payload = _opened(data.get("payload"))
        if isinstance(payload, list) and payload:
            self._list(partial(self._timer_command, name), payload, place)
            return
        if payload is None:
            # Plain words are no command, but a dry run that they mention counts.
            self.dry_run |= mentions_dry_run(data.get("payload"))
        self._timer_command(name, JsonObject() if payload in (None, []) else payload, place)

    def _timer_command(self, name: str | None, element: Any, place: _Place) -> None:
        """One command of a timer, an object or the text of one; somebody else's object selects everything."""
        payload = _opened(element)
        try:
            if not isinstance(payload, JsonObject):
                why = f"{kind_of(element)} as a command of the timer; write the text of a JSON object"
                raise EventRefused(why, dry_run=wishes_dry_run(element, in_texts=True))
            self._command(read_command(payload) or Command(), "timer", place, name)
        except EventRefused as refusal:
            refusal.dry_run = refusal.dry_run or wishes_dry_run(payload, in_texts=True)
            raise

    def _cloud_event(self, data: JsonObject, place: _Place) -> None:
        check_envelope(data, CloudEvent.model_fields, "data")
        event = CloudEvent.model_validate(data)
        first = self._identities.get(event.identity) if event.identity else None
        if first is not None:
            self.dry_run |= wishes_dry_run(data, in_texts=True)
            why = f"the same event as {first or 'the whole'}: same source and id"
            self._note("trigger_ignored", why, place)
            return
        self._value(event.content, place.inside("cloudevent"))
        if event.identity:
            # Only now: one that was refused may be sent again, corrected, under the same id.
            self._identities[event.identity] = place.part

    def _alerts(self, data: JsonObject, alerts: list[Alert], place: _Place) -> None:
        if not all(alert.ignored for alert in alerts):
            if any(meaning(key, ("invocationId",)) for key in data):
                # It would be read as wider than it was meant.
                why = "an alert cannot name one task; send a command with functionName and invocationId"
                raise EventRefused(why)
            self.dry_run |= has_dry_run_key(data)
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
        self.dry_run |= wishes_dry_run(value)
        self._read_as("unrecognised", place)
        self._alert_for_all(f"{kind_of(value)} that is neither a command nor a known alert", place)

    def _alert_for_all(self, why: str, place: _Place) -> None:
        self._note("trigger_unrecognised", why, place)
        self._request("alert", Selector(), place)

    def _request(self, kind: str, selector: Selector, place: _Place, name: str | None = None) -> None:
        if selector.invocation_id is not None:
            kind, name = "task", None
        self.requests.setdefault((kind, name, selector), Request(kind, name, selector, place.part))

    def _note(self, event: NoteEvent, why: str, place: _Place) -> None:
        if len(self.notes) < MOST_NOTES:
            self.notes.append(Note(event, why, place.part))
        else:
            self.more_notes[event] += 1

    def _read_as(self, source: str, place: _Place, state: str | None = None) -> None:
        if len(self.readings) < MOST_NOTES:
            self.readings.append(Reading(*place, source, state))


def _opened(payload: Any) -> Any:
    """What the payload of a timer holds once its text is opened; None if it is absent, empty or plain words.

    Raises:
        EventRefused: text that begins like an object or a list is not JSON, or text is quoted too often.
    """
    for _ in range(MOST_TEXTS):
        if isinstance(payload, str):
            text = payload.strip(BLANKS)
            if text.startswith(BRACKETS):
                payload = parse_inner(text)
            else:
                payload = unquoted(text) if text.startswith('"') else None
    if isinstance(payload, str):
        raise EventRefused(f"the timer's payload is text within text more than {MOST_TEXTS} times")
    return payload
