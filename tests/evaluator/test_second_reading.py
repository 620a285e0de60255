"""The evaluator and the second reading of its table agree on every record, at every moment."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fc_reaper.cloud.records import read_task
from fc_reaper.evaluator.evaluate import evaluate
from fc_reaper.models import Moment
from fc_reaper.rules.result import Kind
from tests.builders import NOON, TRANSCODE, a_policy, compiled
from tests.evaluator.second_reading import HOLDS_IN, YEAR_2017, Now, bounds, is_unknown, verdict

SECOND, HOUR = 1_000, 3_600_000
LIVES = [
    ["Enqueued"],
    *[["Dequeued"], ["Running", "Retrying", "Dequeued"]] * 3,
    ["Enqueued", "Dequeued"],
    ["Enqueued", "Running", "Retrying", "Dequeued"],
    ["Enqueued", "Dequeued", "Running"],
    ["Enqueued", "Running"],
    ["Enqueued", "Dequeued", "Running", "Retrying"],
    ["Enqueued", "Dequeued", "Running", "Retrying", "Running"],
    ["Enqueued", "Running", "Retrying", "Enqueued"],
    ["Enqueued", "Running", "Retrying", "Enqueued", "Dequeued"],
    ["Enqueued", "Running", "Retrying", "Enqueued", "Dequeued", "Running"],
    ["Enqueued", "Running", "Running", "Running"],
    ["Enqueued", "Running", "Retrying", "Running", "Retrying", "Running", "Retrying"],
    ["Enqueued", "Running", "Stopping"],
    ["Enqueued", "Stopping"],
    ["Enqueued", "Running", "Retrying", "Running", "Stopping"],
]
UNUSABLE = [None, 0, -5, 1, YEAR_2017 - 1, 86_400_000, "soon", NOON + 3 * HOUR]
AGES = [0, 1, 30 * SECOND, HOUR - SECOND, HOUR, HOUR + SECOND, 2 * HOUR, 5 * HOUR, 9 * HOUR, 3000 * HOUR]


@st.composite
def presents(draw: st.DrawFn) -> Now:
    """Both clocks, often apart, at most as far as a stop allows."""
    apart = draw(st.sampled_from([1, SECOND, 20 * SECOND, 31 * SECOND, 0]))
    return Now(NOON - apart, NOON)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """Whole lives, some cut at head or tail, undated, dated ahead or before 2017, or without events."""
    statuses = draw(st.sampled_from(LIVES))
    ages = sorted((draw(st.sampled_from(AGES) | st.integers(0, 6 * HOUR)) for _ in statuses), reverse=True)
    events = [
        {"eventId": number, "status": name, "timestamp": NOON - age}
        for number, (name, age) in enumerate(zip(statuses, ages, strict=True), 1)
    ]
    head, tail = draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3])), draw(st.sampled_from([0, 0, 0, 1, 2]))
    events = events[head : max(head, len(events) - tail)]
    latest = events[-1]["status"] if events else statuses[-1]
    status = draw(st.sampled_from([latest] * 12 + ["Running", "Enqueued", "Retrying", "Stopping"]))
    if events and draw(st.integers(0, 5)) == 0:
        odd = draw(st.sampled_from(events))
        odd["timestamp"] = draw(st.sampled_from([*UNUSABLE, NOON + 1, NOON, YEAR_2017]))
    record: dict[str, Any] = {"invocationId": "job-1", "status": status}
    shown, shuffled = draw(st.booleans()), draw(st.booleans())
    if events and shown:
        record["events"] = draw(st.permutations(events)) if shuffled else events
    if draw(st.sampled_from([True, True, False])):
        record["startedTime"] = draw(st.sampled_from([NOON - age for age in AGES] * 3 + UNUSABLE))
    more = statuses.count("Retrying") + 1
    retries = draw(
        st.sampled_from([None, 0, more - 1, more, more] if "events" in record else [0, 0, 0, None, 1])
    )
    if retries is not None:
        record["alreadyRetriedTimes"] = retries
    return record


class Case(NamedTuple):
    """A record, the clock in question, when it was read, and what `startedTime` means."""

    record: dict[str, Any]
    clock: str
    now: Now
    meaning: str


@st.composite
def cases(draw: st.DrawFn) -> Case:
    record = draw(records())
    fitting = [clock for clock, statuses in HOLDS_IN.items() if record["status"] in statuses]
    clock = draw(st.sampled_from([*fitting * 9, *HOLDS_IN]))
    meaning = draw(st.sampled_from(["unknown", "enqueue", "execution", "execution"]))
    return Case(record, clock, draw(presents()), meaning)


def limits(case: Case) -> st.SearchStrategy[int]:
    """Whole seconds around the bounds of the age, and any others; a policy has no limit beyond a year."""
    known = [] if is_unknown(case.record, case.now) else bounds(*case)
    seconds = [bound // SECOND for bound in known if bound is not None]
    near = [min(max(1, one + more), 366 * 86_400) for one in seconds for more in (-1, 0, 1)]
    return st.sampled_from([*near, 3599, 3600, 3601, 7200, 1])


def may_contradict(record: dict[str, Any]) -> bool:
    """Whether `startedTime` is later than the first event: perhaps both exclude each other."""
    started = record.get("startedTime")
    dates = [event.get("timestamp") for event in record.get("events", [])]
    return isinstance(started, int) and any(isinstance(date, int) and date < started for date in dates)


def decided(case: Case, match: str, **keys: str) -> bool | None:
    """Whether the evaluator finds a task due; None when it cannot tell."""
    task = read_task(TRANSCODE, case.record)
    file = compiled(a_policy(match, **keys), started_time=case.meaning)
    kind = evaluate(task, file, Moment(*case.now, 0)).kind
    return {Kind.DUE: True, Kind.KEPT: False, Kind.UNKNOWN: None}[kind]


@settings(max_examples=5 * settings().max_examples)
@given(st.data(), cases())
def test_a_clock_is_over_within_or_unknown_as_the_table_says(data: st.DataObject, case: Case) -> None:
    limit = data.draw(limits(case))
    expected = verdict(*case, limit * SECOND)
    found = decided(case, f"{{{case.clock}: {limit}s}}")
    assert found is expected or (found is None and may_contradict(case.record))


@settings(max_examples=2 * settings().max_examples)
@given(st.data(), cases())
def test_an_exemption_is_false_by_the_upper_bound_alone(data: st.DataObject, case: Case) -> None:
    """In `unless`: over spares, within does not, and unknown keeps."""
    limit = data.draw(limits(case))
    matches = verdict(*case._replace(clock="alive_for"), 60 * SECOND)
    spares = verdict(*case, limit * SECOND)
    expected = False if matches is False or spares is True else None if None in (matches, spares) else True
    found = decided(case, "{alive_for: 1m}", unless=f"[{{{case.clock}: {limit}s}}]")
    assert found is expected or (found is None and may_contradict(case.record))


def test_every_row_of_the_table_is_tried() -> None:
    """A law about what never happens proves nothing."""
    seen: Counter[str] = Counter()

    @settings(max_examples=800, derandomize=True, database=None, phases=[Phase.generate])
    @given(cases())
    def count(case: Case) -> None:
        source = "events" if case.record.get("events") else f"started_time {case.meaning}"
        if is_unknown(case.record, case.now):
            seen["unknown"] += 1
        elif case.record["status"] in HOLDS_IN[case.clock]:
            least, most = bounds(*case)
            kind = {(True, True): "fixed", (True, False): "at least", (False, True): "at most"}
            seen[f"{source}: {kind.get((least is not None, most is not None), 'open')}"] += 1

    count()
    rows = [
        *("unknown", "events: fixed", "events: at least", "events: at most", "events: open"),
        *("started_time unknown: at least", "started_time unknown: at most", "started_time unknown: open"),
        *("started_time enqueue: fixed", "started_time execution: fixed", "started_time execution: at least"),
    ]
    assert [row for row in rows if not seen[row]] == []
