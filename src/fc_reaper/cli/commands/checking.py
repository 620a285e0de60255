"""`check`, `explain` and `schema`: what a policy says, of itself, of one task, and to editors."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fc_reaper.cli.ending import Ended, leave, say
from fc_reaper.cli.options import (
    Api,
    Endpoint,
    Json,
    NeverEnforce,
    PolicyFile,
    environment,
    never_enforces,
)


def check(
    policy: Annotated[
        str | None, typer.Argument(metavar="POLICY", help="The file; otherwise REAPER_POLICY or policy.yaml.")
    ] = None,
    policy_option: PolicyFile = None,
    as_json: Json = False,
) -> None:
    """Say whether a policy is valid, what it means, and what it costs in calls. Never asks the cloud."""
    from fc_reaper.cli.checking.check import check as command

    def run() -> int:
        if policy is not None and policy_option is not None:
            raise Ended(
                f"check takes one policy, and {policy} and --policy {policy_option} are two; "
                f"write: fc-reaper check {policy}"
            )
        return command(environment(policy=policy if policy is not None else policy_option), as_json=as_json)

    leave(run)


def explain(
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="[service/]function[@qualifier]")
    ] = None,
    invocation_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The invocation id of the task.")
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            "--record",
            metavar="FILE",
            help="Take the task from a file, as the cloud writes it; - is standard input. Asks no cloud; "
            "TARGET and ID are then needed only where the file leaves them open.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Judge at that moment: ISO 8601, or epoch milliseconds."),
    ] = None,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: NeverEnforce = None,
    as_json: Json = False,
) -> None:
    """Read one task and show, step by step, how the policy judges it. Stops nothing."""
    from fc_reaper.cli.explaining.explain import Wanted, explain_task

    wanted = Wanted([word for word in (target, invocation_id) if word is not None], record, at)

    def run() -> int:
        never_enforces("explain", enforce)
        return explain_task(
            wanted,
            environment(policy=policy, endpoint=endpoint, api_version=api_version),
            json_wanted=as_json,
        )

    leave(run)


def schema() -> None:
    """Print the JSON schema of the policy file, for editors."""
    from fc_reaper.policy.schema import policy_schema

    def run() -> int:
        say(json.dumps(policy_schema(), indent=2))
        return 0

    leave(run)
