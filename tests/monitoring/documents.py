"""What docs/monitoring.md and the files beside it hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.monitoring.published import DOCS

_TEXT = (DOCS / "monitoring.md").read_text("utf-8")
_TEN, _, _OWNERS = _TEXT.partition("## The ten queries")[2].partition("## For the owner")

QUERIES: dict[str, str] = dict(re.findall(r"### \d+\. (.+?)\n.+?```sql\n(.+?)```", _TEN, re.DOTALL))
"""The ten queries by their headings."""

OF_ONE_TASK = re.findall(r"```sql\n(.+?)```", _OWNERS, re.DOTALL)[0]
"""The query of the owner of one task."""

SAVED = re.findall(r"```sql\n(.+?)```", (DOCS / "cost.md").read_text("utf-8"), re.DOTALL)[0]
"""The query of docs/cost.md."""

DASHBOARD: dict[str, Any] = json.loads((DOCS / "monitoring/dashboard.json").read_text("utf-8"))
ALERTS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((DOCS / "monitoring/alerts").iterdir())
}
S_YAML = Path(__file__).parents[2] / "s.yaml"


def alert_query(alert: dict[str, Any]) -> dict[str, Any]:
    """The one query of an alert: its text, the store, from when to when."""
    (query,) = alert["configuration"]["queryList"]
    return dict(query)


def every_query() -> dict[str, str]:
    """All there are: the ten, the owner's, that of docs/cost.md, and those of the alerts."""
    alerts = {f"alert {name}": str(alert_query(alert)["query"]) for name, alert in ALERTS.items()}
    return {**QUERIES, "the owner's": OF_ONE_TASK, "what stops save": SAVED, **alerts}
