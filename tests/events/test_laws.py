"""Laws of every event: no exception, no selector that was not written, no wish for a dry run lost."""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fc_reaper.events import Trigger, parse_event
from fc_reaper.events.command import COMMAND_KEYS, meaning
from tests.events.builders import a_cloud_event, a_timer, read, requested

USUAL = settings().max_examples
EVENTS = Path(__file__).parents[2] / "events"
SAMPLES = [path.read_bytes() for path in sorted(EVENTS.rglob("*")) if path.suffix in (".json", ".txt")]
JSON_SAMPLES = [json.loads(path.read_bytes()) for path in sorted(EVENTS.glob("*.json"))]

NOTES = {"trigger_ignored", "trigger_unrecognised", "trigger_refused"}
WORDS = [*COMMAND_KEYS, "function_name", "dry_run", "data", "payload", "body", "labels", "alerts", "Message"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["resize", "", "null", "{}", "[]", "{", "OK", "firing", '{"functionName": "f"}', "e30="]
    )
)
keys = st.sampled_from(WORDS) | st.text(max_size=6)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", fullmatch=True)
commands = st.fixed_dictionaries(
    {},
    optional={
        "serviceName": names,
        "functionName": names,
        "qualifier": names,
        "invocationId": names,
        "dryRun": st.booleans(),
    },
)


@st.composite
def mutated_samples(draw: st.DrawFn) -> Any:
    """A sample with a few of its parts replaced, removed, renamed, repeated, or turned into text."""
    event = json.loads(json.dumps(draw(st.sampled_from(JSON_SAMPLES))))
    for _ in range(draw(st.integers(1, 4))):
        event = mutate(draw, event)
    return event


def mutate(draw: st.DrawFn, part: Any) -> Any:
    """Change some part of the event."""
    if isinstance(part, dict) and part and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(part)))
        return {**part, key: mutate(draw, part[key])}
    if isinstance(part, list) and part and draw(st.booleans()):
        index = draw(st.integers(0, len(part) - 1))
        return [*part[:index], mutate(draw, part[index]), *part[index + 1 :]]
    return changed(draw, part)


def changed(draw: st.DrawFn, part: Any) -> Any:
    how = draw(st.sampled_from(["replace", "text", "base64", "list", "wrap", "add", "remove", "cut"]))
    if how == "text":
        return json.dumps(part)
    if how == "base64":
        return base64.b64encode(json.dumps(part).encode()).decode()
    if how == "list":
        return [part, part]
    if how == "wrap":
        return a_cloud_event(part)
    if how == "add" and isinstance(part, dict):
        return {**part, draw(keys): draw(values)}
    if how == "remove" and isinstance(part, dict) and part:
        return {key: part[key] for key in list(part)[1:]}
    if how == "cut" and isinstance(part, str):
        return part[: draw(st.integers(0, len(part)))]
    return draw(values)


def check_sound(raw: bytes, trigger: Trigger) -> None:
    """What holds for every event."""
    assert trigger.requests or trigger.notes
    assert trigger.kind in ("timer", "alert", "command", "task")
    written = everything_written(raw)
    for request in trigger.requests:
        assert request.kind in ("timer", "alert", "command", "task")
        assert (request.kind == "task") == (request.selector.invocation_id is not None)
        for name in (*request.selector, request.name):
            assert name is None or (name.isascii() and name in written)
    for note in trigger.notes:
        assert note.event in NOTES
        assert note.why.isascii()
        assert note.why.isprintable()
        assert len(note.why) <= 200


def everything_written(raw: bytes) -> str:
    """The event's text with every layer of encoding also opened."""
    found = [raw.decode("utf-8", "replace")]
    for text in found:
        opened = [unquote_plus(text), *map(from_base64, re.findall(r"[A-Za-z0-9+/_-]{2,}={0,2}", text))]
        found.extend(new for new in opened if new and new != text and len(found) < 200)
    return "\n".join(found)


def from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, altchars=b"-_" if set("-_") & set(text) else None).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


@settings(max_examples=2 * USUAL)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_trigger(raw: bytes) -> None:
    """Noise is refused, never raised."""
    check_sound(raw, parse_event(raw))


@settings(max_examples=2 * USUAL)
@given(st.text(alphabet='{}[]",:\\ \n\tntfu0123456789eE+-.abdryRun_=%&\ufeff\ud800\udc00', max_size=60))
def test_any_text_like_json_gives_a_trigger(text: str) -> None:
    """Nearly JSON is refused, never raised."""
    raw = text.encode("utf-8", "surrogatepass")
    check_sound(raw, parse_event(raw))


@settings(max_examples=2 * USUAL)
@given(values)
def test_any_value_gives_a_trigger(value: Any) -> None:
    """Well-formed JSON gives a request or a note."""
    raw = json.dumps(value).encode()
    check_sound(raw, parse_event(raw))


@settings(max_examples=3 * USUAL)
@given(mutated_samples())
def test_any_change_of_a_sample_gives_a_trigger(event: Any) -> None:
    """Senders change their formats."""
    raw = json.dumps(event).encode()
    check_sound(raw, parse_event(raw))


@settings(max_examples=2 * USUAL)
@given(st.sampled_from(SAMPLES), st.data())
def test_any_damage_to_the_bytes_of_a_sample_gives_a_trigger(raw: bytes, data: st.DataObject) -> None:
    """Cut, repeated, or overwritten."""
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    damaged = raw[:start] + data.draw(st.binary(max_size=6)) + raw[end:]
    check_sound(damaged, parse_event(damaged))


@settings(deadline=None)
@given(commands, st.text(max_size=12), values)
@example({"functionName": "f"}, "triggerName", "x")
@example({"functionName": "f"}, "specversion", "1.0")
@example({"functionName": "f"}, "alerts", [])
def test_a_foreign_key_never_changes_a_command(command: Any, key: str, value: Any) -> None:
    """It is ignored, wherever it is added; a wish for a dry run is heard in it all the same."""
    if not command or meaning(key):
        return
    bare = read(command)
    for event in ({**command, key: value}, {key: value, **command}):
        assert (read(event).requests, read(event).notes) == (bare.requests, bare.notes)
        assert read(event).dry_run >= bare.dry_run


@settings(deadline=None)
@given(commands)
def test_a_command_selects_the_same_in_every_envelope(command: Any) -> None:
    """Only the kind of the request differs."""
    bare = read(command)
    selectors = [selector for _, selector in requested(bare)]
    text = json.dumps(command)
    for event in (
        text,
        [command],
        [text],
        a_cloud_event(command),
        a_cloud_event(text),
        a_timer(text),
        {"TopicName": "t", "MessageId": "m", "Message": text},
    ):
        wrapped = read(event)
        assert [selector for _, selector in requested(wrapped)] == selectors
        assert (wrapped.dry_run, wrapped.notes) == (bare.dry_run, bare.notes)


@settings(deadline=None)
@given(st.lists(values.filter(lambda value: not isinstance(value, list)), min_size=1, max_size=5))
def test_a_list_requests_what_its_elements_request(elements: list[Any]) -> None:
    """No element changes another, and one wish for a dry run holds for all."""
    alone = [read([element]) for element in elements]
    together = read(elements)
    assert set(requested(together)) == {request for trigger in alone for request in requested(trigger)}
    assert together.dry_run == any(trigger.dry_run for trigger in alone)
    assert len(together.notes) == sum(len(trigger.notes) for trigger in alone)


@settings(deadline=None)
@given(values, st.sampled_from(["dryRun", "dry_run", "DryRun", "dryrun", "dry-run"]))
def test_a_wish_for_a_dry_run_is_never_lost(value: Any, key: str) -> None:
    """Whatever is beside it."""
    assert read([value, {key: True}]).dry_run


@settings(deadline=None)
@given(st.sampled_from(COMMAND_KEYS), st.data())
def test_one_slip_is_always_a_near_miss(key: str, data: st.DataObject) -> None:
    """A letter more, less, other, or two swapped, and any case and joiner besides; `shard` is too short."""
    at = data.draw(st.integers(0, len(key) - 2))
    letter = data.draw(st.sampled_from("abcxyz"))
    slipped = data.draw(
        st.sampled_from(
            [
                key[:at] + letter + key[at:],
                key[:at] + key[at + 1 :],
                key[:at] + letter + key[at + 1 :],
                key[:at] + key[at + 1] + key[at] + key[at + 2 :],
            ]
        )
    )
    dressed = data.draw(st.sampled_from([slipped, slipped.upper(), slipped.lower(), "_".join(slipped)]))
    near = key != "shard" or sorted(slipped) == sorted(key)
    assert meaning(dressed) == (key if near else None)


@st.composite
def nearly_keys(draw: st.DrawFn) -> str:
    """A command key with up to four random edits."""
    key = draw(st.sampled_from(COMMAND_KEYS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(key)))
        key = key[:at] + draw(st.text("nameI_", max_size=2)) + key[at + draw(st.integers(0, 2)) :]
    return key


@settings(max_examples=5 * USUAL)
@given(nearly_keys() | st.text(max_size=14), st.sampled_from(COMMAND_KEYS))
def test_what_is_within_one_edit_is_a_near_miss(key: str, meant: str) -> None:
    """As the textbook counts them; what has three other letters is none."""
    plain, meant_as = re.sub(r"[_.\-\s]+", "", key).lower(), meaning(key, (meant,))
    if slips(plain, meant.lower()) < (2 if len(meant) > 5 else 1):
        assert meant_as == meant
    if len([letter for letter in {*plain} if letter not in meant.lower()]) > 2:
        assert meant_as is None


def slips(word: str, other: str) -> int:
    """Optimal string alignment distance, as the textbook writes it."""
    table = [[row + column for column in range(len(other) + 1)] for row in range(len(word) + 1)]
    for row in range(1, len(word) + 1):
        for column in range(1, len(other) + 1):
            change = table[row - 1][column - 1] + (word[row - 1] != other[column - 1])
            table[row][column] = min(table[row - 1][column] + 1, table[row][column - 1] + 1, change)
            if word[row - 2 : row] == other[column - 2 : column][::-1] and row > 1 and column > 1:
                table[row][column] = min(table[row][column], table[row - 2][column - 2] + 1)
    return table[-1][-1]


@pytest.mark.parametrize("depth", [1, 63, 64, 65, 1_000, 90_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"data":[', "]}")])
def test_how_deep_is_too_deep_does_not_depend_on_what_is_nested(
    depth: int, opening: str, closing: str
) -> None:
    """64 levels are read, 65 are refused."""
    levels = depth * opening.count("[") + depth * opening.count("{")
    trigger = parse_event((opening * depth + "1" * opening.endswith(":") + closing * depth).encode())
    too_deep = any("nested deeper" in note.why for note in trigger.notes)
    assert too_deep == (levels > 64)
