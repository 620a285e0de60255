"""An incident: a policy for one plan, made of options instead of a file, by every rule of a policy.

Each matcher key of the registry that `match` may state is an option: `alive_for` is `--alive-for`.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import Parameter
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from typer import Option

from fc_reaper.cli.app import with_options
from fc_reaper.cli.output import CommandError, print_error
from fc_reaper.policy import Matcher, PolicyFile, load_policy
from fc_reaper.policy.lock import exemptions, gone, spared_by
from fc_reaper.rules.rules import RULES
from fc_reaper.settings import Settings, read_lock, read_policy, refuse_targets

NAME = "incident"
_OTHERS = ("targets", "stop", "budget")
_EXAMPLE = 'fc-reaper plan --target media/transcode@7 --alive-for 10m --reason "bad deploy" --max 500'


class Incident(NamedTuple):
    """The policy of an incident, and the policy file whose exemptions are in it, None without one."""

    file: PolicyFile
    exempt_from: str | None


def with_match_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give *command* an option for each matcher key, in place of its `**match`."""
    return with_options(command, [_option(key) for key, rule in RULES.items() if rule.in_match])


def _option(key: str) -> Parameter:
    rule = RULES[key]
    schema = TypeAdapter(rule.field).json_schema()
    many = any(one.get("type") == "array" for one in schema.get("anyOf", ()))
    kind: Any = int if schema.get("type") == "integer" else list[str] if many else str
    option = Option(_flag(key), metavar="VALUE", help=f"As {key} in a policy, such as {rule.example}.")
    annotation = Annotated[kind | None, option]
    return Parameter(key, Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def _flag(key: str) -> str:
    own = {"targets": "target", "stop": "reason", "budget": "max"}
    return f"--{own.get(key, key).replace('_', '-')}"


def make_incident(
    stated: Mapping[str, Any], event: str | None, settings: Settings, env: Mapping[str, str]
) -> Incident | None:
    """Make the policy of an incident; None where no option of one was given.

    *stated* are the keys of a policy, those of `match` among them, None or empty where they were not given.
    CommandError if the options make none, with a line for each thing that is wrong; PolicyError if the policy
    file or its lock, whose exemptions count, cannot be read; SettingsError if the plan could not be enforced.
    """
    given = {key: value for key, value in stated.items() if value not in (None, [])}
    match = {key: value for key, value in given.items() if key in RULES}
    rest = {key: value for key, value in given.items() if key not in RULES}
    if not given:
        return None
    if event is not None:
        flags = ", ".join(map(_flag, given))
        what = "an incident has its own policy; leave one of them out"
        raise CommandError(f"{flags} cannot stand beside an EVENT: {what}")
    limits = [key for key, rule in RULES.items() if rule.is_limit]
    missing = [] if match.keys() & set(limits) else [" or ".join(map(_flag, limits))]
    missing += [_flag(key) for key in _OTHERS if key not in rest]
    if missing:
        raise CommandError(f"an incident needs {' and '.join(missing)} as well; write: {_EXAMPLE}")
    policy = {"name": NAME, "match": match, **rest}
    try:
        file = PolicyFile.model_validate({"version": 1, "policies": [policy]})
    except ValidationError as error:
        raise CommandError("\n".join(_faults(error, match))) from None
    exempt, exempt_from = _standing(settings, env)
    file = file.model_copy(update={"exempt": exempt})
    refuse_targets(settings, file, enforce=True)
    if exempt_from is None and not exempt:
        print_error("no policy file, so nothing is exempt")
    return Incident(file, exempt_from)


def _faults(error: ValidationError, match: Iterable[str]) -> Iterator[str]:
    """What is wrong with each option, or with all of `match` where keys of it do not fit together."""
    # A list that holds something wrong is too short for pydantic as well.
    for one in (one for one in error.errors() if one["type"] != "too_short"):
        cause = one.get("ctx", {}).get("error", one["msg"])
        for within, what in getattr(cause, "faults", [((), cause)]):
            keys = [step for step in (*one["loc"], *within) if step in (*RULES, *_OTHERS)]
            yield f"{' and '.join(_flag(str(key)) for key in keys or match)}: {what}"


def load_incident(text: str, settings: Settings, env: Mapping[str, str]) -> PolicyFile:
    """The policy of an incident as its plan holds it, with what policy file and lock exempt by now."""
    file = load_policy(text, source=NAME)
    return file.model_copy(update={"exempt": (*file.exempt, *_standing(settings, env)[0])})


def _standing(settings: Settings, env: Mapping[str, str]) -> tuple[tuple[Matcher, ...], str | None]:
    """What the policy file and the lock beside it exempt, and the name of the file, None without one."""
    exempt: tuple[Matcher, ...] = ()
    known: tuple[str, ...] = ()
    source = None
    if env.get("REAPER_POLICY") or os.path.lexists(settings.folder / settings.policy):
        file = read_policy(settings)
        exempt, known, source = file.exempt, exemptions(file), file.source
    lock = read_lock(settings)
    for spelling, matcher in () if lock is None else zip(lock.exempt, spared_by(lock), strict=True):
        if lock is not None and spelling in gone(known, lock):
            print_error(f"policy.lock spares {spelling}, the policy does not any more; it is spared here")
            exempt = (*exempt, matcher)
    return exempt, source
