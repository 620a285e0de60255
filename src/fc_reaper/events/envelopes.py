"""Envelopes around a message: CloudEvents, queues and topics, HTTP requests, forms, base64.

They are recognised by shape, never by the name of a trigger.
https://help.aliyun.com/zh/functioncompute/fc/user-guide/formats-of-event-for-different-triggers
"""

from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from fc_reaper.errors import EventRefused
from fc_reaper.events.command import DRY_RUN, NO, meaning
from fc_reaper.events.parser import BLANKS, BRACKETS, JsonObject, in_base64, json_in

_MOST_FIELDS = 200

# Of a CloudEvent 1.0 as EventBridge delivers it: https://www.alibabacloud.com/help/en/doc-detail/181428.htm
CLOUD_EVENT = ("specversion", "id", "source", "type", "data", "data_base64")


class Message(NamedTuple):
    """The envelope of a queue or topic: it has the key `content`, all of `marks`, and one of `hints`."""

    layer: str
    content: str
    marks: set[str]
    hints: set[str]


_TOPIC = {"MessageId", "MessageMD5", "Subscriber", "SubscriptionName"}
_MESSAGES = (
    Message("smq topic", "Message", {"TopicName"}, _TOPIC),
    Message("smq topic stream", "body", set(), {"attrs"}),
    Message("smq queue", "messageBody", set(), {"messageId", "requestId"}),
    Message("kafka", "value", {"topic"}, {"partition", "offset"}),
    Message("rocketmq", "body", set(), {"msgId", "systemProperties", "userProperties"}),
    Message("mqtt or rabbitmq", "body", set(), {"props"}),
)


def message_of(data: JsonObject) -> Message | None:
    """The envelope of a queue or topic that *data* is; None if it is none."""
    keys = data.keys()
    return next((one for one in _MESSAGES if {one.content} | one.marks <= keys and one.hints & keys), None)


def http_request(data: JsonObject) -> tuple[JsonObject, Any] | None:
    """The query and the decoded body, None if that is blank, of a request; None if *data* is no request.

    It may be of an FC 3.0 HTTP trigger, an API gateway or an EventBridge HTTP source. Raises
    EventRefused: its body is said to be base64, and is not that of UTF-8.
    """
    context = data.get("requestContext")
    from_trigger = isinstance(context, JsonObject) and "http" in context
    if "body" not in data or "headers" not in data or not (from_trigger or "httpMethod" in data):
        return None
    query, body = data.get("queryParameters", data.get("queryString")), data["body"]
    if isinstance(body, str):
        if str(data.get("isBase64Encoded")).lower() == "true" and (body := in_base64(body)) is None:
            # It may ask for a dry run, as an event of such bytes may.
            raise EventRefused("the body is not UTF-8 in base64; send UTF-8, not compressed")
        body = body.strip(BLANKS) or None
    return _fields([*query.items()] if isinstance(query, JsonObject) else []), body


def decode_text(text: str) -> Any:
    """What *text* is: JSON, a form, or base64 of one; None if none of them, EventRefused for torn JSON."""
    text = text.strip(BLANKS)
    if text.startswith((*BRACKETS, '"')):
        return json_in(text)
    if (fields := _from_form(text)) is not None:
        return fields
    inner = (in_base64(text) or "").strip(BLANKS)
    return json_in(inner) if inner.startswith(BRACKETS) else _from_form(inner)


def _from_form(text: str) -> JsonObject | None:
    if "=" not in text or text.startswith(BRACKETS):
        return None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    fields = _fields(pairs)
    return fields if "alertState" in fields or any(map(meaning, fields)) else None


def _fields(pairs: list[tuple[str, Any]]) -> JsonObject:
    """Form fields as an object. A form knows no types, so dryRun is the wish that its text is."""
    fields = JsonObject.of_pairs(pairs)
    if isinstance(said := fields.get(DRY_RUN), str):
        fields[DRY_RUN] = said.strip().lower() not in NO
    return fields
