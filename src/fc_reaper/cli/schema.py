"""`fc-reaper schema`: the JSON schema of the policy file."""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from fc_reaper.cli.output import print_line
from fc_reaper.models import Exit
from fc_reaper.policy import PolicyFile


def schema() -> int:
    """Print the JSON schema of the policy file, for editors.

    \b
    Example:
      fc-reaper schema > policy.schema.json
    """
    print_line(json.dumps(policy_schema(), indent=2))
    return Exit.DONE


class _Generator(GenerateJsonSchema):
    """Leaves out what says nothing to people: a title for each key, and null for one that is not written."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def policy_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a policy file for editors, as plain data of the caller's own.

    It accepts whatever `load_policy` accepts. What concerns several keys at once, such as unique
    names, and the bounds of lengths of time only the loader knows.
    """
    schema = PolicyFile.model_json_schema(schema_generator=_Generator)
    return {
        **schema,
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "fc-reaper policy",
        "description": "Which asynchronous tasks of Function Compute are stopped or reported, and why.",
    }
