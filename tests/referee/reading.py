"""docs/policy*.md in plain code: whether one record, at one moment, is exempt, matched, spared, or unknown.

Written from the documents alone and without any help of the product, so that a mistake there has no brother
here. It is slow, and knows no more of the language than `worlds.py` writes. An answer is True, False, or
None: unknown. Times are epoch milliseconds, records have the names of FC 2.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, NamedTuple

Answer = bool | None
Record = Mapping[str, Any]

YEAR_2017 = 1_483_228_800_000
ALIVE = ("Enqueued", "Dequeued", "Running", "Retrying")
FINISHED = ("Succeeded", "Failed", "Stopped", "Expired", "Invalid")
RUNS_IN = {
    "queued_for": ("Enqueued", "Dequeued"),
    "running_for": ("Running",),
    "alive_for": ALIVE,
    "stopping_for": ("Stopping",),
}
COUNTS_FROM = {"queued_for": "Enqueued", "running_for": "Running", "stopping_for": "Stopping"}
UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Now(NamedTuple):
    """The present is not before `earliest`, and not after `latest`."""

    earliest: int
    latest: int


class Present(NamedTuple):
    """When something is evaluated, and what `startedTime` means in this account: `REAPER_STARTED_TIME`."""

    now: Now
    meaning: str


def both(*answers: Answer) -> Answer:
    """And: one False settles it."""
    return False if False in answers else None if None in answers else True


def either(*answers: Answer) -> Answer:
    """Or: one True settles it."""
    return True if True in answers else None if None in answers else False


def opposite(answer: Answer) -> Answer:
    return None if answer is None else not answer


# Moments and records


def moment(value: Any) -> int | None:
    """A date in a record, in seconds or milliseconds, as a number or its text; None if it is none."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    value = value * 1000 if 0 < value < 100_000_000_000 else value
    return value if value >= YEAR_2017 else None


def retries_of(record: Record) -> int | None:
    value = record.get("alreadyRetriedTimes")
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def events_of(record: Record) -> list[tuple[int | None, int, str]]:
    """What happened: date, number and status, oldest first where all are dated."""
    found = [(moment(one.get("timestamp")), one.get("eventId") or 0, str(one.get("status")))
             for one in record.get("events") or []]  # fmt: skip
    return (
        found
        if any(at is None for at, _, _ in found)
        else sorted(found, key=lambda one: (one[0] or 0, one[1]))
    )


def is_trusted(record: Record, now: Now) -> bool:
    """A record is not trusted if an event has no date, one before 2017 or one in the future, if its status is
    unknown or contradicts its latest event, if startedTime is more than a minute later than that event, or if
    an event says that the task ended."""
    if record.get("status") not in (*ALIVE, "Stopping"):
        return False
    events = events_of(record)
    if not events:
        return True
    if any(at is None or at > now.latest for at, _, _ in events):
        return False
    latest, _, status = events[-1]
    started = moment(record.get("startedTime"))
    if started is not None and latest is not None and started > latest + 60_000:
        return False
    return status == record["status"] and all(one not in FINISHED for _, _, one in events)


def is_complete(record: Record) -> bool:
    """It begins with Enqueued and shows all restarts that `alreadyRetriedTimes` counts. A restart is a
    Retrying event, or a Running event after the first one."""
    retries, statuses = retries_of(record), [status for _, _, status in events_of(record)]
    if retries is None or not statuses or statuses[0] != "Enqueued":
        return False
    return statuses.count("Retrying") >= retries or statuses.count("Running") - 1 >= retries


def began(record: Record, clock: str, present: Present) -> tuple[int | None, int | None]:
    """The moments between which a clock of a trusted record began; None where that end is open."""
    events, started, retries = events_of(record), moment(record.get("startedTime")), retries_of(record)
    if events:
        first = events[0][0]
        if clock == "alive_for":
            return (first if is_complete(record) else None), first
        own = [at for at, _, status in events if status == COUNTS_FROM[clock]]
        if not own:
            return None, None
        begins_elsewhere = events[0][2] != "Enqueued"
        is_latest = events[-1][2] == COUNTS_FROM[clock]
        known = is_complete(record) or (begins_elsewhere and is_latest)
        return own[-1], (own[-1] if known else None)
    if started is None or started > present.now.latest:
        return None, None
    if clock == "alive_for":
        return (started if present.meaning == "enqueue" else None), started
    if clock == "queued_for":
        known = present.meaning == "enqueue" and retries == 0
        return (started, started) if known else (None, None)
    known = clock == "running_for" and present.meaning == "execution" and retries == 0
    return started, (started if known else None)


def is_over(record: Record, clock: str, limit: int, present: Present) -> Answer:
    """Over the limit, within it (exactly at it is within), or unknown. Both by the worse end of now."""
    earliest, latest = began(record, clock, present)
    if latest is not None and present.now.earliest - latest > limit:
        return True
    if earliest is not None and present.now.latest - earliest <= limit:
        return False
    return None


# Expressions


def payload_of(record: Record) -> Any:
    """The payload as JSON; a mapping without anything if it is none."""
    try:
        return json.loads(record.get("invocationPayload") or "")
    except ValueError:
        return {}


def _field(record: Record, name: str, kind: type, test: Callable[[Any], bool]) -> Answer:
    """What is absent, null, or of another type cannot be compared."""
    payload = payload_of(record)
    value = payload.get(name) if isinstance(payload, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return None
    return test(value)


def _gold(record: Record) -> Answer:
    return _field(record, "tier", str, lambda tier: tier == "gold")


def _many(record: Record) -> Answer:
    return _field(record, "n", int, lambda n: n > 5)


def _gold_by_default(record: Record) -> Answer:
    payload = payload_of(record)
    if not isinstance(payload, dict) or not record.get("invocationPayload") or not _is_json(record):
        return None
    return _gold({"invocationPayload": json.dumps({"tier": "free", **payload})})


def _is_json(record: Record) -> bool:
    try:
        json.loads(record.get("invocationPayload") or "")
    except ValueError:
        return False
    return True


WHERE: dict[str, Callable[[Record], Answer]] = {
    "payload.tier == 'gold'": _gold,
    "payload.tier != 'gold'": lambda record: opposite(_gold(record)),
    "payload.n > `5`": _many,
    "payload.n == `2`": lambda record: _field(record, "n", int, lambda n: n == 2),
    "payload.urgent": lambda record: _field(record, "urgent", bool, lambda urgent: urgent),
    "!(payload.urgent)": lambda record: _field(record, "urgent", bool, lambda urgent: not urgent),
    "payload.tier == 'gold' || payload.n > `5`": lambda record: either(_gold(record), _many(record)),
    "payload.tier == 'gold' && payload.n > `5`": lambda record: both(_gold(record), _many(record)),
    "contains(['gold', 'silver'], payload.tier)": lambda record: _field(
        record, "tier", str, lambda tier: tier in ("gold", "silver")
    ),
    "merge({tier: 'free'}, payload).tier == 'gold'": _gold_by_default,
    "status == 'Running'": lambda record: record["status"] == "Running",
    "starts_with(payload.order, 'a')": lambda record: _field(
        record, "order", str, lambda order: order.startswith("a")
    ),
}
"""What each expression comes to, beside the one about an age."""

TWO_HOURS_ALIVE = "ages.alive_for > `7200`"
WHERE[TWO_HOURS_ALIVE] = lambda record: None  # replaced where the present is known


def _where(expression: str, record: Record, present: Present) -> Answer:
    if expression == TWO_HOURS_ALIVE:
        if record["status"] not in ALIVE:
            return None
        return is_over(record, "alive_for", 7_200_000, present)
    return WHERE[expression](record)


CARRIED: dict[Any, float | None] = {
    "20m": 20, "90m": 90, "5 hours": 300, "1.5h": 90, "PT2H": 120, "1 hr": 60, "2h0m0s": 120, "400d": 576_000,
    "forever": 10**9, "Never": 10**9, "0m": None, "soon": None, "": None, 90: None, "7200": None,
}  # fmt: skip
"""What tasks write into `payload.max_run`, in minutes; None: it cannot be read."""

PER = {
    "function": None,
    "qualifier": None,
    "payload.order": ("order",),
    "payload.n": ("n",),
    "[payload.order, payload.n]": ("order", "n"),
}
"""The groups of `keep`: by the function, by function and qualifier, or by fields of the payload."""


class Function(NamedTuple):
    """A function under one qualifier; no service: FC 3.0."""

    service: str | None
    name: str
    qualifier: str


def group_of(record: Record, function: Function, per: str | None) -> tuple[Any, ...] | None:
    """The group in which a task counts; None where that is unknown: what nobody filled in is no key."""
    if per is None:
        return ()
    name = names_of(function)[-1] if function.service is not None else function
    if per == "function":
        return (name.name,)  # media/resize and media$resize are the same one
    if per == "qualifier":
        return (name.name, name.qualifier)
    payload = payload_of(record)
    names = PER[per] or ()
    values = [payload.get(name) if isinstance(payload, dict) else None for name in names]
    if any(_is_blank(value) for value in values):
        return None
    return tuple(json.dumps(value) for value in values)


def owner_of(owner: Any, record: Record) -> str | None:
    """Who owns a task: a text or a number of the payload, where the policy says so."""
    if not isinstance(owner, dict):
        return None if owner is None else str(owner)
    payload = payload_of(record)
    value = payload.get(owner["from"].removeprefix("payload.")) if isinstance(payload, dict) else None
    if isinstance(value, str):
        return value.strip() or None
    return json.dumps(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _is_blank(value: Any) -> bool:
    if isinstance(value, list):
        return not value or any(_is_blank(one) for one in value)
    return value is None or value == {} or (isinstance(value, str) and not value.strip())


# Matchers


def milliseconds(text: str) -> int:
    """A length of time as the policies here write it."""
    return sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([smhd])", text))


def limit_of(value: Any, record: Record) -> int | None:
    """The limit of a clock: the policy's, or that which the task carries, the policy's at most."""
    if isinstance(value, str):
        return milliseconds(value)
    payload = payload_of(record)
    carried = payload.get("max_run") if isinstance(payload, dict) else None
    minutes = (
        CARRIED.get(carried) if isinstance(carried, (str, int)) and not isinstance(carried, bool) else None
    )
    if minutes is not None:
        return int(min(minutes * 60_000, milliseconds(value["at_most"])))
    return milliseconds(value["else"]) if "else" in value else None


def watches(targets: Iterable[str], function: Function, *, every_qualifier: bool = False) -> bool:
    """Whether a function is among targets; no @ is LATEST, or every qualifier in `exempt` and `unless`."""
    for target in targets:
        path, _, qualifier = target.partition("@")
        service, slash, name = path.rpartition("/")
        qualifier = qualifier or ("*" if every_qualifier else "LATEST")
        if bool(slash) != (function.service is not None):
            continue
        fits = fnmatchcase(function.service or "", service) and fnmatchcase(function.name, name)
        if fits and fnmatchcase(function.qualifier, qualifier):
            return True
    return False


def names_of(function: Function) -> tuple[Function, ...]:
    """A function of FC 2.0 is `service$function` in FC 3.0: `exempt` and `unless` match either name."""
    if function.service is not None:
        return function, Function(None, f"{function.service}${function.name}", function.qualifier)
    service, dollar, name = function.name.partition("$")
    return (function, Function(service, name, function.qualifier)) if dollar else (function,)


def holds(matcher: Any, record: Record, function: Function, present: Present) -> Answer:
    """An entry of `exempt` or `unless`: its keys joined by and; a bare text is a pattern for the id."""
    if isinstance(matcher, str):
        matcher = {"id": matcher}
    return both(*(_key(key, value, record, function, present) for key, value in matcher.items()))


def matches(matcher: Mapping[str, Any], record: Record, function: Function, present: Present) -> Answer:
    """A `match`: without `status`, a clock or `retries_over` it means tasks that are alive."""
    if not {"status", "retries_over", *RUNS_IN} & matcher.keys():
        matcher = {"status": list(ALIVE), **matcher}
    return holds(matcher, record, function, present)


def any_holds(matchers: Iterable[Any], record: Record, function: Function, present: Present) -> Answer:
    """Whether an entry of a list holds: one that is true settles it."""
    return either(*(holds(one, record, function, present) for one in matchers))


def _key(key: str, value: Any, record: Record, function: Function, present: Present) -> Answer:
    one_or_more = [value] if isinstance(value, str) else value
    if key == "id":
        return any(fnmatchcase(record["invocationId"], glob) for glob in one_or_more)
    if key == "target":
        return any(watches(one_or_more, name, every_qualifier=True) for name in names_of(function))
    if key == "because":
        return True
    if key == "until":
        return present.now.earliest <= end_of(value)
    if not is_trusted(record, present.now):
        return None
    if key == "status":
        return record["status"] in one_or_more
    if key == "retries_over":
        retries = retries_of(record)
        return both(record["status"] in ALIVE, None if retries is None else retries > value)
    if key == "where":
        return _where(value, record, present)
    if record["status"] not in RUNS_IN[key]:
        return False
    limit = limit_of(value, record)
    return None if limit is None else is_over(record, key, limit, present)


def end_of(until: str) -> int:
    """The moment until which an exemption holds, itself included, by the earliest now."""
    return int(datetime.fromisoformat(until.replace("Z", "+00:00")).timestamp() * 1000)


def holds_as_long(now: Any, before: Any) -> bool:
    """Whether an exemption spares what another one did, and ends no earlier; the reason decides nothing."""
    both_plain = [{"id": one} if isinstance(one, str) else dict(one) for one in (now, before)]
    for one in both_plain:
        one.pop("because", None)
    ends, ended = (end_of(one.pop("until", "9999-01-01T00:00:00Z")) for one in both_plain)
    return both_plain[0] == both_plain[1] and ends >= ended


def is_held_out(invocation_id: str, holdout: str | None) -> bool:
    """Whether `holdout` spares this id: a stable hash of it selects the share."""
    share = int.from_bytes(sha256(invocation_id.encode()).digest()[:8], "big") / 2**64
    return holdout is not None and share < float(holdout.rstrip("%")) / 100
