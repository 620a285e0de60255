"""`fc-reaper explain`: the verdict for one task, step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random

from fc_reaper.cli.ending import Ended, say
from fc_reaper.cli.screen import progress
from fc_reaper.cli.steps import as_json, show_steps
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.context import Context
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.judge.explain import Explanation, explain
from fc_reaper.model import Function
from fc_reaper.policy import PolicyFile
from fc_reaper.settings import Settings, read_credentials, read_policy, read_settings
from fc_reaper.sightings import Sighting
from fc_reaper.sweep.sweep import is_ourselves
from fc_reaper.target import parse_target
from fc_reaper.wiring import connector
from fc_reaper.world import Exit

_PATIENCE = 60.0
"""Seconds that reading one task may take, all attempts together."""


def explain_task(target: str, invocation_id: str, env: Mapping[str, str], *, json_wanted: bool) -> int:
    """Read one task and print how it is judged by the policy."""
    function = _function(target)
    settings = read_settings(env, Context())
    policy = read_policy(settings)
    with progress("Reading the task ..."):
        seen = read_task(function, invocation_id, settings, env)
    explanation = judged(seen, policy, settings)
    if json_wanted:
        say(json.dumps(as_json(explanation, policy.source)))
    else:
        show_steps(explanation, policy.source)
    return int(Exit.DONE)


def judged(seen: Sighting, policy: PolicyFile, settings: Settings) -> Explanation:
    """The explanation of one task as it was just read."""
    ourselves = settings.ourselves
    return explain(
        seen.task,
        policy,
        seen.moment,
        stuck_after=settings.stuck_after,
        started_time=settings.started_time,
        ourselves=ourselves is not None and is_ourselves(seen.task.function, ourselves),
    )


def _function(text: str) -> Function:
    target = parse_target(text)
    if target.needs_discovery:
        raise Ended(f"{text} is a pattern; name the one function of the task, such as media/transcode@prod")
    return target.literal()


def read_task(function: Function, invocation_id: str, settings: Settings, env: Mapping[str, str]) -> Sighting:
    """Read the task.

    Raises:
        Ended: the cloud answered that there is none.
        CloudError: the cloud refused for another reason, or did not answer.
    """
    connect = connector(SYSTEM_CLOCK, Random())
    cloud = connect(settings, read_credentials(env, Context()), "explain", lambda operation: None)
    try:
        return cloud.get(function, invocation_id, deadline=SYSTEM_CLOCK.monotonic() + _PATIENCE)
    except InvalidName as error:
        raise Ended(str(error)) from None
    except CloudError as error:
        if error.http_status != 404:
            raise
        raise Ended(
            f"no task {invocation_id} at {function}: {error}; check the id, the qualifier it was invoked "
            "with, and the region of the endpoint; finished tasks are forgotten after some days",
            Exit.ATTENTION,
        ) from None
    finally:
        cloud.abort()
