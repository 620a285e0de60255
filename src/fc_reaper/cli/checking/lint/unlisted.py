"""What no listing shows: FC 2.0 does not list what is Dequeued, except under its oldest API.

https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-liststatefulasyncinvocations
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.rules.target import Target

NAME = "never-listed"

DEQUEUED = "Dequeued"
WITHOUT = "2021-04-06"
"""The API of FC 2.0 that refuses to list what is Dequeued."""


def remarks(file: PolicyFile, api_version: str = WITHOUT) -> Iterator[Remark]:
    """One remark for each policy that asks for Dequeued alone, where only an event could name such a task."""
    for number, policy in enumerate(file.policies):
        blind = unlisted(policy, api_version)
        if blind and policy.match.condition_statuses == (DEQUEUED,) and policy.triggers != ("task",):
            only = "" if len(blind) == len(policy.targets) else f" at {', '.join(map(str, blind))}"
            cause = f"no run finds such a task{only}: FC 2.0 does not list what is {DEQUEUED} by {WITHOUT}"
            remedy = "add Enqueued, or set REAPER_API_VERSION=2016-08-15"
            yield Remark(
                file.source, policy.match.line, f"policies[{number}].match.status", cause, remedy, NAME
            )


def unlisted(policy: Policy, api_version: str) -> Sequence[Target]:
    """The targets of which what is Dequeued is asked for and not listed."""
    if api_version != WITHOUT or DEQUEUED not in policy.match.condition_statuses:
        return ()
    return [target for target in policy.targets if target.service is not None]
