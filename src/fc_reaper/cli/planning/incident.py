"""An incident: a policy for once, made from options and not from a file, by every rule of a policy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from fc_reaper.cli.output import CommandError
from fc_reaper.errors import PolicyError
from fc_reaper.policy import Matcher, PolicyFile, load_policy
from fc_reaper.policy.load import dump_policy
from fc_reaper.policy.lock import exemptions, spared_by
from fc_reaper.policy_files import read_lock, read_policy
from fc_reaper.settings import Context, read_settings

NAME = "incident"
_EXAMPLE = 'fc-reaper plan --target media/transcode@7 --alive-for 10m --reason "bad deploy" --max 5000'
_FINDING = re.compile(rf"{NAME}:\d+: (?P<path>\S+): (?P<what>.*)")


class Incident(NamedTuple):
    """What the options say, as they were written; None or empty where one was not given."""

    targets: tuple[str, ...] = ()
    alive_for: str | None = None
    running_for: str | None = None
    queued_for: str | None = None
    statuses: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    where: str | None = None
    reason: str | None = None
    most: int | None = None

    @property
    def clocks(self) -> dict[str, str]:
        """The clocks that were given, by their name in a policy."""
        given = {"alive_for": self.alive_for, "running_for": self.running_for, "queued_for": self.queued_for}
        return {name: limit for name, limit in given.items() if limit is not None}


_OPTIONS = {
    "targets": "--target",
    "alive_for": "--alive-for",
    "running_for": "--running-for",
    "queued_for": "--queued-for",
    "statuses": "--status",
    "ids": "--id",
    "where": "--where",
    "reason": "--reason",
    "most": "--max",
}
_OF_KEY = {
    "targets": "--target",
    "alive_for": "--alive-for",
    "running_for": "--running-for",
    "queued_for": "--queued-for",
    "status": "--status",
    "id": "--id",
    "where": "--where",
    "stop": "--reason",
    "budget": "--max",
    "match": "--status and the clocks",
}


def refuse_half(incident: Incident, event: str | None) -> None:
    """Refuse options of an incident that do not make one, or that stand beside an event.

    Raises:
        CommandError: a line for each thing that is wrong, with what to write.
    """
    given = _given(incident)
    if event is not None:
        raise CommandError(
            f"{', '.join(given)} cannot stand beside an EVENT: an incident has its own policy; "
            "leave one of them out"
        )
    wrong = [*_lacking(incident), *_unreadable(incident)]
    if wrong:
        raise CommandError("\n".join(wrong))


def _given(incident: Incident) -> list[str]:
    return [option for field, option in _OPTIONS.items() if getattr(incident, field) not in (None, ())]


def _lacking(incident: Incident) -> Iterator[str]:
    if not incident.targets:
        yield f"{' and '.join(_given(incident))} cannot stand without --target; write: {_EXAMPLE}"
        return
    missing = [option for field, option in (("reason", "--reason"), ("most", "--max"))
               if getattr(incident, field) is None]  # fmt: skip
    if not incident.clocks:
        missing.insert(0, "--alive-for, --running-for or --queued-for")
    if missing:
        yield f"--target needs {' and '.join(missing)} as well; write: {_EXAMPLE}"


def _unreadable(incident: Incident) -> Iterator[str]:
    """What is wrong with the options that were given, as if the others were there and right."""
    whole = incident._replace(
        targets=incident.targets or ("any/one",),
        alive_for=incident.alive_for if incident.clocks else "1h",
        reason="any" if incident.reason is None else incident.reason,
        most=incident.most or 1,
    )
    options = {*_given(incident), *([_OF_KEY["match"]] if incident.clocks else [])}
    try:
        load_policy(_text(whole), source=NAME)
    except PolicyError as error:
        spoken = [_in_options(finding) for finding in error.findings]
        yield from (text for text in spoken if text.partition(": ")[0] in options)


def incident_policy(incident: Incident, exempt: tuple[Matcher, ...]) -> str:
    """The text of a policy file that says what *incident* says, and spares whom *exempt* spares.

    Raises:
        CommandError: no policy could say that; the text names the option.
    """
    try:
        file = load_policy(_text(incident), source=NAME)
    except PolicyError as error:
        raise CommandError("\n".join(_in_options(finding) for finding in error.findings)) from None
    return dump_policy(file.model_copy(update={"exempt": exempt}))


def _text(incident: Incident) -> str:
    from yaml import safe_dump

    match: dict[str, object] = {**incident.clocks}
    several = {"status": incident.statuses, "id": incident.ids}
    match.update({key: list(values) for key, values in several.items() if values})
    if incident.where is not None:
        match["where"] = incident.where
    policy = {"name": NAME, "targets": list(incident.targets), "match": match, "stop": incident.reason,
              "budget": f"{incident.most}/run"}  # fmt: skip
    return safe_dump({"version": 1, "policies": [policy]}, sort_keys=False, allow_unicode=True, width=1000)


def load_incident(text: str, exempt: tuple[Matcher, ...]) -> PolicyFile:
    """The policy of an incident as its plan holds it; *exempt* spares as well.

    Raises:
        PolicyError: it is none.
    """
    file = load_policy(text, source=NAME)
    return file.model_copy(update={"exempt": joined(file.exempt, exempt)})


def joined(one: tuple[Matcher, ...], other: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    """Whom either spares, each matcher once."""
    return (*one, *(matcher for matcher in other if matcher not in one))


class Standing(NamedTuple):
    """Whom the policy file `source` spares, None where there is no file, and whom the lock beside it does.

    `only_locked` are the exemptions of the lock that the policy has lost, as the lock spells them.
    """

    exempt: tuple[Matcher, ...]
    source: str | None
    only_locked: tuple[str, ...] = ()


def standing_exempt(env: Mapping[str, str]) -> Standing:
    """Whom the policy file of *env* spares, and the lock beside it; nobody if there is neither.

    Raises:
        PolicyError: the policy was named and is missing, or it is wrong, or the lock is.
    """
    settings = read_settings(env, Context())
    file = None
    if env.get("REAPER_POLICY") or os.path.lexists(settings.folder / settings.policy):
        file = read_policy(settings)
    spared, source = ((), None) if file is None else (file.exempt, file.source)
    lock = read_lock(settings)
    if lock is None:
        return Standing(spared, source)
    known = () if file is None else exemptions(file)
    lost = tuple(one for one in lock.exempt if one not in known)
    return Standing(joined(spared, spared_by(lock)), source, lost)


def _in_options(finding: str) -> str:
    """A finding of the policy's loader in terms of the options."""
    found = _FINDING.fullmatch(finding)
    if found is None:
        return finding
    keys = re.findall(r"[a-z_]+", found["path"])
    option = next((_OF_KEY[key] for key in reversed(keys) if key in _OF_KEY), found["path"])
    return f"{option}: {found['what']}"
