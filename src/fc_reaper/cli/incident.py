"""An incident: a policy for one plan, made of options instead of a file, by every rule of a policy.

Each matcher key of the registry that `match` may state is an option: `alive_for` is `--alive-for`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from typer import Option

from fc_reaper.cli.output import CommandError, print_error
from fc_reaper.policy import Matcher, PolicyFile, load_policy
from fc_reaper.policy.load import dump_policy
from fc_reaper.policy.lock import exemptions, spared_by
from fc_reaper.policy.model import policy_file_model
from fc_reaper.policy_files import read_lock, read_policy
from fc_reaper.rules.parts import Fault
from fc_reaper.rules.rules import RULES
from fc_reaper.settings import Settings, refuse_unknown_self

NAME = "incident"
_EXAMPLE = 'fc-reaper plan --target media/transcode@7 --alive-for 10m --reason "bad deploy" --max 5000'


class Incident(NamedTuple):
    """The policy of an incident, the same as YAML, and the policy file whose exemptions are in it."""

    file: PolicyFile
    text: str
    exempt_from: str | None


def with_match_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give *command* an option for each matcher key, in place of its `**match`."""
    signature = inspect.signature(command, eval_str=True)
    fixed = [one for one in signature.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    options = [_option(key) for key, rule in RULES.items() if rule.in_match]
    command.__signature__ = signature.replace(parameters=[*fixed, *options])  # type: ignore[attr-defined]
    return command


def _option(key: str) -> Parameter:
    rule = RULES[key]
    schema = TypeAdapter(rule.field).json_schema()
    many = any(one.get("type") == "array" for one in schema.get("anyOf", ()))
    kind: Any = int if schema.get("type") == "integer" else list[str] if many else str
    option = Option(_flag(key), metavar="VALUE", help=f"As {key} in a policy, such as {rule.example}.")
    annotation = Annotated[kind | None, option]
    return Parameter(key, Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def _flag(key: str) -> str:
    own = {"targets": "--target", "stop": "--reason", "budget": "--max"}
    return own.get(key, f"--{key.replace('_', '-')}")


def make_incident(
    targets: list[str] | None,
    reason: str | None,
    most: int | None,
    match: Mapping[str, Any],
    event: str | None,
    settings: Settings,
    env: Mapping[str, str],
) -> Incident | None:
    """Make the policy of an incident; None where no option of one was given.

    Raises:
        CommandError: the options make none; the text has a line for each thing that is wrong.
        PolicyError: the policy file, whose exemptions count, or the lock beside it cannot be read.
        SettingsError: the plan could not be enforced.
    """
    match = {key: value for key, value in match.items() if value not in (None, [])}
    stated = {"targets": targets, **match, "stop": reason, "budget": most}
    given = {key: value for key, value in stated.items() if value not in (None, [])}
    if not given:
        return None
    if event is not None:
        raise CommandError(
            f"{', '.join(map(_flag, given))} cannot stand beside an EVENT: an incident has its own policy; "
            "leave one of them out"
        )
    limits = [key for key, rule in RULES.items() if rule.is_limit]
    wrong = [*_missing(given, limits)]
    policy = {
        "name": NAME,
        # What is missing hides nothing of what is wrong with the rest.
        "targets": targets or ["any/one"],
        "match": match if any(key in match for key in limits) else {**match, "alive_for": "1h"},
        "stop": "any" if reason is None else reason,
        "budget": f"{most or 1}/run",
    }
    try:
        file = policy_file_model().model_validate({"version": 1, "policies": [policy]})
    except ValidationError as error:
        # A limit that was not given is in conflict with nothing.
        wrong += _faults(error, {*given, *(["match"] if any(key in match for key in limits) else [])})
    if wrong:
        raise CommandError("\n".join(wrong))
    exempt, exempt_from = _standing(settings, env, warn=True)
    file = file.model_copy(update={"exempt": exempt})
    refuse_unknown_self(settings.model_copy(update={"mode": "enforce"}), file)
    if exempt_from is None and not exempt:
        print_error("no policy file, so nothing is exempt")
    text = dump_policy(file)
    return Incident(load_policy(text, source=NAME), text, exempt_from)


def _missing(given: Mapping[str, Any], limits: list[str]) -> Iterator[str]:
    if "targets" not in given:
        yield f"{' and '.join(map(_flag, given))} cannot stand without --target; write: {_EXAMPLE}"
        return
    missing = [_flag(key) for key in ("stop", "budget") if key not in given]
    if not any(key in given for key in limits):
        missing.insert(0, f"{', '.join(map(_flag, limits[:-1]))} or {_flag(limits[-1])}")
    if missing:
        yield f"--target needs {' and '.join(missing)} as well; write: {_EXAMPLE}"


def _faults(error: ValidationError, given: set[str]) -> Iterator[str]:
    """What is wrong with the options that were given; the last key of a path names the option."""
    for one in error.errors(include_url=False):
        if one["type"] == "too_short":
            continue  # of a list whose items are wrong
        fault = one.get("ctx", {}).get("error")
        faults = fault.faults if isinstance(fault, Fault) else [((), str(fault or one["msg"]))]
        for path, what in faults:
            keys = [str(key) for key in (*one["loc"], *path) if key in given]
            if keys:
                several = [_flag(key) for key in RULES if key in given]
                yield f"{' and '.join(several) if keys[-1] == 'match' else _flag(keys[-1])}: {what}"


def load_incident(text: str, settings: Settings, env: Mapping[str, str]) -> PolicyFile:
    """The policy of an incident as its plan holds it, with what the policy file and its lock exempt by now.

    Raises:
        PolicyError: one of them cannot be read.
    """
    file = load_policy(text, source=NAME)
    exempt, _ = _standing(settings, env)
    return file.model_copy(update={"exempt": _joined(file.exempt, exempt)})


def _standing(
    settings: Settings, env: Mapping[str, str], *, warn: bool = False
) -> tuple[tuple[Matcher, ...], str | None]:
    """The exemptions of the policy file and the lock beside it, and the file; None where none is there."""
    file = None
    if env.get("REAPER_POLICY") or os.path.lexists(settings.folder / settings.policy):
        file = read_policy(settings)
    exempt, source = ((), None) if file is None else (file.exempt, file.source)
    lock = read_lock(settings)
    if lock is None:
        return exempt, source
    known = () if file is None else exemptions(file)
    for exemption in lock.exempt if warn else ():
        if exemption not in known:
            print_error(f"policy.lock spares {exemption}, the policy does not any more; it is spared here")
    return _joined(exempt, spared_by(lock)), source


def _joined(one: tuple[Matcher, ...], other: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    return (*one, *(matcher for matcher in other if matcher not in one))
