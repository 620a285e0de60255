"""What is valid in a policy file and yet probably not meant; an uncertain case gets no warning.

Timeout: https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits
Queue age and retries in FC 2.0:
https://help.aliyun.com/zh/fc/developer-reference/api-fc-open-2021-04-06-putfunctionasyncinvokeconfig
In FC 3.0: https://alibabacloud.com/help/en/functioncompute/api-fc-2023-03-30-struct-putasyncinvokeconfiginput
What is not listed:
https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-liststatefulasyncinvocations
"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from math import inf

from fc_reaper.errors import Issue, nearest
from fc_reaper.models import BLIND_API, DEQUEUED, Function, Millis, Target, spellings
from fc_reaper.policy.model import Matcher, Policy, PolicyFile
from fc_reaper.rules.ages import CLOCKS
from fc_reaper.rules.duration import parse_duration, spell_duration
from fc_reaper.rules.expression import AGES, PAYLOAD, RECORD_FIELDS, Expression
from fc_reaper.rules.fields import CarriedLimit, spell_moment
from fc_reaper.rules.language import Path
from fc_reaper.rules.rules import Clock, RetriesOver, TargetRule, Until

LONGEST_ATTEMPT = parse_duration("24h")
MOST_RETRIES = 8
# How long a task may wait at most (maxAsyncEventAgeInSeconds), in FC 2.0 and in FC 3.0.
LONGEST_QUEUE = {True: parse_duration("30d"), False: parse_duration("7d")}
LONGEST_DELAY = parse_duration("1h")  # the most that `x-fc-async-delay` can be
_Odd = Iterator[tuple[Path, str]]  # paths, each with a sentence that reads `what is odd; what to write`


def lint(file: PolicyFile, api_version: str = BLIND_API, now: Millis = 0) -> list[Issue]:
    """Everything odd in *file* at *now*, in the order of its lines; *api_version* is the one for FC 2.0."""
    odd = {
        "unknown-field": _unknown_fields(file),
        "above-maximum": _above_maximum(file),
        "spares-nothing": _spares_nothing(file),
        "never-listed": _never_listed(file, api_version),
        "waits-on-purpose": _waits_on_purpose(file),
        "native-limit": _native_limits(file),
        "always-beaten": _always_beaten(file),
        "exemption-ends": _exemption_ends(file, now),
    }
    issues = [file.issue(*one)._replace(lint=name) for name, found in odd.items() for one in found]
    return sorted(dict.fromkeys(issues), key=lambda issue: issue.line or 0)


def _matchers(file: PolicyFile) -> Iterator[tuple[Path, Matcher, Sequence[Target], str]]:
    """Every matcher with its path, the targets that it is about, and what follows if it never holds."""
    everywhere = [target for policy in file.policies for target in policy.targets]
    for at, matcher in enumerate(file.exempt):
        yield ("exempt", at), matcher, everywhere, "it spares nothing"
    for number, policy in enumerate(file.policies):
        yield ("policies", number, "match"), policy.match, policy.targets, "the policy never matches"
        for at, matcher in enumerate(policy.unless):
            yield ("policies", number, "unless", at), matcher, policy.targets, "it spares nothing for certain"


def _lengths(path: Path, matcher: Matcher) -> Iterator[tuple[Path, str, Millis]]:
    """Every length of time in a matcher, with its path and its clock."""
    for clock, limit in matcher.limits:
        if not isinstance(limit, CarriedLimit):
            yield (*path, clock), clock, limit
            continue
        yield (*path, clock, "at_most"), clock, limit.at_most
        if limit.otherwise is not None:
            yield (*path, clock, "else"), clock, limit.otherwise


def _unknown_fields(file: PolicyFile) -> _Odd:
    """An expression that reads a field which no record has is never answered."""
    found = [
        ((*path, rule.key, "from") if isinstance(rule, Clock) else (*path, rule.key), expression, so)
        for path, matcher, _, so in _matchers(file)
        for rule in matcher.rules
        for expression in rule.expressions
    ]
    for number, policy in enumerate(file.policies):
        if policy.keep is not None and isinstance(policy.keep.per, Expression):
            path: Path = ("policies", number, "keep", "per")
            found.append((path, policy.keep.per, "no task has a group, and none is counted"))
        if isinstance(policy.owner, Expression):
            found.append((("policies", number, "owner"), policy.owner, "the owner is never known"))
    for path, expression, so in found:
        for name in expression.unknown_roots[:1]:
            near = nearest(name, (*RECORD_FIELDS, PAYLOAD, AGES))
            write = f"write {PAYLOAD}.{name} for a field of the payload, '{name}' in single quotes for text"
            if near is not None:
                write = f"did you mean {near}?"
            yield path, f"no record has a field {name}, so {so}; {write}"


def _maximum(clock: str, targets: Iterable[Target]) -> float:
    """How far *clock* gets in functions of *targets*."""
    # A function that was made in FC 2.0 is service$function in FC 3.0.
    queue = LONGEST_QUEUE[all(target.service is not None or "$" in target.name for target in targets)]
    alive = queue + (MOST_RETRIES + 1) * LONGEST_ATTEMPT
    return {"running_for": LONGEST_ATTEMPT, "queued_for": queue, "alive_for": alive}.get(clock, inf)


def _above_maximum(file: PolicyFile) -> _Odd:
    """A limit that no task can be over, because the platform ends it before."""
    for path, matcher, targets, so in _matchers(file):
        for at, clock, length in _lengths(path, matcher):
            most = _maximum(clock, targets)
            # A limit may be bounded by the maximum, and is never over it.
            bounds = at[-1] == "at_most"
            if length > most or (length == most and not bounds):
                so = so if at[-1] == clock else "it has no effect"
                what = f"no {clock} gets beyond {spell_duration(int(most))} on the platform, so {so}"
                yield at, f"{what}; write {'at most' if bounds else 'less than'} that"
        if (getattr(matcher, RetriesOver.key, None) or 0) >= MOST_RETRIES:
            what = f"no task is retried more than {MOST_RETRIES} times (maxAsyncRetryAttempts), so {so}"
            yield (*path, "retries_over"), f"{what}; write {MOST_RETRIES - 1} or less"


def _spares_nothing(file: PolicyFile) -> _Odd:
    """An exemption of functions, or of qualifiers, that no target means."""
    for path, matcher, targets, _ in _matchers(file):
        for spared in getattr(matcher, TargetRule.key, None) or ():
            if not any(_meet(spared, target) for target in targets):
                write = f"name one of them, perhaps {spared._replace(qualifier='*')}"
                yield (*path, "target"), f"{spared} meets none of the targets; {write}"


def _meet(one: Target, other: Target) -> bool:
    """Whether both can mean one function, under either of its names."""
    return any(
        (left.service is None) == (right.service is None)
        and all(overlap(part, its) for part, its in zip(left, right, strict=True) if part and its)
        for left in spellings(Function(*one))
        for right in spellings(Function(*other))
    )


def overlap(one: str, other: str) -> bool:
    """Whether some text fits both patterns; True also where both hold `*` or `?`, which nothing settles."""
    return (
        all(set("*?") & set(glob) for glob in (one, other))
        or fnmatchcase(one, other)
        or fnmatchcase(other, one)
    )


def unlisted(policy: Policy, api_version: str) -> bool:
    """Whether it asks for what is Dequeued, and the API does not list that."""
    asked = DEQUEUED in policy.match.match_statuses and not policy.only_named
    return asked and api_version == BLIND_API and any(one.service is not None for one in policy.targets)


def _never_listed(file: PolicyFile, api_version: str) -> _Odd:
    """A policy that asks for Dequeued alone, where only an event could name such a task."""
    for number, policy in enumerate(file.policies):
        if policy.match.match_statuses == (DEQUEUED,) and unlisted(policy, api_version):
            what = f"no run finds such a task: API version {BLIND_API} does not list {DEQUEUED} tasks"
            write = "add Enqueued, or set REAPER_API_VERSION=2016-08-15"
            yield ("policies", number, "match", "status"), f"{what}; {write}"


def _waits_on_purpose(file: PolicyFile) -> _Odd:
    """A limit of `queued_for` within the delay that whoever invokes a task may ask for."""
    delays = "x-fc-async-delay, or the execution time of the console"
    for number, policy in enumerate(file.policies):
        for at, clock, length in _lengths(("policies", number, "match"), policy.match):
            if clock == "queued_for" and length < LONGEST_DELAY:
                yield at, f"a task may wait for up to 1h on purpose ({delays}); write 1h or more"


_NATIVE = {
    "running_for": "`timeout: {0}` of the function ends each attempt alike, though retries may follow",
    "queued_for": "`maxAsyncEventAgeInSeconds: {0}` of the function drops what waits for longer",
}


def _native_limits(file: PolicyFile) -> _Odd:
    """A stop that does no more than a setting of the function itself does, the same for every caller."""
    for number, policy in enumerate(file.policies):
        spared = file.exempt or policy.unless or policy.keep or policy.holdout
        by_timer = policy.triggers in ((), ("timer",))
        rules = [rule for rule in policy.match.rules if rule.key != "status"]
        if spared or not policy.stops or not by_timer or len(rules) != 1:
            continue
        clock, length = rules[0].key, rules[0].wanted
        whole = clock in _NATIVE and set(policy.match.match_statuses) == set(CLOCKS[clock])
        if whole and isinstance(length, int) and length < _maximum(clock, policy.targets):
            what = f"a native limit would do: {_NATIVE[clock].format(length // 1000)}"
            write = "set it instead, or keep this if some callers need longer"
            yield ("policies", number, "match"), f"{what}; {write}"


def _always_beaten(file: PolicyFile) -> _Odd:
    """A policy of the same targets and match as an earlier one that claims at least as much."""
    earlier: dict[tuple[frozenset[Target], Matcher], list[Policy]] = {}
    for number, policy in enumerate(file.policies):
        alike = earlier.setdefault((frozenset(policy.targets), policy.match), [])
        winner = next((one for one in alike if _beats(one, policy)), None)
        if winner is not None:
            claims = f"{winner.name} (line {winner.line}) claims every task that it matches"
            write = "put it above, narrow the other, or delete it"
            yield ("policies", number), f"{claims}, and what stands first wins; {write}"
        alike.append(policy)


def _beats(one: Policy, other: Policy) -> bool:
    """Whether *one*, which stands first, claims whatever *other* claims."""
    if one.keep is not None or (other.stops and not one.stops):
        return False
    runs = not one.triggers or (bool(other.triggers) and set(other.triggers) <= set(one.triggers))
    return runs and all(matcher in other.unless for matcher in one.unless)


def _exemption_ends(file: PolicyFile, now: Millis) -> _Odd:
    """An exemption that has ended, or ends within a week."""
    for path, matcher, _, _ in _matchers(file):
        end = getattr(matcher, Until.key, None)
        if end is not None and end - now <= parse_duration("7d"):
            ends = f"it ends on {spell_moment(end)}; write a later moment if it is still needed"
            yield (*path, Until.key), ends if now <= end else f"it ended on {spell_moment(end)}; delete it"
