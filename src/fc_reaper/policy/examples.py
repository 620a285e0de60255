"""Examples: a task that somebody thought of, and what the policy must make of it."""

from __future__ import annotations

from fc_reaper.models import UNFINISHED
from fc_reaper.policy.duration import spell_duration
from fc_reaper.policy.findings import Place
from fc_reaper.policy.forms import Form, list_of
from fc_reaper.policy.keys import Fields, Key, KeyTable, mapping
from fc_reaper.policy.model import CLOCKS, Example
from fc_reaper.policy.payload import PAYLOAD
from fc_reaper.policy.values import DURATION, FUNCTION, ID, STATUS, choice, whole_number

_CLOCK_HELP = {
    "queued_for": "How long ago it was last enqueued.",
    "running_for": "How long its present attempt has been running.",
    "alive_for": "How long ago it was first enqueued.",
    "stopping_for": "How long ago it was asked to stop.",
}
_GIVEN_KEYS = KeyTable(
    "`given`",
    (
        Key("id", ID, "id: job-17", "Its invocation id. Left out: one that the policy's match fits."),
        Key("target", FUNCTION, "target: media/transcode@prod", "Its function. Left out: the first target."),
        Key("status", STATUS, "status: Running", "Its status. Left out: one in which the rest can be."),
        *(Key(name, DURATION, f"{name}: 3h", _CLOCK_HELP[name]) for name in CLOCKS),
        Key(
            "retries",
            whole_number(0, "write how often, such as 3"),
            "retries: 3",
            "How often it was retried.",
        ),
        Key("payload", PAYLOAD, "payload: {tier: gold}", "What it was invoked with: any JSON."),
    ),
    elsewhere={
        "expect": "the example, beside `given`",
        "retries_over": "`match`; how often the task was retried is `retries`",
        "ages": "`given` itself, as in alive_for: 3h",
        "where": "`match`; what the task carries is `payload`",
        **dict.fromkeys(("match", "unless", "stop", "report", "keep"), "the policy"),
    },
)
_EXPECTATIONS = ("stop", "report", "keep")
_EXAMPLE_KEYS = KeyTable(
    "an example",
    (
        Key(
            "given",
            mapping(
                _GIVEN_KEYS, lambda fields, place: _given(fields, place), "write given: {running_for: 3h}"
            ),
            "given: {running_for: 3h}",
            "The task. What is left out fits the first target.",
        ),
        Key(
            "expect",
            choice("stop, report or keep", *_EXPECTATIONS),
            "expect: stop",
            "What becomes of it by this policy and `exempt` alone.",
        ),
    ),
    required=("given", "expect"),
    elsewhere=dict.fromkeys((key.name for key in _GIVEN_KEYS.keys), "`given`"),
)


def _given(fields: Fields, place: Place) -> Fields | None:
    """The fields, if there can be such a task."""
    values = fields.values
    clocks = [name for name in CLOCKS if name in values]
    statuses = (values["status"],) if "status" in values else UNFINISHED
    if clocks and not any(all(status in CLOCKS[name] for name in clocks) for status in statuses):
        stated = [f"status {values['status']}"] if "status" in values else []
        place.wrong(f"no task can have {' and '.join([*stated, *clocks])} at once; delete one of them")
        return None
    for name in clocks:
        if values[name] > values.get("alive_for", values[name]):
            place.key("alive_for", fields.lines["alive_for"]).wrong(
                f"it is less than {name} {spell_duration(values[name])}, which is a part of it; "
                f"write alive_for: {spell_duration(values[name])} or more"
            )
            return None
    return fields


def _example(fields: Fields, place: Place) -> Example:
    given = fields.values["given"].values
    return Example(
        expect=fields.values["expect"],
        id=given.get("id"),
        target=given.get("target"),
        status=given.get("status"),
        ages=tuple((name, given[name]) for name in CLOCKS if name in given),
        retries=given.get("retries"),
        payload=given.get("payload"),
        line=place.line,
    )


EXAMPLE: Form[Example] = mapping(
    _EXAMPLE_KEYS, _example, "write {given: {running_for: 3h}, expect: stop}", "example"
)
EXAMPLES = list_of(
    EXAMPLE,
    "write at least one, - {given: {running_for: 3h}, expect: stop}, or delete the key",
    distinct=False,
)
