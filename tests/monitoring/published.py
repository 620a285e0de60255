"""What is published about the log lines: their schema and their index, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "log-schema.json").read_text("utf-8"))
INDEX: dict[str, Any] = json.loads((DOCS / "monitoring/index.json").read_text("utf-8"))
_VALIDATOR = Draft202012Validator(SCHEMA)


def must_be_published(line: dict[str, Any]) -> None:
    """Fail with the field that docs/log-schema.json says otherwise about."""
    error = best_match(_VALIDATOR.iter_errors(line))
    if error is not None:
        where = ".".join(map(str, error.path)) or "the line"
        raise AssertionError(f"{where}: {error.message}\ndocs/log-schema.json does not allow: {line}")
