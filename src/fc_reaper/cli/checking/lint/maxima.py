"""Limits that no task can be over, because the platform ends it before.

Timeout: https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits
Queue age and retries in FC 2.0: https://help.aliyun.com/zh/fc/developer-reference/api-fc-open-2021-04-06-putfunctionasyncinvokeconfig
In FC 3.0: https://alibabacloud.com/help/en/functioncompute/api-fc-2023-03-30-struct-putasyncinvokeconfiginput
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fc_reaper.cli.checking.lint.implied import generations
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.models import Millis
from fc_reaper.policy import Carried, Limit, Matcher, PolicyFile, parse_duration, spell_duration
from fc_reaper.rules.target import Target

NAME = "above-maximum"

LONGEST_ATTEMPT = parse_duration("24h")
MOST_RETRIES = 8


def longest_queue(*, services: bool) -> Millis:
    """How long a task may wait at most: maxAsyncEventAgeInSeconds at its highest, by generation."""
    return parse_duration("30d" if services else "7d")


def maximum(clock: str, *, services: bool) -> tuple[Millis, str] | None:
    """How far *clock* can get on FC 2.0 (*services*) or 3.0, and what sets the bound; None for no bound."""
    version = "2.0" if services else "3.0"
    queue = longest_queue(services=services)
    age = f"maxAsyncEventAgeInSeconds is at most {queue // 1000} in FC {version}"
    if clock == "running_for":
        return LONGEST_ATTEMPT, "a function's timeout, which ends an attempt, is at most 86400 seconds"
    if clock == "queued_for":
        return queue, age
    if clock == "alive_for":
        attempts = MOST_RETRIES + 1
        whole = queue + attempts * LONGEST_ATTEMPT
        return whole, f"{age}, and then come at most {attempts} attempts of 24h"
    return None


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each limit that cannot be exceeded, in `match` and in mercy."""
    everywhere = list(dict.fromkeys(target for policy in file.policies for target in policy.targets))
    for at, mercy in enumerate(file.exempt):
        yield from _of(file.source, f"exempt[{at}]", mercy, everywhere, "it spares nobody")
    for number, policy in enumerate(file.policies):
        path = f"policies[{number}]"
        yield from _of(file.source, f"{path}.match", policy.match, policy.targets, "it never matches")
        for at, mercy in enumerate(policy.unless):
            yield from _of(file.source, f"{path}.unless[{at}]", mercy, policy.targets, "it spares nobody")


def _of(source: str, path: str, matcher: Matcher, targets: Sequence[Target], so: str) -> Iterator[Remark]:
    for clock, limit in matcher.limits:
        for key, (cause, remedy) in _too_long(clock, limit, targets, so):
            yield Remark(source, matcher.line, f"{path}.{clock}{key}", cause, remedy, NAME)
    if matcher.retries_over is not None and matcher.retries_over >= MOST_RETRIES:
        cause = f"no task is retried more than {MOST_RETRIES} times (maxAsyncRetryAttempts), so {so}"
        remedy = f"write {MOST_RETRIES - 1} or less"
        yield Remark(source, matcher.line, f"{path}.retries_over", cause, remedy, NAME)


def _too_long(
    clock: str, limit: Limit, targets: Sequence[Target], so: str
) -> Iterator[tuple[str, tuple[str, str]]]:
    """What nobody can be over: the limit itself, or a part of one that the task carries."""
    if not isinstance(limit, Carried):
        yield from (("", fault) for fault in _reaching(clock, limit, so, targets))
        return
    bounded = limit.at_most, "it bounds nothing"
    yield from ((".at_most", fault) for fault in _reaching(clock, *bounded, targets, itself=False))
    if limit.otherwise is not None:
        otherwise = limit.otherwise, f"{so} where the task carries none"
        yield from ((".else", fault) for fault in _reaching(clock, *otherwise, targets))


def _reaching(
    clock: str, limit: Millis, so: str, targets: Sequence[Target], *, itself: bool = True
) -> Iterator[tuple[str, str]]:
    """Why *limit* is too long. Nobody is over the maximum *itself*; as a bound it says that there is none."""
    kinds = generations(targets)
    bounds = {services: maximum(clock, services=services) for services in kinds}
    over = {
        services: bound
        for services, bound in bounds.items()
        if bound is not None and limit + itself > bound[0]
    }
    for services, (most, why) in sorted(over.items(), reverse=True)[:1]:
        only = "" if len(over) == len(kinds) else f" at {', '.join(map(str, kinds[services]))}"
        yield f"{_compared(limit, most, why)}, so {so}{only}", f"write {_remedy(most, itself=itself)}"


def _compared(limit: Millis, most: Millis, why: str) -> str:
    if limit > most:
        return f"{_spelt(limit)} is more than the {_spelt(most)} that are possible ({why})"
    return f"{_spelt(limit)} is all that is possible ({why}), and exactly at a limit is not over it"


def _remedy(most: Millis, *, itself: bool) -> str:
    return f"less than {_spelt(most)}" if itself else f"{_spelt(most)} or less"


def _spelt(length: Millis) -> str:
    """A length of time; up to two days in hours, as people speak of a function's timeout."""
    hours, rest = divmod(length, 3_600_000)
    return f"{hours}h" if not rest and hours <= 48 else spell_duration(length)
