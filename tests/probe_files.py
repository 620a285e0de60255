"""Contents of a `probe.json`."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from fc_reaper.platform import account_digest

REGION, ACCOUNT = "cn-hangzhou", "123456789"

CONTEXT = SimpleNamespace(
    request_id="r-1", function=SimpleNamespace(timeout=60), region=REGION, account_id=ACCOUNT
)
"""The context of a run in this account."""

FACTS: dict[str, list[Any]] = {
    "started_time": ["enqueue", "execution"],
    "events": ["list", "get", "no"],
    "record_qualifier": ["asked", "version"],
    "alias_tasks": ["alias", "version"],
    "stop_finished": [412, 400],
    "stop_stopping": [200, 412],
    "stopping": ["0s", "1s", "75s", "never"],
    "list_lag": ["0s", "3s", "100s"],
    "arn": ["colon", "slash"],
    "stop_answer": [200, 204],
    "empty_list": ["key", "omitted"],
    "event_detail": ["empty", "log-tail"],
}
"""Each fact, with values that it may have; lengths have many others."""

API_VERSIONS = ("2021-04-06", "2016-08-15", "2023-03-30")


def probed(**given: Any) -> dict[str, Any]:
    """The content of a file of this account in which nothing was observed, with the keys *given*."""
    return {
        "version": 1,
        "region": REGION,
        "account": account_digest(REGION, ACCOUNT),
        "date": "2026-11-27",
        "api_versions": {},
        "facts": {},
        "observed": {},
        **given,
    }


def write_probe(folder: Path, **given: Any) -> Path:
    """Write `probed(**given)` as `probe.json` into *folder*."""
    path = folder / "probe.json"
    path.write_text(json.dumps(probed(**given)), "utf-8")
    return path


def facts() -> st.SearchStrategy[dict[str, Any]]:
    """Facts, some of them null, some left out."""
    each = {name: st.sampled_from([*values, None]) for name, values in FACTS.items()}
    return st.fixed_dictionaries({}, optional=each)


def api_versions() -> st.SearchStrategy[dict[str, bool | None]]:
    return st.dictionaries(st.sampled_from(API_VERSIONS), st.sampled_from([True, False, None]))
