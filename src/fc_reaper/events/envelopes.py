"""Envelopes that carry somebody else's message: queues, topics, webhooks. Known by shape, never by name.

https://help.aliyun.com/zh/functioncompute/fc/user-guide/formats-of-event-for-different-triggers
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from fc_reaper.errors import EventRefused
from fc_reaper.events.decode import JsonObject, looks_like_json, parse, strip
from fc_reaper.events.dry_run import parse_guarded
from fc_reaper.events.nearmiss import COMMAND_KEYS, DRY_RUN, near_miss

_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]{2,}={0,2}")
_MOST_FIELDS = 200


class Carrier(NamedTuple):
    """An envelope: every key of `marks` is there, and one of `hints`. `content` is the key of the message."""

    name: str
    marks: frozenset[str]
    hints: frozenset[str]
    content: str

    def fits(self, said: JsonObject) -> bool:
        """Whether *said* is such an envelope."""
        return self.marks <= said.keys() and not self.hints.isdisjoint(said)


def _carrier(name: str, content: str, marks: str, hints: str) -> Carrier:
    return Carrier(name, frozenset({content, *marks.split()}), frozenset(hints.split()), content)


CARRIERS = (
    _carrier("smq topic", "Message", "TopicName", "MessageId MessageMD5 Subscriber SubscriptionName"),
    _carrier("smq topic stream", "body", "", "attrs"),
    _carrier("smq queue", "messageBody", "", "messageId requestId"),
    _carrier("kafka", "value", "topic", "partition offset"),
    _carrier("rocketmq", "body", "", "msgId systemProperties userProperties"),
    _carrier("mqtt or rabbitmq", "body", "props", "body"),
)


class HttpRequest(NamedTuple):
    """A request that was carried: its query as an object of text, and its body, decoded."""

    query: JsonObject
    body: Any

    @property
    def is_empty(self) -> bool:
        """Whether there is no body to speak of, so that the query is all that was said."""
        return self.body is None or (isinstance(self.body, str) and not strip(self.body))


def carrier_of(said: JsonObject) -> Carrier | None:
    """The envelope that *said* is; None when it is none of ours."""
    return next((carrier for carrier in CARRIERS if carrier.fits(said)), None)


def http_request(said: JsonObject) -> HttpRequest | None:
    """The request in an FC 3.0 HTTP trigger's, an API gateway's, or an EventBridge HTTP source's event."""
    context = said.get("requestContext")
    from_trigger = isinstance(context, JsonObject) and "http" in context
    if "body" not in said or "headers" not in said or not (from_trigger or "httpMethod" in said):
        return None
    query = said.get("queryParameters", said.get("queryString"))
    body = said["body"]
    if str(said.get("isBase64Encoded")).lower() == "true" and isinstance(body, str):
        body = _from_base64(body) or body
    return HttpRequest(_fields(query.items() if isinstance(query, JsonObject) else ()), body)


def unsealed(text: str) -> Any:
    """What *text* says in a way that is not plain JSON: quoted, as a form, or as base64 of JSON or a form.

    None for any other text: mere words are never taken for something encoded.

    Raises:
        EventRefused: base64 of broken JSON.
    """
    if text.startswith('"'):
        return _quoted(text)
    return _from_form(text) or _from_sealed(text)


def _quoted(text: str) -> Any:
    try:
        return parse(text)
    except EventRefused:
        return None


def _from_form(text: str) -> JsonObject | None:
    if "=" not in text or looks_like_json(text):
        return None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    fields = _fields(pairs)
    ours = any(key in COMMAND_KEYS or near_miss(key) for key in fields)
    return fields if ours or "alertState" in fields else None


def _from_sealed(text: str) -> Any:
    decoded = _from_base64(text) if _BASE64.fullmatch(text) else None
    if decoded is None:
        return None
    return parse_guarded(decoded) if looks_like_json(decoded) else _from_form(decoded)


def _from_base64(text: str) -> str | None:
    try:
        return strip(base64.b64decode(text.translate(_TO_STANDARD), validate=True).decode("utf-8-sig"))
    except (binascii.Error, ValueError):
        return None


def _fields(pairs: Iterable[tuple[str, Any]]) -> JsonObject:
    """Form fields as an object. A form knows no types, so the words true and false are what dryRun may be."""
    listed = list(pairs)
    fields = JsonObject(listed)
    keys = [key for key, _ in listed]
    fields.repeated = frozenset(key for key in fields if keys.count(key) > 1)
    if fields.get(DRY_RUN) in ("true", "false"):
        fields[DRY_RUN] = fields[DRY_RUN] == "true"
    return fields


_TO_STANDARD = str.maketrans("-_", "+/", "\r\n")
