"""Reading a plan file: strictly, since every line of it may stop a task."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from fc_reaper.cli.output import CommandError
from fc_reaper.cli.planning.planfile import FORMAT, VERSION, Basis, Plan, Planned, Whereabouts
from fc_reaper.cli.planning.planvalues import BASIS, PLAN, TASK, Check
from fc_reaper.errors import InvalidName
from fc_reaper.models import Function
from fc_reaper.names import check_function, check_invocation_id

LARGEST = 256 * 1024 * 1024
"""Bytes of a plan file, itself allowed: some hundred thousand tasks."""


_OF_INCIDENTS = ("exempt_from", "text")


class NoPlan(ValueError):
    """The text is no plan that could be carried out; its own text says where and why."""


def read_plan(name: str) -> Plan:
    """The plan in the file *name*, or on standard input for `-`.

    Raises:
        CommandError: it cannot be read, or is no plan.
    """
    try:
        return load_plan(_read(name))
    except NoPlan as error:
        raise CommandError(f"{name}: {error}; make a plan with: fc-reaper plan --out FILE") from None


def load_plan(text: str) -> Plan:
    """Read the text of a plan file.

    Raises:
        NoPlan: it is not JSON, a key is missing, unknown or twice, or a value is not what belongs there.
    """
    try:
        root = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except NoPlan:
        raise
    except (ValueError, RecursionError) as error:
        raise NoPlan(f"this is not JSON: {str(error)[:100]}") from None
    _refuse_others(root)
    return _plan(_fields(root, "the plan", PLAN))


def _refuse_others(root: Any) -> None:
    """What is no plan at all, and what is one of another version, is said as such."""
    if not isinstance(root, dict) or root.get("format") != FORMAT:
        raise NoPlan("this is not a plan of fc-reaper")
    version = root.get("version")
    if type(version) is not int or version != VERSION:
        shown = json.dumps(version)[:20]
        raise NoPlan(f"the plan has version {shown}, and this fc-reaper reads version {VERSION}")


def _plan(fields: dict[str, Any]) -> Plan:
    tasks = tuple(_task(task, f"tasks[{at}]") for at, task in enumerate(fields["tasks"]))
    basis = _basis(fields["policy"])
    _refuse_twice(tasks)
    _refuse_unknown_policies(tasks, basis)
    _refuse_half_an_incident(fields["policy"])
    where = Whereabouts(fields["account"], fields["region"], fields["endpoint"])
    return Plan(fields["time"], where, basis, fields["complete"], fields["counts"], tasks)


def _basis(value: Any) -> Basis:
    return Basis(**_fields(value, "policy", BASIS, perhaps=_OF_INCIDENTS))


def _task(value: Any, where: str) -> Planned:
    fields = _fields(value, where, TASK)
    function = Function(fields.pop("service"), fields.pop("function"), fields.pop("qualifier"))
    try:
        check_function(function)
        check_invocation_id(fields["invocation_id"])
    except InvalidName as error:
        raise NoPlan(f"{where}: {error}") from None
    return Planned(function=function, **fields)


def _refuse_twice(tasks: Iterable[Planned]) -> None:
    seen: dict[tuple[Function, str], int] = {}
    for at, task in enumerate(tasks):
        first = seen.setdefault((task.function, task.invocation_id), at)
        if first != at:
            raise NoPlan(f"tasks[{at}] is tasks[{first}] once more; delete one of them")


def _refuse_unknown_policies(tasks: Iterable[Planned], basis: Basis) -> None:
    for at, task in enumerate(tasks):
        if task.policy not in basis.policies:
            raise NoPlan(f"tasks[{at}].policy: {_shown(task.policy)} is none of the policies of this plan")

    for name in basis.halted:
        if name not in basis.policies:
            raise NoPlan(f"policy.halted: {_shown(name)} is none of the policies of this plan")


def _refuse_half_an_incident(value: Mapping[str, Any]) -> None:
    given = [name for name in _OF_INCIDENTS if name in value]
    if len(given) == 1:
        (missing,) = set(_OF_INCIDENTS).difference(given)
        raise NoPlan(f"policy has {given[0]} and no {missing}; an incident has both, a policy file neither")


def _fields(
    value: Any, where: str, checks: Mapping[str, Check], perhaps: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NoPlan(f"{where} is not an object in braces")
    for name in value:
        if name not in checks:
            raise NoPlan(f"{where} has a key {_shown(name)} that no plan has")
    for name in checks:
        if name not in value and name not in perhaps:
            raise NoPlan(f"{where} has no {name}")
    return {name: _checked(given, where, name, checks[name]) for name, given in value.items()}


def _checked(value: Any, where: str, name: str, check: Check) -> Any:
    try:
        return check(value)
    except NoPlan:
        raise
    except ValueError as error:
        path = name if where == "the plan" else f"{where}.{name}"
        raise NoPlan(f"{path} is {_shown(value)}; {error} belongs there") from None


def _read(name: str) -> str:
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise NoPlan("there is no such file") from None
    except (OSError, ValueError) as error:
        raise NoPlan(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > LARGEST:
        raise NoPlan(f"it has more than {LARGEST // 1024**2} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoPlan(f"byte {error.start} is not UTF-8") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NoPlan(f"the key {_shown(name)} stands twice in one object")
        found[name] = value
    return found


def _no_number(constant: str) -> NoReturn:
    raise NoPlan(f"{constant} is no number")


def _shown(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
