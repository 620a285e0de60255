"""`fc-reaper schema`: the JSON schema of the policy file."""

import json

from fc_reaper.cli.output import print_line
from fc_reaper.models import Exit
from fc_reaper.policy.model import policy_schema


def schema() -> int:
    """Print the JSON schema of the policy file, for editors.

    \b
    Example:
      fc-reaper schema > policy.schema.json
    """
    print_line(json.dumps(policy_schema(), indent=2))
    return Exit.DONE
