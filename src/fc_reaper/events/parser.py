"""What an event comes to, and how its bytes become JSON: within bounds, and with the keys that repeat.

A timer that commands nothing is read here, any other event by `layers`, which a cold start need not import.
"""

import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from typing import Any, Literal, NamedTuple, NoReturn

from fc_reaper.errors import EventRefused

NoteEvent = Literal["trigger_ignored", "trigger_unrecognised", "trigger_refused"]


class OwnAccount(NamedTuple):
    """The region and account of the reaper. None means unknown; nothing is then taken for foreign."""

    region: str | None = None
    account: str | None = None


class Selector(NamedTuple):
    """The part of the targets that a request is about, by names without patterns; None selects all."""

    service: str | None = None
    function: str | None = None
    qualifier: str | None = None
    invocation_id: str | None = None
    shard: str | None = None  # `k/n`, the k-th of n shares of the functions: 1 <= k <= n <= 100

    @property
    def names_functions(self) -> bool:
        """Whether it says by names which functions are meant."""
        return any((self.service, self.function, self.qualifier))


class Request(NamedTuple):
    """One request of an event: a run over the targets that `selector` leaves.

    `kind` (timer, alert, command, task) and `name`, that of a timer, are compared with a policy's `triggers`.
    `part` is where it comes from: `""` for the whole event, `[2]` for the third element of a list.
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


class Recognised(NamedTuple):
    """How a part was recognised: envelopes around it, outermost first, its sender, an alert's own state."""

    part: str
    layers: tuple[str, ...]
    source: str
    state: str | None = None


class Trigger(NamedTuple):
    """A parsed event. It starts a run, narrows it, or makes it a dry run; it cannot do more.

    `dry_run_asked_at` is the path to the first wish for a dry run (`[2].data.dryRun`; `event`: the whole
    text), which holds for the whole run. `http`: the caller wants the answer of an HTTP trigger.
    `kind` is the broadest kind among the requests (timer, alert, command, task); alert if there are none.
    """

    requests: tuple[Request, ...]
    dry_run_asked_at: str | None
    notes: tuple[Note, ...]
    readings: tuple[Recognised, ...] = ()
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


DEEPEST = 64  # the most levels of lists and objects in JSON from outside, inclusive
BLANKS = " \t\r\n"  # what JSON allows around a value
BRACKETS = ("{", "[")  # what an object or a list begins with, valid or not
_NO_BRACKETS = re.compile(r'"(?:[^"\\]+|\\.)*"?|[^"\[\]{}]+', re.DOTALL)
_LONGEST_NUMBER = 400


class JsonObject(dict[str, Any]):
    """A JSON object; `repeated` holds the keys that are written more than once."""

    repeated: frozenset[str] = frozenset()

    @classmethod
    def of_pairs(cls, pairs: list[tuple[str, Any]]) -> "JsonObject":
        """The object of *pairs* in the order in which they are written."""
        found = cls(pairs)
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            found.repeated = frozenset(key for key, count in counts.items() if count > 1)
        return found


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of *pairs*; a ValueError if it names a key twice, and so contradicts itself."""
    found = JsonObject.of_pairs(pairs)
    if found.repeated:
        raise ValueError(f"the key {json.dumps(min(found.repeated))[:60]} stands twice in one object")
    return dict(found)


def parse(text: str, object_of: Callable[[list[tuple[str, Any]]], Any] = JsonObject.of_pairs) -> Any:
    """The JSON value of *text*, objects made by *object_of*; EventRefused if none, or beyond bounds."""
    if nests_too_deep(text):
        raise EventRefused(f"it is nested deeper than {DEEPEST} levels")
    try:
        return json.loads(text, object_pairs_hook=object_of, **NUMBERS)
    except json.JSONDecodeError as error:
        what = f"{error.msg.removesuffix(' at')} at line {error.lineno} column {error.colno}"
        raise EventRefused(f"it is not JSON: {what}; an event that says nothing is {{}}") from None


def json_in(text: str) -> Any:
    """The JSON value of *text* that begins as an object, a list or a quoted text; None for other words."""
    text = text.strip(BLANKS)
    if text.startswith(BRACKETS):
        return parse(text)
    if text.startswith('"'):
        with suppress(EventRefused):
            return parse(text)
    return None


def in_base64(text: str) -> str | None:
    """The UTF-8 text that *text* is the base64 of, in either alphabet; None if it is not."""
    try:
        return b64decode(text.replace("\r", "").replace("\n", ""), "-_", validate=True).decode("utf-8-sig")
    except ValueError:
        return None


def nests_too_deep(text: str) -> bool:
    """Whether *text*, valid JSON or not, nests deeper than 64; the limits of parsers differ."""
    depth = 0
    for bracket in _NO_BRACKETS.sub("", text):
        depth += 1 if bracket in BRACKETS else -1
        if depth > DEEPEST:
            return True
    return False


def _integer(digits: str) -> int:
    """Read a whole number in JSON from outside; Python's own limit came with 3.10.7: 8 MiB take minutes."""
    if len(digits) > _LONGEST_NUMBER:
        raise EventRefused(f"it holds a number of {len(digits)} digits; at most {_LONGEST_NUMBER} are read")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse(text)


def _refuse(name: str) -> NoReturn:
    raise EventRefused(f"it holds {name}, which is not JSON")


# For `json.loads` of JSON from outside, whose numbers any reader can take.
NUMBERS: dict[str, Any] = {"parse_int": _integer, "parse_float": _finite, "parse_constant": _refuse}
MOST_BYTES = 1_048_576  # the largest event in bytes, inclusive
# The event of a timer: https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/time-triggers
TIMER_KEYS = ("triggerTime", "triggerName", "payload")
_TIMER_NAME = r"[A-Za-z0-9_.-]{1,128}"


def parse_event(event: Any, own_account: OwnAccount = OwnAccount()) -> Trigger:  # noqa: B008
    """Parse an event: bytes, text, a decoded JSON value, or None. Never raises: a refusal becomes a note.

    At most 1 MiB is read (1,048,576 bytes, inclusive), at most 64 levels deep (inclusive). No bytes, blanks
    and `{}` select everything. Alerts about another region or account than *own_account* are ignored.
    """
    try:
        raw = event if isinstance(event, bytes) else _bytes_of(event)
        if len(raw) > MOST_BYTES:
            raise EventRefused(f"the event has {len(raw)} bytes; at most {MOST_BYTES} are read")
        text = raw.decode("utf-8-sig").strip(BLANKS)
        value = parse(text or "{}") if not text or text.startswith(BRACKETS) else None
        # `{}`, or a timer's event without a payload
        if (
            isinstance(value, JsonObject)
            and not value.repeated
            and value.get("payload") in (None, "")
            and value.keys() <= set(TIMER_KEYS)
            and value.keys() != {"payload"}
        ):
            kind, layers = ("timer", ("timer",)) if value else ("command", ())
            request = Request(kind, timer_name(value), Selector(), "")
            return Trigger((request,), None, (), (Recognised("", layers, kind),), kind=kind)
        from fc_reaper.events.layers import read_layers

        return read_layers(text, value, own_account)
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8; send the event as UTF-8 JSON"
    except EventRefused as refusal:
        why = str(refusal)
    return Trigger((), None, (Note("trigger_refused", why, ""),))


def timer_name(data: JsonObject) -> str | None:
    """The name of a timer by its event; None where it is none that the platform could have given."""
    name = data.get("triggerName")
    return name if isinstance(name, str) and re.fullmatch(_TIMER_NAME, name) else None


def _bytes_of(event: Any) -> bytes:
    if isinstance(event, (bytearray, memoryview)):
        return bytes(event)
    try:
        text = event if isinstance(event, str) else "" if event is None else json.dumps(event)
    except (TypeError, ValueError, RecursionError):
        raise EventRefused("it is no JSON value; send bytes, text or what JSON can hold") from None
    return text.encode("utf-8", "surrogatepass")
