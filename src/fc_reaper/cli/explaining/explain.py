"""`fc-reaper explain`: the verdict for one task, step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fc_reaper.cli.explaining.records import function_named, read_at, refuse_earlier, task_in_file
from fc_reaper.cli.explaining.steps import show_steps
from fc_reaper.cli.explaining.steps_json import as_json
from fc_reaper.cli.output import CommandError, print_line, progress
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.evaluator.explain import Explanation, explain
from fc_reaper.models import Exit, Function, Snapshot
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy, read_unapproved
from fc_reaper.settings import Context, Settings, connect, read_credentials, read_settings
from fc_reaper.sweep.rulebook import is_ourselves

_PATIENCE = 60.0
"""Seconds that reading one task may take, all attempts together."""


class Wanted(NamedTuple):
    """What is to be explained, as it was given: words for target and id, a file with a record, a moment."""

    words: Sequence[str]
    record: str | None = None
    at: str | None = None


def explain_task(wanted: Wanted, env: Mapping[str, str], *, json_wanted: bool) -> int:
    """Read one task, from the cloud or a file, and print how it is judged by the policy."""
    settings = read_settings(env, Context())
    policy = read_policy(settings)
    moment = None if wanted.at is None else read_at(wanted.at)
    seen = _seen(wanted, settings, env)
    if moment is not None:
        refuse_earlier(seen.task, moment)
        seen = seen._replace(moment=moment)
    explanation = judged(seen, policy, settings)
    if json_wanted:
        print_line(json.dumps(as_json(explanation, policy.source)))
    else:
        show_steps(explanation, policy.source, dated=wanted.record is not None or moment is not None)
    return int(Exit.DONE)


def _seen(wanted: Wanted, settings: Settings, env: Mapping[str, str]) -> Snapshot:
    if wanted.record is not None:
        return Snapshot(task_in_file(wanted.record, wanted.words), SYSTEM_CLOCK.now())
    if len(wanted.words) < 2:
        raise CommandError("give TARGET and ID, such as media/transcode@prod job-7, or a file with --record")
    function = function_named(wanted.words[0])
    with progress("Reading the task ..."):
        return read_task(function, wanted.words[1], settings, env)


def judged(seen: Snapshot, policy: PolicyFile, settings: Settings) -> Explanation:
    """The explanation of one task as it was just read, by the policy as far as it is approved."""
    ourselves = settings.ourselves
    return explain(
        seen.task,
        policy,
        seen.moment,
        stuck_after=settings.stuck_after,
        started_time=settings.started_time,
        own_function=ourselves is not None and is_ourselves(seen.task.function, ourselves),
        unapproved=read_unapproved(settings, policy),
    )


def read_task(function: Function, invocation_id: str, settings: Settings, env: Mapping[str, str]) -> Snapshot:
    """Read the task.

    Raises:
        CommandError: the cloud answered that there is none.
        CloudError: the cloud refused for another reason, or did not answer.
    """
    cloud = connect(settings, read_credentials(env, Context()), "explain", lambda operation: None)
    try:
        return cloud.get(function, invocation_id, deadline=SYSTEM_CLOCK.monotonic() + _PATIENCE)
    except InvalidName as error:
        raise CommandError(str(error)) from None
    except CloudError as error:
        if error.http_status != 404:
            raise
        raise CommandError(
            f"no task {invocation_id} at {function}: {error}; check the id, the qualifier it was invoked "
            "with, and the region of the endpoint; finished tasks are forgotten after some days",
            Exit.ATTENTION,
        ) from None
    finally:
        cloud.close()
