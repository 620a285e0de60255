"""The cells of the demo's table: what each reaper did to a task, in a few words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from fc_reaper.cli.demo.truth import Deed, minutes
from fc_reaper.cli.screen import BAD, GOOD, SOFT, length
from fc_reaper.evaluator.verdict import Kind, Verdict

Line = Mapping[str, Any]


def cron_cell(deed: Deed, wanted: bool, claims: bool) -> Text:
    """What the cron did to a task; *claims* says whether it printed that it stopped it."""
    if deed.took_effect and not wanted:
        return Text("STOPPED wrong", BAD)
    if deed.took_effect:
        return Text("stopped" if deed.requests == 1 else f"stops it {_times(deed.requests)}")
    if deed.requests == 0:
        return Text("left running" if wanted else "kept")
    return Text('"stopped"' if claims and deed.accepted else "error", BAD)


def reaper_cell(deed: Deed, wanted: bool, said: Line | None, verdict: Verdict, policy: str) -> Text:
    """What fc-reaper did to a task. *said* is its last log line about it, *verdict* its explanation."""
    if deed.took_effect and not wanted:
        return Text("STOPPED wrong", BAD)
    event = None if said is None else said["event"]
    if said is None:
        return Text(_kept(verdict, policy), SOFT if wanted else "")
    if event == "confirmed":
        return _confirmed(deed, said)
    if event == "ended":
        return Text("ended: not an error")
    if event == "stuck":
        return Text("STUCK: somebody is told", BAD)
    return Text(f"{event}: {said.get('why') or said.get('detail') or ''}", BAD)


def _confirmed(deed: Deed, said: Line) -> Text:
    if not deed.took_effect:
        return Text("says stopped, but is not", BAD)
    if said.get("detail"):
        return Text("stopped, confirmed by reading", GOOD)
    return Text(f"stopped, confirmed; {length(said['over_s'])} over", GOOD)


def _kept(verdict: Verdict, policy: str) -> str:
    if verdict.kind is Kind.EXEMPT:
        return f"kept: exempt, {policy}:{verdict.line}"
    if verdict.age is not None and verdict.limit is not None:
        return f"kept: {verdict.rule} {minutes(verdict.age)} of {minutes(verdict.limit)}"
    return f"{verdict.kind.value}: {verdict.reason}"


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def flowing_json(line: Line, width: int) -> str:
    """*line* as JSON in rows of at most *width* columns, broken only between its fields."""
    rows = ["{"]
    for number, (key, value) in enumerate(line.items(), start=1):
        end = "}" if number == len(line) else ","
        field = f"{json.dumps(key)}: {json.dumps(value)}{end}"
        glue = "" if rows[-1] in ("{", " ") else " "
        if len(rows[-1]) + len(glue) + len(field) > width:
            rows.append(" ")
            glue = ""
        rows[-1] += glue + field
    return "\n".join(rows)
