"""`fc-reaper check` and `schema`: what a policy means and costs, and its JSON schema. Both ask no cloud."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from fc_reaper.cli.checking.check import check as check_policy
from fc_reaper.cli.options import AsJson, PolicyFile, environment
from fc_reaper.cli.output import CommandError, print_line
from fc_reaper.models import Exit


def check(
    policy: Annotated[
        str | None, Argument(metavar="POLICY", help="Policy file; default REAPER_POLICY, policy.yaml.")
    ] = None,
    policy_option: PolicyFile = None,
    as_json: AsJson = False,
) -> int:
    """Validate a policy; show what it means and what it costs.

    Its examples are run, and what is probably not meant is warned of. No cloud is asked.

    \b
    Example:
      fc-reaper check policy.yaml
    """
    if policy is not None and policy_option is not None:
        raise CommandError(
            f"check takes one policy, and {policy} and --policy {policy_option} are two; "
            f"write: fc-reaper check {policy}"
        )
    return check_policy(environment(policy=policy if policy is not None else policy_option), as_json=as_json)


def schema() -> int:
    """Print the JSON schema of the policy file, for editors.

    \b
    Example:
      fc-reaper schema > policy.schema.json
    """
    import json

    from fc_reaper.policy.schema import policy_schema

    print_line(json.dumps(policy_schema(), indent=2))
    return Exit.DONE
