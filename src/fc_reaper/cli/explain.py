"""`fc-reaper explain`: the verdict for one task, step by step."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from fc_reaper.cli.explaining.explain import Wanted, explain_task
from fc_reaper.cli.options import Api, AsJson, Endpoint, PolicyFile, environment


def explain(
    target: Annotated[str | None, Argument(metavar="TARGET", help="[service/]function[@qualifier]")] = None,
    invocation_id: Annotated[str | None, Argument(metavar="ID", help="Invocation id of the task.")] = None,
    record: Annotated[
        str | None, Option("--record", metavar="FILE", help="Take the task from a file; ask no cloud.")
    ] = None,
    at: Annotated[
        str | None, Option("--at", metavar="TIME", help="Evaluate as of then: ISO 8601 or epoch ms.")
    ] = None,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    as_json: AsJson = False,
) -> int:
    """Show the verdict for one task, step by step. Stops nothing.

    A file with --record holds a record as the cloud writes it, an answer of Get or List, or JSON lines; - is
    standard input. TARGET and ID are then needed only where the file leaves them open.

    \b
    Examples:
      fc-reaper explain media/transcode job-7
      fc-reaper explain --record task.json --at 2026-05-01T12:00:00Z
    """
    words = [word for word in (target, invocation_id) if word is not None]
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version)
    return explain_task(Wanted(words, record, at), env, json_wanted=as_json)
