"""Parse an event into a `Trigger`, outermost envelope first.

Each part is refused by itself, and no bytes whatever make this raise.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from fc_reaper.errors import EventRefused, kind_of
from fc_reaper.events.command import check_envelope, meaning, read_command, refuse_repeats, wish_in
from fc_reaper.events.decode import BLANKS, BRACKETS, JsonObject, json_in, parse
from fc_reaper.events.envelopes import CloudEvent, decode_text, http_request, message_of
from fc_reaper.events.trigger import Note, NoteEvent, OwnAccount, Reading, Request, Selector, Trigger

if TYPE_CHECKING:
    from fc_reaper.events.alerts import Alert

MOST_BYTES = 1_048_576
"""The largest event in bytes, inclusive."""

MOST_ELEMENTS = 10_000
"""The most elements in all lists of an event, inclusive: the largest window of a stream.
https://www.alibabacloud.com/help/en/functioncompute/fc/advanced-features-of-triggers"""

MOST_LAYERS = 8
"""The most envelopes, lists and encoded texts around a command, inclusive."""

ANYWHERE = OwnAccount()

_TIMER_KEYS = ("triggerTime", "triggerName", "payload")
_TRIGGER_NAME = r"[A-Za-z0-9_.-]{1,128}"
_LONGEST_PATH = 200


def parse_event(event: Any, own_account: OwnAccount = ANYWHERE) -> Trigger:
    """Parse an event: bytes, text, a decoded JSON value, or None. Never raises: a refusal becomes a note.

    At most 1 MiB is read (1,048,576 bytes, inclusive), at most 64 levels deep (inclusive). No bytes, blanks
    and `{}` select everything. Alerts about another region or account than *own_account* are ignored.
    """
    parser, place = _Parser(own_account), _Place()
    try:
        raw = event if isinstance(event, bytes) else _bytes_of(event)
        if len(raw) > MOST_BYTES:
            raise EventRefused(f"the event has {len(raw)} bytes; at most {MOST_BYTES} are read")
        text = raw.decode("utf-8-sig").strip(BLANKS)
        if text.startswith(BRACKETS) or (value := decode_text(text)) is None:
            value = parse(text or "{}")
        else:
            place = place.inside("text")
        parser.read(value, place)
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8; send the event as UTF-8 JSON"
        parser.note("trigger_refused", why, place)
    except EventRefused as refusal:
        parser.note("trigger_refused", refusal.why, place)
    requests, notes, readings = tuple(parser.requests.values()), tuple(parser.notes), tuple(parser.readings)
    kinds = {request.kind for request in requests}
    kind = next((kind for kind in ("timer", "alert", "command", "task") if kind in kinds), "alert")
    return Trigger(requests, parser.dry_run_asked_at, notes, readings, parser.http, kind)


def _bytes_of(event: Any) -> bytes:
    if isinstance(event, (bytearray, memoryview)):
        return bytes(event)
    try:
        text = event if isinstance(event, str) else "" if event is None else json.dumps(event)
    except (TypeError, ValueError, RecursionError):
        raise EventRefused("it is no JSON value; send bytes, text or what JSON can hold") from None
    return text.encode("utf-8", "surrogatepass")


class _Place(NamedTuple):
    """A place in the event: its part, its path, the layers around it, and whose command stands there."""

    part: str = ""
    path: str = ""
    layers: tuple[str, ...] = ()
    kind: str = "command"
    name: str | None = None

    def inside(self, layer: str, key: str = "") -> _Place:
        """The place of what *layer* holds, in an object under *key*."""
        if len(self.layers) >= MOST_LAYERS:
            raise EventRefused(f"it is wrapped more than {MOST_LAYERS} times")
        return self._replace(path=f"{self.path}.{key}" if key else self.path, layers=(*self.layers, layer))

    def element(self, index: int) -> _Place:
        """The place of an element of the list that stands here."""
        at = f"[{index}]"
        return self._replace(part=self.part + at, path=self.path + at, layers=(*self.layers, "list"))


@dataclass
class _Parser:
    """Opens layer after layer; each method reads one kind of value at one place, or raises EventRefused.

    Identical requests are one. A wish for a dry run is never taken back by another part.
    """

    own_account: OwnAccount
    requests: dict[tuple[str, str | None, Selector], Request] = field(default_factory=dict)
    dry_run_asked_at: str | None = None
    notes: list[Note] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    http: bool = False
    identities: dict[tuple[str, str], str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    elements: int = 0

    def read(self, value: Any, place: _Place) -> None:
        """Read one part by itself; a refusal is noted and stops no other part."""
        try:
            if place.kind == "timer":
                self._timer_command(value, place)
            elif isinstance(value, JsonObject):
                self._object(value, place)
            elif isinstance(value, list) and (value or place.layers[-1:] == ("list",)):
                self._list(value, place)
            elif isinstance(value, str) and (inner := decode_text(value)) is not None:
                self.read(inner, place.inside("text"))
            else:
                self._unrecognised(value, place)
        except EventRefused as refusal:
            self._hear(value, place)
            self.refused.add(place.part)
            self.note("trigger_refused", refusal.why, place)

    def note(self, event: NoteEvent, why: str, place: _Place) -> None:
        """Note what becomes of the part at *place*."""
        self.notes.append(Note(event, why, place.part))

    def _hear(self, value: Any, place: _Place, *, beside: str = "", quoting: bool = False) -> None:
        """Hear the wish for a dry run in *value*, in an object only in what stands *beside* this key."""
        if self.dry_run_asked_at is None:
            if beside:
                value = JsonObject((key, one) for key, one in value.items() if key != beside)
            if (found := wish_in(value, quoting=quoting)) is not None:
                self.dry_run_asked_at = (place.path + found).lstrip(".")[:_LONGEST_PATH] or "event"

    def _list(self, elements: list[Any], place: _Place) -> None:
        if place.layers[-1:] == ("list",):
            raise EventRefused("a list within a list; write one list")
        self.elements += len(elements)
        if self.elements > MOST_ELEMENTS:
            raise EventRefused(f"it has more than {MOST_ELEMENTS} elements")
        for index, element in enumerate(elements):
            self.read(element, place.element(index))

    def _object(self, data: JsonObject, place: _Place) -> None:
        marks = data.keys() & {"triggerTime", "triggerName"}
        if marks and data.keys() <= set(_TIMER_KEYS):
            self._timer(data, place)
            return
        if not data:
            self._request(place, Selector())
            return
        from fc_reaper.events.alerts import read_alerts  # a timer does without

        if (alerts := read_alerts(data)) is not None:
            self._alerts(data, alerts, place)
        elif len(marks) == 2:
            self._timer(data, place)
        elif CloudEvent.fits(data):
            self._cloud_event(data, place)
        elif (request := http_request(data)) is not None:
            self._http(data, *request, place)
        elif (message := message_of(data)) is not None:
            check_envelope(data, {message.content} | message.marks, message.content)
            self._hear(data, place, beside=message.content)
            self.read(data[message.content], place.inside(message.layer, message.content))
        elif data.keys() >= {"jobName", "source", "taskId"}:
            self._unrecognised(data, place)  # of a log trigger, whose taskId is that of its own job
        elif (selector := read_command(data)) is not None:
            self._hear(data, place)
            self._request(place, selector)
        else:
            self._unrecognised(data, place)

    def _timer(self, data: JsonObject, place: _Place) -> None:
        """Read the event of Function Compute's own timer.

        Its payload is the text typed into the trigger, so a command in it is JSON inside JSON.
        https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/time-triggers
        """
        name, payload, others = data.get("triggerName"), data.get("payload"), data.keys() - _TIMER_KEYS
        if others or data.repeated:
            check_envelope(data, _TIMER_KEYS, "the timer's payload")
        if not isinstance(name, str) or not re.fullmatch(_TRIGGER_NAME, name):
            name = None
        if payload or others:
            self._hear(data, place)
        path, layers = f"{place.path}.payload", (*place.layers, "timer")
        self.read(payload, _Place(place.part, path, layers, "timer", name))

    def _timer_command(self, payload: Any, place: _Place) -> None:
        """Read what the payload holds; nothing, plain words and somebody else's object select everything."""
        opened, in_list = payload, place.layers[-1:] == ("list",)
        while isinstance(opened, str):
            opened = json_in(opened)
        if isinstance(opened, list) and opened:
            self._list(opened, place)
        elif isinstance(opened, JsonObject):
            self._request(place, read_command(opened) or Selector())
        elif opened in (None, []) and not in_list:
            self._request(place, Selector())
        else:
            what = kind_of(payload)
            raise EventRefused(f"{what} as a command of the timer; write the text of a JSON object")

    def _cloud_event(self, data: JsonObject, place: _Place) -> None:
        check_envelope(data, CloudEvent.model_fields, "data")
        event = CloudEvent.model_validate(data)
        identity = event.identity
        if identity in self.identities:
            self._hear(data, place)
            first = self.identities[identity] or "the whole"
            self.note("trigger_ignored", f"the same event as {first}: same source and id", place)
            return
        self._hear(data, place, beside=event.content_key)
        self.read(data.get(event.content_key), place.inside("cloudevent", event.content_key))
        if identity and place.part not in self.refused:
            # One that was refused may be sent again, corrected, under the same id.
            self.identities[identity] = place.part

    def _http(self, data: JsonObject, query: JsonObject, body: Any, place: _Place) -> None:
        self.http |= not place.layers
        refuse_repeats(data, data)
        check_envelope(data, (), "the body")
        selector = read_command(query) or Selector()
        self._hear(data, place, beside="body")
        inner = place.inside("http request", "body")
        if body is None:
            self._request(inner, selector)
        elif selector == Selector():
            self.read(body, inner)
        else:
            raise EventRefused("the query selects, and there is a body too; write the command in one of them")

    def _alerts(self, data: JsonObject, alerts: list[Alert], place: _Place) -> None:
        from fc_reaper.events.alerts import follow

        self._hear(data, place, quoting=True)
        for alert in alerts:
            at = place._replace(part=place.part + alert.part, kind="alert")
            alert = alert._replace(names=[JsonObject(one) for one in alert.names])
            self._hear([*alert.names], at, quoting=True)  # dimensions may have been text
            selectors, notes = follow(alert, self.own_account)
            if selectors and any(meaning(key, ("invocationId", "taskId")) for key in data):
                # It would be read as wider than it was meant.
                why = "an alert cannot name one task; send a command with functionName and invocationId"
                raise EventRefused(why)
            for event, why in notes:
                self.note(event, why, at)
            self._request(at, *selectors, source=alert.source, state=alert.word)

    def _unrecognised(self, value: Any, place: _Place) -> None:
        self._hear(value, place)
        why = f"{kind_of(value)} that is neither a command nor a known alert"
        self.note("trigger_unrecognised", why, place)
        self._request(place._replace(kind="alert"), Selector(), source="unrecognised")

    def _request(
        self, place: _Place, *selectors: Selector, source: str = "", state: str | None = None
    ) -> None:
        """Request what the part at *place*, which is from *source*, selects."""
        self.readings.append(Reading(place.part, place.layers, source or place.kind, state))
        for selector in selectors:
            named = selector.invocation_id is not None
            kind, name = ("task", None) if named else (place.kind, place.name)
            self.requests.setdefault((kind, name, selector), Request(kind, name, selector, place.part))
