"""Read an event layer by layer, the outermost first. Each part is refused by itself."""

from dataclasses import dataclass, field
from re import search
from typing import Any, NamedTuple

from fc_reaper.errors import EventRefused, kind_of
from fc_reaper.events import Note, OwnAccount, Request, Selector, Trigger
from fc_reaper.events.alerts import Alert, follow, read_alerts
from fc_reaper.events.command import check_envelope, meaning, read_command, refuse_repeats, wish_in
from fc_reaper.events.envelopes import CLOUD_EVENT, decode_text, http_request, message_of
from fc_reaper.events.parser import TIMER_KEYS, JsonObject, NoteEvent, Recognised, json_in, parse, timer_name

# The most elements in all lists of an event, inclusive, which is the largest window of a stream:
# https://www.alibabacloud.com/help/en/functioncompute/fc/advanced-features-of-triggers
MOST_ELEMENTS = 10_000
MOST_LAYERS = 8  # the most envelopes, lists and encoded texts around a command, inclusive
_LONGEST_PATH = 200


def read_layers(text: str, value: Any, own_account: OwnAccount) -> Trigger:
    """Read the *text* of an event, whose JSON *value* may be known; EventRefused if it is nothing known."""
    parser, place = _Parser(own_account), _Place()
    if value is None and (value := decode_text(text)) is not None:
        place = place.inside("text")
    parser.read(parse(text) if value is None else value, place)
    requests, notes, readings = tuple(parser.requests.values()), tuple(parser.notes), tuple(parser.readings)
    kinds = {request.kind for request in requests}
    kind = next((kind for kind in ("timer", "alert", "command", "task") if kind in kinds), "alert")
    return Trigger(requests, parser.dry_run_asked_at, notes, readings, parser.http, kind)


class _Place(NamedTuple):
    """A place in the event: its part, its path, the layers around it, and whose command stands there."""

    part: str = ""
    path: str = ""
    layers: tuple[str, ...] = ()
    kind: str = "command"
    name: str | None = None

    def inside(self, layer: str, key: str = "") -> "_Place":
        """The place of what *layer* holds, in an object under *key*."""
        if len(self.layers) >= MOST_LAYERS:
            raise EventRefused(f"it is wrapped more than {MOST_LAYERS} times")
        return self._replace(path=f"{self.path}.{key}" if key else self.path, layers=(*self.layers, layer))

    def element(self, index: int) -> "_Place":
        """The place of an element of the list that stands here."""
        at = f"[{index}]"
        return self._replace(part=self.part + at, path=self.path + at, layers=(*self.layers, "list"))


@dataclass
class _Parser:
    """Opens layer after layer; each method reads one kind of value at one place, or raises EventRefused."""

    own_account: OwnAccount
    requests: dict[tuple[str, str | None, Selector], Request] = field(default_factory=dict)
    dry_run_asked_at: str | None = None
    notes: list[Note] = field(default_factory=list)
    readings: list[Recognised] = field(default_factory=list)
    http: bool = False
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
            self.note("trigger_refused", str(refusal), place)

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
        if marks and data.keys() <= set(TIMER_KEYS):
            self._timer(data, place)
        elif (alerts := read_alerts(data)) is not None:
            self._alerts(data, alerts, place)
        elif len(marks) == 2:
            self._timer(data, place)
        elif "specversion" in data and data.keys() & {"id", "source", "type"}:  # transforms drop some
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
        """Read the event of a timer. Its payload is text, so a command in it is JSON inside JSON."""
        check_envelope(data, TIMER_KEYS, "the timer's payload")
        self._hear(data, place)
        path, layers = f"{place.path}.payload", (*place.layers, "timer")
        self.read(data.get("payload"), _Place(place.part, path, layers, "timer", timer_name(data)))

    def _timer_command(self, payload: Any, place: _Place) -> None:
        """Read what the payload holds; nothing, other words and somebody else's object select everything."""
        opened, in_list = payload, place.layers[-1:] == ("list",)
        while isinstance(opened, str):
            opened = json_in(opened)
        if isinstance(opened, list) and opened:
            self._list(opened, place)
        elif isinstance(opened, JsonObject) or (opened in (None, []) and not in_list):
            selector = (read_command(opened) if opened else None) or Selector()
            words = str(payload) if selector == Selector() else " ".join(opened)  # not the name of a function
            if selector.shard is None and search(r"(?i)shard|\bshares?\b", words):
                raise EventRefused('it has a word like shard, and names no share; write {"shard": "2/8"}')
            self._request(place, selector)
        else:
            raise EventRefused(f"{kind_of(payload)} as the timer's command; write the text of a JSON object")

    def _cloud_event(self, data: JsonObject, place: _Place) -> None:
        check_envelope(data, CLOUD_EVENT, "data")
        content = "data" if "data" in data else "data_base64"
        self._hear(data, place, beside=content)
        self.read(data.get(content), place.inside("cloudevent", content))

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
        self.readings.append(Recognised(place.part, place.layers, source or place.kind, state))
        for selector in selectors:
            kind, name = (place.kind, place.name) if selector.invocation_id is None else ("task", None)
            self.requests.setdefault((kind, name, selector), Request(kind, name, selector, place.part))
