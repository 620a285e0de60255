"""Expressions that no task can ever answer, or that can never answer true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from fc_reaper.cli.checking.lint.expressions.answers import answer, untrue
from fc_reaper.cli.checking.lint.expressions.matched import narrowed
from fc_reaper.cli.checking.lint.expressions.names import strange_name
from fc_reaper.cli.checking.lint.expressions.shapes import TEXT, Fault, Shape, misread, record, spoken
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.models import UNFINISHED
from fc_reaper.policy import CLOCKS, Carried, Matcher, Policy, PolicyFile
from fc_reaper.rules.expression import AGES, PAYLOAD, Expression, Path
from fc_reaper.rules.target import Target

NAME = "never-answered"

_OTHER_NAMES = {
    "serviceName": "functionArn", "functionName": "functionArn", "invocationId": "taskId",
    "invocationPayload": "payload", "invocationErrorMessage": "taskErrorMessage",
}  # fmt: skip
_OF_2 = frozenset(_OTHER_NAMES)
_OF_3 = frozenset(("functionArn", "taskId", "taskPayload", "taskErrorMessage"))


class _World(NamedTuple):
    """Of whom an expression is asked; their records have what is `there`, and `match` holds for them."""

    statuses: Sequence[str]
    targets: Sequence[Target]
    there: Sequence[Path] = ()
    match: Matcher | None = None

    def record(self, expression: Expression) -> Shape:
        """What is known of a record that has all that *expression* reads."""
        whole = record(self.statuses, self.targets, (*self.there, *expression.paths))
        return whole if self.match is None else narrowed(whole, self.match, self.targets)


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each expression that is unknown for every task that it is asked of, or never true."""
    everywhere = [target for policy in file.policies for target in policy.targets]
    for at, mercy in enumerate(file.exempt):
        world = _World(mercy.stated_statuses or UNFINISHED, everywhere)
        so = "so nobody can tell what is exempt, and all that it might mean is kept"
        yield from _of(file.source, f"exempt[{at}]", mercy, world, so)
    for number, policy in enumerate(file.policies):
        yield from _of_policy(file.source, f"policies[{number}]", policy)


def _of_policy(source: str, path: str, policy: Policy) -> Iterator[Remark]:
    asked = _World(policy.match.condition_statuses, policy.targets, match=policy.match)
    yield from _of(source, f"{path}.match", policy.match, asked, "so the policy never matches")
    matched = asked._replace(there=_read(policy.match))
    for at, mercy in enumerate(policy.unless):
        stated = mercy.stated_statuses
        both = [one for one in matched.statuses if stated is None or one in stated]
        so = "so nobody can tell what is spared, and all that it might mean is kept"
        yield from _of(source, f"{path}.unless[{at}]", mercy, matched._replace(statuses=both), so)
    if policy.keep is not None and isinstance(policy.keep.per, Expression):
        fault = _no_answer(policy.keep.per, matched)
        if fault is not None:
            cause, remedy = fault
            so = "so no task has a group, and none is counted or chosen"
            yield Remark(source, policy.line, f"{path}.keep.per", f"{cause}, {so}", remedy, NAME)


def _read(matcher: Matcher) -> tuple[Path, ...]:
    """What the record of every task has for which *matcher* holds; with an `else` it may lack it."""
    carried = (limit for _, limit in matcher.limits if isinstance(limit, Carried) and limit.otherwise is None)
    asked = [*(limit.expression for limit in carried), *([] if matcher.where is None else [matcher.where])]
    return tuple(path for expression in asked for path in expression.paths)


def _of(source: str, path: str, matcher: Matcher, world: _World, so: str) -> Iterator[Remark]:
    if not world.statuses:
        return
    world = world._replace(there=(*world.there, *_read(matcher)))
    for clock, limit in matcher.limits:
        fault = _no_limit(limit.expression, world) if isinstance(limit, Carried) else None
        if fault is not None and isinstance(limit, Carried):
            here = so if limit.otherwise is None else "so every task has the limit in `else`"
            yield Remark(source, matcher.line, f"{path}.{clock}.from", f"{fault[0]}, {here}", fault[1], NAME)
    if matcher.where is not None:
        found = _never_true(matcher.where, world)
        if found is not None:
            (cause, remedy), answers = found
            here = "so it never holds" if answers and not path.endswith(".match") else so
            yield Remark(source, matcher.line, f"{path}.where", f"{cause}, {here}", remedy, NAME)


def _never_true(where: Expression, world: _World) -> tuple[Fault, bool] | None:
    """Why it is never true, and whether it may be false; None where it may be true."""
    fault = _no_answer(where, world)
    return untrue(where.tree, world.record(where)) if fault is None else (fault, False)


def _no_limit(limit: Expression, world: _World) -> Fault | None:
    """Why no limit can be read from what *limit* answers."""
    shape = answer(limit.tree, world.record(limit))
    if TEXT in shape.kinds:
        return _no_answer(limit, world)
    return _no_answer(limit, world) or (
        f"it answers {spoken(shape.kinds)}, and a limit is text such as 90m",
        "where it is a number of seconds, write join('', [to_string(payload.x), 's'])",
    )


def _no_answer(expression: Expression, world: _World) -> Fault | None:
    """Why what it reads is never there, for whatever task; None where it may be."""
    if expression.strange_roots:
        return strange_name(expression)
    whole = world.record(expression)
    fault = (
        _no_clock(expression, world.statuses)
        or _other_generation(expression, world.targets)
        or misread(expression.paths, whole)
    )
    if fault is not None:
        return fault
    shape = answer(expression.tree, whole)
    return None if shape.kinds else shape.fault


def _no_clock(expression: Expression, statuses: Iterable[str]) -> Fault | None:
    clocks = {str(path[1]) for path in expression.paths if path[:1] == (AGES,) and len(path) > 1}
    for clock in sorted(clocks - set(CLOCKS)):
        near = get_close_matches(clock, CLOCKS, n=1)
        remedy = f"did you mean {AGES}.{near[0]}?" if near else f"the clocks are {', '.join(CLOCKS)}"
        return f"{AGES} has no {clock}", remedy
    if clocks and not any(all(status in CLOCKS[clock] for clock in clocks) for status in statuses):
        asked = " and ".join(f"{AGES}.{clock}" for clock in sorted(clocks))
        return f"no task that it is asked of has {asked}", f"ages runs in {_running(clocks)}"
    return None


def _running(clocks: Iterable[str]) -> str:
    return ", ".join(f"{clock} in {' or '.join(CLOCKS[clock])}" for clock in sorted(clocks))


def _other_generation(expression: Expression, targets: Sequence[Target]) -> Fault | None:
    services = {target.service is not None for target in targets}
    if services == {False} and (strange := sorted(expression.roots & _OF_2)):
        return f"a record of FC 3.0 has no {strange[0]}", f"write {_OTHER_NAMES[strange[0]]}"
    if services == {True} and (strange := sorted(expression.roots & _OF_3)):
        other = {new: old for old, new in _OTHER_NAMES.items()} | {"functionArn": "functionName"}
        return f"a record of FC 2.0 has no {strange[0]}", f"write {other.get(strange[0], PAYLOAD)}"
    return None
