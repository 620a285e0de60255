"""The picture of a replay."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from xml.etree.ElementTree import Element

import pytest

from fc_reaper.backtest.history import History
from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.cli.output import CommandError
from fc_reaper.cli.replaying.picture import KINDS, MOST, Dot, draw, drawn_policy, thinned
from fc_reaper.cli.replaying.scales import durations, moments
from fc_reaper.policy import PolicyFile
from tests.backtest.lives import MIDNIGHT, history, lived, policies
from tests.builders import ms

SVG = "{http://www.w3.org/2000/svg}"

PAST = history(
    lived("slow", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "5h")),
    lived("quick", ("Enqueued", "1h"), ("Running", "61m"), ("Succeeded", "90m")),
    lived("broken", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "6h")),
    lived("small", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "2m")),
    lived("cut", ("Enqueued", "0s"), ("Running", "1m"), ("Stopped", "10m")),
    lived("lost", ("Enqueued", "0s"), ("Running", "1m"), ("Stopped", "4h")),
    lived("endless", ("Enqueued", "350m"), ("Running", "351m")),
    lived("odd", ("Enqueued", "0s"), ("Running", "1m"), ("Thinking", "2m")),
)


def drawn(past: History, file: PolicyFile, name: str | None = None) -> Element:
    """The picture, parsed."""
    text = draw(past, replay(past, file, ReplayOptions(ms("5m"))), drawn_policy(file, name), "h.jsonl")
    return ElementTree.fromstring(text)


def marks(picture: Element, kind: str) -> int:
    """Shapes of one kind, the one in the legend included."""
    return sum(one.get("class") == kind for one in picture.iter())


def words(picture: Element) -> str:
    """All that is written in it."""
    return "\n".join("".join(one.itertext()) for one in picture.iter(f"{SVG}text"))


def test_every_kind_has_its_shape_its_colour_and_its_place_in_the_legend() -> None:
    """One task of each here; of a stop nobody knows the end where somebody stopped it, or it is alive."""
    picture = drawn(PAST, policies("match: {running_for: 2h}"))
    assert {kind: marks(picture, kind) for kind in KINDS} == dict.fromkeys(KINDS, 2)
    shapes = {
        kind: next(
            (one.tag, re.sub(r"^M\S+ \S+", "", one.get("d", "")), one.get("r"))
            for one in picture.iter()
            if one.get("class") == kind
        )
        for kind in KINDS
    }
    assert len(set(shapes.values())) == len(KINDS)
    for kind in KINDS:
        assert f"{KINDS[kind]}: 1" in words(picture)


def test_the_limit_is_a_line_with_its_label_and_the_axes_have_units() -> None:
    """And what is drawn is said above and below."""
    picture = drawn(PAST, policies("match: {running_for: 2h}"))
    assert marks(picture, "limit") == 1
    text = words(picture)
    assert "limit 2h" in text
    assert "first enqueued (month-day hour:minute, UTC)" in text
    assert "longest running_for" in text
    assert "p0: running_for of media/*@*" in text
    assert "h.jsonl: every task is drawn" in text


@pytest.mark.parametrize(
    ("entry", "label"),
    [
        ("match: {alive_for: {from: payload.max, at_most: 3h}}", "at most 3h"),
        ("match: {retries_over: 2}", None),
        ("match: {status: Running}, keep: {at_most: 3}", None),
    ],
)
def test_a_limit_that_a_task_carries_or_that_is_none_is_no_plain_limit(entry: str, label: str | None) -> None:
    """Without any clock the whole life is drawn, and no line."""
    picture = drawn(PAST, policies(entry))
    assert marks(picture, "limit") == (1 if label else 0)
    assert "longest alive_for" in words(picture)
    assert label is None or label in words(picture)


def test_the_first_policy_that_stops_is_drawn_unless_one_is_named() -> None:
    """One that no timer runs cannot be."""
    file = policies(
        "match: {alive_for: 1h}, report: slow",
        "match: {running_for: 2h}",
        "match: {alive_for: 1h}, triggers: [task]",
    )
    assert drawn_policy(file, None).name == "p1"
    assert drawn_policy(file, "p0").name == "p0"
    with pytest.raises(CommandError, match="no policy of that name; there is p0, p1"):
        drawn_policy(file, "p2")
    with pytest.raises(CommandError, match="nothing to draw"):
        drawn_policy(policies("match: {alive_for: 1h}, triggers: [task]"), None)


def test_a_history_without_tasks_still_gives_a_picture() -> None:
    """With nothing but its axes."""
    assert "no task to be drawn" in words(drawn(history(), policies("match: {running_for: 2h}")))


def test_text_from_elsewhere_is_escaped() -> None:
    """A name is never markup, and a control character never breaks XML."""
    file = policies("name: '<b>&\"x\"', match: {running_for: 2h}")
    text = draw(PAST, replay(PAST, file, ReplayOptions(ms("5m"))), drawn_policy(file, None), "<h>\x07&.jsonl")
    ElementTree.fromstring(text)
    assert "&lt;h&gt; &amp;.jsonl" in text
    assert "&lt;b&gt;" in text
    assert "<h>" not in text
    assert "<b>" not in text


def dots(kind: str, count: int) -> list[Dot]:
    """So many dots of a kind, a minute apart."""
    task = PAST.tasks[0]
    return [Dot(kind, MIDNIGHT + number * 60_000, 60_000, task) for number in range(count)]


def test_many_dots_are_thinned_evenly_and_false_stops_never() -> None:
    """Those that succeeded go first."""
    every = [*dots("succeeded", 50_000), *dots("failed", 500), *dots("false", 700)]
    shown = thinned(every)
    assert len(shown) == MOST
    counts = {kind: sum(dot.kind == kind for dot in shown) for kind in KINDS}
    assert (counts["false"], counts["failed"], counts["succeeded"]) == (700, 500, MOST - 1200)
    places = [dot.at for dot in shown if dot.kind == "succeeded"]
    gaps = {later - sooner for sooner, later in pairwise(places)}
    assert max(gaps) - min(gaps) <= 60_000
    crowd = thinned([*dots("false", MOST + 100), *dots("failed", 10), *dots("succeeded", 10)])
    assert [dot.kind for dot in crowd] == ["false"] * (MOST + 100)


def test_what_was_thinned_out_is_said() -> None:
    """In the caption."""
    many = [
        lived(f"job-{n}", ("Enqueued", f"{n}m"), ("Running", f"{n}m"), ("Succeeded", f"{n + 5}m"))
        for n in range(1, MOST + 500)
    ]
    text = words(drawn(history(*many), policies("match: {running_for: 2h}")))
    assert f"{MOST:,} of {MOST + 499:,} tasks are drawn: false stops all" in text


def test_lengths_far_apart_get_a_logarithmic_scale() -> None:
    """So that seconds are seen beside days; the limit is always on it."""
    far = durations([*[ms("30s")] * 20, ms("2d")], 500, 0)
    assert far.logarithmic
    near = durations([ms("30m"), ms("2h")], 500, 0)
    assert not near.logarithmic
    assert near(0) == 500
    for scale in (far, near):
        assert 2 <= len(scale.ticks) <= 13
        places = [scale(tick) for tick in scale.ticks]
        assert places == sorted(places, reverse=True)
        assert all(0 <= place <= 500 for place in places)


@pytest.mark.parametrize("span", ["10m", "3h", "30h", "20d", "300d"])
def test_moments_have_few_and_round_ticks(span: str) -> None:
    """At most as many as fit side by side."""
    scale = moments([MIDNIGHT, MIDNIGHT + ms(span)], 0, 800)
    assert 2 <= len(scale.ticks) <= 8
    assert 0 < scale(MIDNIGHT) < scale(MIDNIGHT + ms(span)) < 800
