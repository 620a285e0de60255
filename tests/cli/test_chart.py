"""The chart of a replay: `backtest --svg`."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from fc_reaper.backtest.history import History
from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.cli.chart import draw_chart, drawn_policy
from fc_reaper.cli.output import CommandError
from fc_reaper.policy import PolicyFile
from tests.backtest.lives import history, lived, policies
from tests.builders import ms
from tests.cli.command import a_policy_file, fc_reaper
from tests.cli.histories import POLICY, a_history

HISTORY = history(
    lived("slow", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "5h")),
    lived("quick", ("Enqueued", "1h"), ("Running", "61m"), ("Succeeded", "90m")),
    lived("broken", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "6h")),
    lived("small", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "2m")),
    lived("cut", ("Enqueued", "0s"), ("Running", "1m"), ("Stopped", "10m")),
    lived("lost", ("Enqueued", "0s"), ("Running", "1m"), ("Stopped", "4h")),
    lived("endless", ("Enqueued", "350m"), ("Running", "351m")),
    lived("odd", ("Enqueued", "0s"), ("Running", "1m"), ("Thinking", "2m")),
)


def drawn(file: PolicyFile, *, of: History = HISTORY, source: str = "h.jsonl") -> str:
    """All that is written in the chart, which must be XML."""
    of = replace(of, source=source)
    svg = draw_chart(of, replay(of, file, ReplayOptions(ms("5m"))), drawn_policy(file, None))
    return "\n".join("".join(one.itertext()) for one in ElementTree.fromstring(svg).iter())


def test_it_is_written_to_a_new_file(tmp_path: Path) -> None:
    """SVG with the policy's name, its limit and the false stops; over another file with --force only."""
    a_policy_file(tmp_path, POLICY)
    a_history(tmp_path)
    args = ("backtest", "--history", "history.jsonl", "--svg", "chart.svg")
    ran = fc_reaper(*args, cwd=tmp_path)
    assert (ran.code, "chart.svg: written." in ran.out) == (0, True)
    svg = (tmp_path / "chart.svg").read_text("utf-8")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "runaway" in svg
    assert "limit 2h" in svg
    assert "FALSE STOP: 1" in svg
    assert (fc_reaper(*args, cwd=tmp_path).code, fc_reaper(*args, "--force", cwd=tmp_path).code) == (2, 0)
    assert (tmp_path / "chart.svg").read_text("utf-8") == svg


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--draw", "runaway"], "--draw is about the chart; add --svg FILE"),
        (["--svg", "no/such.svg"], "there is no folder "),
        (["--svg", "."], "this is not a regular file"),
        (["--svg", "one", "--html", "./one"], "two of --svg, --html are the same file; choose another"),
        (
            ["--svg", "chart.svg", "--draw", "nobody"],
            "a timer runs no policy nobody to be drawn",
        ),
    ],
    ids=" ".join,
)
def test_a_chart_that_could_not_be_written_is_not_drawn(args: list[str], why: str, tmp_path: Path) -> None:
    """Exit 2 with one line."""
    a_policy_file(tmp_path, POLICY)
    a_history(tmp_path)
    ran = fc_reaper("backtest", "--history", "history.jsonl", *args, cwd=tmp_path)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert why in ran.err


def test_without_matplotlib_it_says_how_to_install_it(tmp_path: Path) -> None:
    """Exit 2, before anything is replayed."""
    a_policy_file(tmp_path, POLICY)
    a_history(tmp_path)
    with patch.dict(sys.modules, {"matplotlib": None}):
        ran = fc_reaper("backtest", "--history", "history.jsonl", "--svg", "chart.svg", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "pip install 'fc-reaper[plot]'" in ran.err


def test_every_kind_of_task_is_in_the_legend_with_its_number() -> None:
    """By how it ended in truth, those that the policy would have stopped apart."""
    text = drawn(policies("match: {running_for: 2h}"))
    for label in (
        "succeeded: 1", "FALSE STOP: 1", "failed: 1", "stop, failed: 1", "censored: 1", "stop, censored: 1",
        "open: 1", "unknown: 1",
    ):  # fmt: skip
        assert label in text


@pytest.mark.parametrize(("lengths", "label"), [(("95m", "3h"), "3h"), (("26h", "27h"), "1d")])
def test_lengths_that_are_nearly_the_same_have_a_label_too(lengths: tuple[str, str], label: str) -> None:
    """Else nobody could read from the chart how long the tasks took."""
    began = (("Enqueued", "0s"), ("Running", "0s"))
    alike = history(*(lived(f"job-{length}", *began, ("Succeeded", length)) for length in lengths))
    assert f"\n{label}\n" in drawn(policies(f"match: {{running_for: {lengths[0]}}}"), of=alike)


def test_the_axis_of_time_is_that_of_the_history() -> None:
    """Also where all tasks began at one moment, which would leave it without a length."""
    task = lived("one", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "3h"))
    text = drawn(policies("match: {running_for: 2h}"), of=history(task))
    assert ("\n18 00:00\n" in text, "\n18 03:00\n" in text, "2027" in text) == (True, True, False)


@pytest.mark.parametrize(
    ("entry", "label"),
    [
        ("match: {running_for: 2h}", "limit 2h"),
        ("match: {alive_for: {from: payload.max, at_most: 3h}}", "at most 3h"),
        ("match: {retries_over: 2}", None),
        ("match: {status: Running}, keep: {at_most: 3}", None),
    ],
)
def test_the_first_clock_is_drawn_with_its_limit(entry: str, label: str | None) -> None:
    """Without any clock the whole life is drawn, and no limit."""
    text = drawn(policies(entry))
    assert ("longest alive_for" in text) == ("running_for" not in entry)
    assert (label or "limit") in text if label else "limit" not in text


def test_a_history_without_tasks_still_gives_a_chart() -> None:
    """With nothing but its axes and the limit."""
    assert "limit 2h" in drawn(policies("match: {running_for: 2h}"), of=history())


def test_text_from_elsewhere_is_escaped() -> None:
    """A name is neither markup nor mathematics, and a control character never breaks XML."""
    text = drawn(policies("name: '<b>&\"$x$\"', match: {running_for: 2h}"), source="<h>\x07&.jsonl")
    assert '<b>&"$x$"' in text
    assert r"<h>\x07&.jsonl" in text


def test_the_first_policy_that_stops_is_drawn_unless_one_is_named() -> None:
    """One that no timer runs cannot be."""
    file = policies(
        "match: {alive_for: 1h}, report: slow",
        "match: {running_for: 2h}",
        "match: {alive_for: 1h}, triggers: [task]",
    )
    assert drawn_policy(file, None).name == "p1"
    assert drawn_policy(file, "p0").name == "p0"
    with pytest.raises(CommandError, match="no policy p2 to be drawn; there is p0, p1"):
        drawn_policy(file, "p2")
    with pytest.raises(CommandError, match="there is none"):
        drawn_policy(policies("match: {alive_for: 1h}, triggers: [task]"), None)
