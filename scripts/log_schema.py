"""Writes docs/log-schema.json and docs/monitoring/index.json from the table of log lines.

python scripts/log_schema.py            write both
python scripts/log_schema.py --check    say which is out of date, and fail
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from fc_reaper.log_schema import ALWAYS, CUT, LINES, Fields, Line, Schema  # noqa: E402

DELIMITERS = list(", '\";=()[]{}?@&<>/:\n\t\r")
"""Those that Simple Log Service proposes. Neither - nor _ is one, so that ids and events stay whole."""

BESIDE = ("functionName", "qualifier", "versionId", "instanceID")
"""Fields that Function Compute adds to each record."""

INDEXED = {"string": "text", "boolean": "text", "integer": "long", "number": "double"}
"""Types of JSON as an index has them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with --check compare them; 1 when one differs."""
    parser = argparse.ArgumentParser(
        description="Writes the published schema of the log lines, and the index."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is out of date")
    check = parser.parse_args(arguments).check
    stale = [path for path, text in texts().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            print(
                f"{path.relative_to(ROOT)} is out of date; run: python scripts/log_schema.py", file=sys.stderr
            )
        else:
            path.write_text(texts()[path], "utf-8")
    return 1 if check and stale else 0


def texts() -> dict[Path, str]:
    """Every file that is written from the table, with what belongs in it."""
    contents = {"docs/log-schema.json": schema(), "docs/monitoring/index.json": index()}
    return {ROOT / path: json.dumps(content, indent=1) + "\n" for path, content in contents.items()}


def schema() -> Schema:
    """The JSON schema (2020-12) of one log line; a field that it does not name is not in any line."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A log line of fc-reaper",
        "description": "One JSON object on a line by itself. Written from src/fc_reaper/lines.py.",
        "type": "object",
        "properties": {"event": {"enum": list(LINES)}},
        "required": ["event"],
        "allOf": [
            {"if": {"properties": {"event": {"const": event}}}, "then": {"$ref": f"#/$defs/{event}"}}
            for event in LINES
        ],
        "$defs": {event: _definition(event, line) for event, line in LINES.items()},
    }


def index() -> Schema:
    """The index of a logstore, as the operation CreateIndex wants it.

    https://www.alibabacloud.com/help/en/sls/developer-reference/api-sls-2020-12-30-struct-index
    """
    message = {
        "type": "json",
        "caseSensitive": False,
        "chn": False,
        "token": DELIMITERS,
        "doc_value": True,
        # Only what is named below: what else there is has names that nobody knows before.
        "index_all": False,
        "max_depth": -1,
        "json_keys": {path: {"type": kind, "doc_value": True} for path, kind in leaves().items()},
    }
    return {
        "line": {"caseSensitive": False, "chn": False, "token": DELIMITERS},
        "keys": {"message": message, **{name: _text() for name in BESIDE}},
    }


def leaves() -> dict[str, str]:
    """The fields that can be indexed, by their dotted path: `text`, `long` or `double`.

    Simple Log Service indexes leaves only, neither arrays nor objects whose names are not known before,
    and true and false as text: https://www.alibabacloud.com/help/doc-detail/69357.html
    """
    found = {"level": "text", "event": "text"}
    for line in (ALWAYS, *({**line.fields, **line.perhaps} for line in LINES.values())):
        found.update(_leaves(line))
    return dict(sorted(found.items()))


def _definition(event: str, line: Line) -> Schema:
    own: Fields = {"level": {"enum": list(line.levels)}, "event": {"const": event}}
    there = {**own, **ALWAYS, **line.fields}
    return {
        "description": line.meaning,
        "type": "object",
        "properties": {**there, **line.perhaps, "cut": CUT},
        "required": list(there),
        "additionalProperties": False,
    }


def _leaves(fields: Fields, path: str = "") -> Iterator[tuple[str, str]]:
    for name, field in fields.items():
        kinds = field.get("type", "string")
        if "properties" in field:
            yield from _leaves(field["properties"], f"{path}{name}.")
        for kind, indexed in INDEXED.items():
            if kind in ([kinds] if isinstance(kinds, str) else kinds):
                yield path + name, indexed


def _text() -> Schema:
    return {"type": "text", "caseSensitive": False, "chn": False, "token": DELIMITERS, "doc_value": True}


if __name__ == "__main__":
    sys.exit(main())
