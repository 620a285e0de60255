"""Writes the generated files under docs: the JSON schemas, and the index of the log lines.

python scripts/schemas.py            write them
python scripts/schemas.py --check    name each file that is out of date, and fail
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from fc_reaper.cli.planfile import Plan  # noqa: E402
from fc_reaper.cli.schema import policy_schema  # noqa: E402
from fc_reaper.log import LEVELS, MAY_WARN  # noqa: E402
from fc_reaper.log_lines import LINES, Line  # noqa: E402
from fc_reaper.platform import Platform  # noqa: E402

Schema = dict[str, Any]

DELIMITERS = list(", '\";=()[]{}?@&<>/:\n\t\r")
"""Those that Simple Log Service proposes. Neither - nor _ is one, so that ids and events stay whole."""

BESIDE = ("functionName", "qualifier", "versionId", "instanceID")
"""Fields that Function Compute adds to each record."""

INDEXED = {"string": "text", "boolean": "text", "integer": "long", "number": "double"}
"""Types of JSON as an index has them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with --check compare them and return 1 when one differs."""
    parser = argparse.ArgumentParser(description="Writes the generated files under docs.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is out of date")
    check = parser.parse_args(arguments).check
    outdated = out_of_date()
    for path, text in outdated.items():
        if check:
            print(f"{path} is out of date; run: make schemas", file=sys.stderr)
        else:
            (ROOT / path).write_text(text, "utf-8")
    return 1 if check and outdated else 0


def out_of_date() -> dict[str, str]:
    """The files that differ from what the models say, with the text to write."""
    generated = {
        "docs/policy.schema.json": json.dumps(policy_schema(), indent=2) + "\n",
        "docs/plan.schema.json": json.dumps(schema_of(Plan, "serialization"), indent=1) + "\n",
        "docs/probe.schema.json": json.dumps(schema_of(Platform, "validation"), indent=1) + "\n",
        "docs/log-schema.json": json.dumps(log_schema(), indent=1) + "\n",
        "docs/monitoring/index.json": json.dumps(log_index(), indent=1) + "\n",
    }
    return {path: text for path, text in generated.items() if _read(ROOT / path) != text}


def schema_of(model: type[BaseModel], mode: JsonSchemaMode) -> Schema:
    """The JSON schema of a file as it is written, or as it may be read."""
    schema = model.model_json_schema(mode=mode, schema_generator=_Plain)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


class _Plain(GenerateJsonSchema):
    """Writes no titles and no defaults, and `null` as one more type."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> Schema:
        return self.generate_inner(schema["schema"])

    def nullable_schema(self, schema: Any) -> Schema:
        inner = self.generate_inner(schema["schema"])
        if "enum" in inner:
            return {**inner, "type": [inner["type"], "null"], "enum": [*inner["enum"], None]}
        return {**inner, "type": [inner["type"], "null"]}

    def model_schema(self, schema: Any) -> Schema:
        found = super().model_schema(schema)
        found.pop("title")
        return found


def log_schema() -> Schema:
    """The JSON schema (2020-12) of one log line; a field that it does not name is not in any line."""
    mode: JsonSchemaMode = "serialization"
    _, found = models_json_schema([(Line, mode), *((kind, mode) for kind in LINES)], schema_generator=_Plain)
    models = found["$defs"]
    every = models.pop("Line")
    for kind in LINES:
        _leave_out(every, models[kind.__name__])
    every["properties"]["event"]["enum"] = [event for kind in LINES for event in kind.events()]
    kinds = [{"if": _is_about(kind.events()), "then": {"$ref": f"#/$defs/{kind.__name__}"}} for kind in LINES]
    levels = [
        {"if": _is_about(_of_level(level)), "then": {"properties": {"level": {"const": level}}}}
        for level in ("DEBUG", "INFO", "WARNING")
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A log line of fc-reaper",
        "description": "One JSON object on a line by itself. Written from src/fc_reaper/log_lines.py.",
        "type": "object",
        "properties": every["properties"],
        "required": every["required"],
        "allOf": kinds + levels,
        "unevaluatedProperties": False,
        "$defs": models,
    }


def log_index() -> Schema:
    """The index of a logstore, as the operation CreateIndex wants it.

    https://www.alibabacloud.com/help/en/sls/developer-reference/api-sls-2020-12-30-struct-index
    """
    message = {
        "type": "json",
        "caseSensitive": False,
        "chn": False,
        "token": DELIMITERS,
        "doc_value": True,
        # Only the fields below: the names of the others, such as ids of policies, are not known in advance.
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
    whole = log_schema()
    models = whole["$defs"]
    lines = [whole, *(models[kind.__name__] for kind in LINES)]
    return dict(sorted(leaf for line in lines for leaf in _leaves(models, line["properties"])))


def _leave_out(every: Schema, line: Schema) -> None:
    """Leave out of *line* what *every* line has."""
    line["properties"] = {n: field for n, field in line["properties"].items() if n not in every["properties"]}
    line["required"] = [name for name in line["required"] if name not in every["required"]]
    del line["additionalProperties"]


def _is_about(names: Sequence[str]) -> Schema:
    return {"properties": {"event": {"enum": list(names)}}}


def _of_level(level: str) -> list[str]:
    """The events that always have *level*."""
    names = (event for kind in LINES for event in kind.events() if event not in MAY_WARN)
    return [event for event in names if LEVELS.get(event, "INFO") == level]


def _leaves(models: Schema, fields: Mapping[str, Schema], path: str = "") -> Iterator[tuple[str, str]]:
    for name, field in fields.items():
        if "$ref" in field:
            inner = models[field["$ref"].rpartition("/")[2]]
            yield from _leaves(models, inner["properties"], f"{path}{name}.")
        kinds = field.get("type", ())
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            if kind in INDEXED:
                yield path + name, INDEXED[kind]


def _text() -> Schema:
    return {"type": "text", "caseSensitive": False, "chn": False, "token": DELIMITERS, "doc_value": True}


if __name__ == "__main__":
    sys.exit(main())
