"""The files for Simple Log Service: the dashboard and the alerts say what the documentation says."""

from __future__ import annotations

import operator
import re
from typing import Any

import pytest
import yaml

from tests.monitoring.documents import ALERTS, DASHBOARD, QUERIES, S_YAML, alert_query
from tests.monitoring.history import INTERVAL, MIDNIGHT, History
from tests.monitoring.published import DOCS
from tests.monitoring.sls import Record, answer

VARS: dict[str, str] = yaml.safe_load(S_YAML.read_text("utf-8"))["vars"]
CHARTS: list[dict[str, Any]] = DASHBOARD["charts"]


def titled(chart: dict[str, Any]) -> str:
    return str(chart["display"]["displayName"])


def test_the_dashboard_shows_the_ten_queries_as_documented() -> None:
    """In their order, and to the letter; line breaks aside."""
    shown = {titled(chart): chart["search"]["query"] for chart in CHARTS}
    assert list(shown.items()) == [(name, " ".join(query.split())) for name, query in QUERIES.items()]


@pytest.mark.parametrize("chart", CHARTS, ids=titled)
def test_a_chart_draws_columns_that_its_query_answers_with(history: History, chart: dict[str, Any]) -> None:
    """An axis of a name that is no column stays empty."""
    row = answer(chart["search"]["query"], history.records)[0]
    assert {*chart["display"]["xAxis"], *chart["display"]["yAxis"]} <= set(row)


def test_no_two_charts_overlap() -> None:
    """They lie on a grid."""
    cells = [
        (x, y)
        for display in (chart["display"] for chart in CHARTS)
        for x in range(display["xPos"], display["xPos"] + display["width"])
        for y in range(display["yPos"], display["yPos"] + display["height"])
    ]
    assert len(cells) == len(set(cells))


def test_the_files_name_the_store_that_s_yaml_names() -> None:
    """Whoever keeps the names of s.yaml edits nothing here."""
    assert {chart["search"]["logstore"] for chart in CHARTS} == {VARS["logstore"]}
    places = {
        (query["region"], query["project"], query["store"]) for query in map(alert_query, ALERTS.values())
    }
    assert places == {(VARS["region"], VARS["logProject"], VARS["logstore"])}


def test_the_alerts_look_back_over_the_interval_of_s_yaml() -> None:
    """Three intervals for missing runs; two for what a run reports, so that no report falls between."""
    assert VARS["interval"] == f"{INTERVAL // 60}m"
    starts = {name: alert_query(alert)["start"] for name, alert in ALERTS.items()}
    assert starts["missing-runs"] == f"-{3 * INTERVAL}s"
    assert {starts[name] for name in ("stuck", "halted", "budget-spent", "stop-failed")} == {
        f"-{2 * INTERVAL}s"
    }


def test_every_alert_stands_in_the_documentation() -> None:
    """A row each: the file is named, and how loud it is."""
    severities = {10: "critical", 8: "high", 6: "medium", 4: "low", 2: "report"}
    text = (DOCS / "monitoring.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \|.*\| (\w+) \|$", text, re.MULTILINE))
    found = {}
    for name, alert in ALERTS.items():
        (condition,) = alert["configuration"]["severityConfigurations"]
        found[name] = severities[condition["severity"]]
    assert rows == found


def fires(name: str, records: list[Record], now: int) -> bool:
    """Whether an alert evaluated at *now* fires: on any row, or on a row of which its condition holds."""
    query = alert_query(ALERTS[name])
    start, end = (now + int(query[edge].rstrip("s").replace("now", "0")) for edge in ("start", "end"))
    rows = answer(query["query"], [record for record in records if start <= record.time < end])
    (severity,) = ALERTS[name]["configuration"]["severityConfigurations"]
    return any(holds(severity["evalCondition"]["condition"], row) for row in rows)


def holds(condition: str, row: dict[str, Any]) -> bool:
    if not condition:
        return True
    parts = re.fullmatch(r"([a-z][a-z0-9]*) (==|>) ([0-9]+)", condition)
    assert parts is not None, condition
    value = row[parts[1]]
    compare = {"==": operator.eq, ">": operator.gt}[parts[2]]
    return value is not None and bool(compare(value, int(parts[3])))


SECOND_DAY = MIDNIGHT
MOMENTS = {
    "missing-runs": (SECOND_DAY + 3600, SECOND_DAY + 1000),
    "stuck": (SECOND_DAY + 300, SECOND_DAY + 3600),
    "halted": (SECOND_DAY + 300, SECOND_DAY + 4600),
    "budget-spent": (SECOND_DAY + 600, SECOND_DAY + 4600),
    "stop-failed": (SECOND_DAY + 1200, SECOND_DAY + 2400),
    "stopped": (SECOND_DAY + 4800, SECOND_DAY + 1200),
    "reported": (SECOND_DAY - 86_400 + 6000, SECOND_DAY + 3600),
    "would-stop": (SECOND_DAY, SECOND_DAY + 87_000),
    "error-rate": (SECOND_DAY + 1200, SECOND_DAY + 300),
}
"""For each alert a moment of the history at which it is to fire, and one at which it is not."""


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_when_it_should_and_only_then(
    history: History, quiet_hour: History, name: str
) -> None:
    """In real lines of a bad day, and not in those of a quiet hour."""
    bad, good = MOMENTS[name]
    assert fires(name, history.records, bad)
    assert not fires(name, history.records, good)
    for now in range(MIDNIGHT + 3 * INTERVAL, MIDNIGHT + 12 * INTERVAL, INTERVAL):
        assert not fires(name, quiet_hour.records, now + 1)


@pytest.mark.parametrize("name", ALERTS)
def test_what_a_notice_says_is_in_the_row(history: History, name: str) -> None:
    """`${...}` of a name that the query does not answer with would be sent as it stands."""
    query = alert_query(ALERTS[name])["query"]
    row = answer(query, history.records)[0]
    (text,) = [
        note["value"] for note in ALERTS[name]["configuration"]["annotations"] if note["key"] == "desc"
    ]
    assert set(re.findall(r"\$\{(\w+)\}", text)) <= set(row)


def test_what_happens_once_is_told_once() -> None:
    """The windows of these rules meet and do not overlap, and end late enough for a line to be indexed."""
    units = {"m": 60, "d": 86_400}
    for name in ("stopped", "reported"):
        query, every = alert_query(ALERTS[name]), ALERTS[name]["schedule"]["interval"]
        start, end = (-int(query[edge].rstrip("s")) for edge in ("start", "end"))
        assert (start - end, end) == (int(every[:-1]) * units[every[-1]], 120)
    assert alert_query(ALERTS["would-stop"])["start"] == "-86400s"
    assert ALERTS["would-stop"]["schedule"]["type"] == "Daily"


def test_only_the_absence_of_runs_is_an_alert_by_itself() -> None:
    """A reaper that is gone logs no line; elsewhere no line is good news."""
    silent = {name for name, alert in ALERTS.items() if alert["configuration"]["noDataFire"]}
    assert silent == {"missing-runs"}
    assert fires("missing-runs", [], MIDNIGHT)
    assert not any(fires(name, [], MIDNIGHT) for name in set(ALERTS) - silent)
