"""As much of Simple Log Service as the documented queries need: a search, then SQL.

SQLite reads the same SQL; the few functions that it lacks are added here. It sees what the index lets
Simple Log Service see: the indexed leaves of `message`, each by its type, and `__time__`.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime, timezone
from typing import Any, NamedTuple

from tests.monitoring.published import INDEX

KEYS: dict[str, str] = {
    f"message.{path}": key["type"] for path, key in INDEX["keys"]["message"]["json_keys"].items()
}
"""The fields that a query can use, by their names in it."""

_TERM = re.compile(r'(message\.[\w.]+): *(?:"([^"]+)"|([\w-]+))')


class Record(NamedTuple):
    """A log record: `time` is epoch seconds, as the service keeps it."""

    time: int
    line: dict[str, Any]


def answer(query: str, records: Iterable[Record]) -> list[dict[str, Any]]:
    """The rows of *query* over *records*, each by its column names."""
    search, _, sql = query.partition("|")
    log = [_columns(record) for record in records]
    return _run(sql, [row for row in log if _matches(search.strip(), row)])


def fields_of(query: str) -> set[str]:
    """Every field of a line that *query* names, in its search or in its SQL."""
    return set(re.findall(r"message\.\w+(?:\.\w+)*", query))


def _columns(record: Record) -> dict[str, Any]:
    return {"__time__": record.time, **{key: _value(record.line, key) for key in KEYS}}


def _value(line: dict[str, Any], key: str) -> Any:
    value: Any = line
    for name in key.split(".")[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None or isinstance(value, (dict, list)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return {"text": str, "long": int, "double": float}[KEYS[key]](value)


def _matches(search: str, row: dict[str, Any]) -> bool:
    """Terms joined by `and`, or by `or`; a mixture would need to know which binds closer."""
    assert not (" and " in search and " or " in search), search
    found = [_term(text, row) for text in re.split(r" (?:and|or) ", search)]
    return any(found) if " or " in search else all(found)


def _term(text: str, row: dict[str, Any]) -> bool:
    term = _TERM.fullmatch(text)
    assert term is not None, f"not a term: {text}"
    return str(row[term[1]]).lower() == (term[2] or term[3]).lower()


def _run(sql: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.create_function("date_trunc", 2, _date_trunc)
        database.create_function("from_unixtime", 1, _moment)
        database.create_aggregate("approx_percentile", 2, _Percentile)  # type: ignore[arg-type]
        database.create_aggregate("count_if", 1, _CountIf)
        names = ["__time__", *KEYS]
        database.execute("create table log ({})".format(", ".join(f'"{name}"' for name in names)))
        places = ", ".join("?" for _ in names)
        database.executemany(
            f"insert into log values ({places})", [[row[name] for name in names] for row in rows]
        )
        answered = database.execute(sql)
        columns = [column[0] for column in answered.description]
        return [dict(zip(columns, row, strict=True)) for row in answered]


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.000")


def _date_trunc(unit: str, seconds: int) -> str:
    return _moment(seconds - seconds % {"hour": 3600, "day": 86400}[unit])


class _Percentile:
    """The exact percentile, by the nearest rank."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._share = 0.0

    def step(self, value: float | None, share: float) -> None:
        self._share = share
        if value is not None:
            self._values.append(value)

    def finalize(self) -> float | None:
        return percentile(self._values, self._share)


class _CountIf:
    def __init__(self) -> None:
        self._number = 0

    def step(self, holds: int | None) -> None:
        self._number += bool(holds)

    def finalize(self) -> int:
        return self._number


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest of *values* that at least *share* of them do not exceed; None of none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None
