"""A policy that does no more than a setting of the function itself does."""

from __future__ import annotations

from collections.abc import Iterator

from fc_reaper.cli.checking.lint.implied import cells, concerns, generations
from fc_reaper.cli.checking.lint.maxima import maximum
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import CLOCKS, Policy, PolicyFile

NAME = "native-limit"


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each stop that is nothing but a time limit, the same for every caller."""
    for number, policy in enumerate(file.policies):
        clock = _only_clock(policy)
        if clock is None or any(concerns(one, part) for one in file.exempt for part in cells(policy)):
            continue
        limit = policy.match.limits[0][1]
        kinds = generations(policy.targets)
        bounds = [maximum(clock, services=services) for services in kinds]
        if isinstance(limit, int) and all(bound is None or limit < bound[0] for bound in bounds):
            cause, remedy = _sentence(clock, limit // 1000)
            yield Remark(file.source, policy.match.line, f"policies[{number}].match", cause, remedy, NAME)


def _only_clock(policy: Policy) -> str | None:
    """The clock that is all there is to a policy: no exception, no group, no share, no event.

    A native limit holds around the clock, so one that only timers of a name run is something else.
    """
    match = policy.match
    plain = policy.stops and not policy.unless and policy.keep is None and policy.holdout is None
    kinds = {trigger.partition(":")[0] for trigger in policy.triggers}
    by_timer = not kinds or (kinds == {"timer"} and "timer" in policy.triggers)
    if not plain or not by_timer or len(match.limits) != 1:
        return None
    clock = match.limits[0][0]
    other = match.ids or match.where or match.retries_over is not None
    whole = set(match.condition_statuses) == set(CLOCKS[clock])
    return clock if clock in ("running_for", "queued_for") and whole and not other else None


def _sentence(clock: str, seconds: int) -> tuple[str, str]:
    if clock == "running_for":
        return (
            f"a native limit would do: a function timeout of {seconds} seconds bounds each attempt alike",
            f"set `timeout: {seconds}`; keep the policy if some callers need longer (`unless`), or if no "
            "retry may follow: after a timeout come those of maxAsyncRetryAttempts",
        )
    return (
        f"a native limit would do: maxAsyncEventAgeInSeconds {seconds} drops what waits for longer",
        f"set `maxAsyncEventAgeInSeconds: {seconds}` in the asynchronous configuration; keep the policy if "
        "it must not hold for all callers (`unless`)",
    )
