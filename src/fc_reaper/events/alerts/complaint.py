"""One complaint: is it about something that is wrong now, and about which functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from fc_reaper.errors import EventRefused
from fc_reaper.events.command import narrowed
from fc_reaper.events.names import named
from fc_reaper.events.trigger import Selector

_CALM = frozenset({"OK", "RESOLVED", "INSUFFICIENT_DATA", "NORMAL", "RECOVERED"})
_STATE = re.compile(r"[A-Za-z_]{1,32}")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z0-9]+)+")
_ACCOUNT = re.compile(r"[0-9]{6,}")
_JOINERS = re.compile(r"[_.\-\s]+")

_ARN = re.compile(
    r"acs:fc:(?P<region>[^:/]*):(?P<account>[^:/]*)[:/]"
    r"(?:services/(?P<service>[^/.]+)(?:\.(?P<alias>[^/]+))?/)?functions/(?P<function>[^/]+)(?:/(?P<qualifier>[^/]+))?"
)

# How rules and templates spell it, after case and joiners are dropped.
_SPELLINGS = {
    "function": ("functionname", "function"),
    "service": ("servicename", "service"),
    "qualifier": ("qualifier", "functionqualifier"),
    "region": ("region", "regionid"),
    "account": ("userid", "accountid"),
    "arn": ("functionarn",),
}

# CloudMonitor prints a missing value as the four letters.
_NOT_SAID = (None, "", "null", "-")


class OwnAccount(NamedTuple):
    """Where the reaper lives. None means that it does not know, and then nothing is taken for foreign."""

    region: str | None = None
    account: str | None = None


class Whom(NamedTuple):
    """A function that a complaint names; region and account are None where it does not say them."""

    narrowing: Selector
    region: str | None = None
    account: str | None = None

    def foreign(self, home: OwnAccount) -> str | None:
        """What says that it is none of ours (`region` or `account`); None when nothing does.

        Masked and oddly spelt values say nothing.
        """
        if _differs(self.region, home.region, _REGION):
            return "region"
        return "account" if _differs(self.account, home.account, _ACCOUNT) else None


class Complaint(NamedTuple):
    """One alert of a notification.

    `state` is its own word, None where the sender has none. `whom` is empty when it names no function.
    `ignored` says why nothing follows from it, None when something does. `refused` tells of names that can
    be none. `part` extends the place of the whole.
    """

    source: str
    state: str | None = None
    whom: tuple[Whom, ...] = ()
    ignored: str | None = None
    part: str = ""
    refused: tuple[str, ...] = ()


def complaint(source: str, state: Any, naming: Iterable[Mapping[str, Any]], part: str = "") -> Complaint:
    """A complaint whose functions are named in any of the mappings *naming*; calm states are ignored."""
    word = state if isinstance(state, str) and _STATE.fullmatch(state) else None
    if word is not None and word.upper() in _CALM:
        return Complaint(source, word, ignored=f"the {source} says {word}: nothing is wrong now", part=part)
    found: dict[Whom, None] = {}
    refused: dict[str, None] = {}
    for names in naming:
        try:
            found.update(dict.fromkeys(_whom(names)))
        except EventRefused as refusal:
            refused[refusal.why] = None
    return Complaint(source, word, tuple(_without_covered(found)), part=part, refused=tuple(refused))


def by_arn(arn: str) -> Whom | None:
    """The function that an ARN names, in either generation's form; None for any other text.

    Raises:
        EventRefused: it is one, but its names can be none.
    """
    match = _ARN.fullmatch(arn)
    if match is None:
        return None
    qualifier = match["alias"] or match["qualifier"]
    narrowing = _narrowing(match["service"], match["function"], qualifier)
    return Whom(narrowing, match["region"] or None, match["account"] or None)


def _whom(names: Mapping[str, Any]) -> list[Whom]:
    plain = {_JOINERS.sub("", key).lower(): value for key, value in names.items()}
    arn = _first(plain, "arn")
    if isinstance(arn, str) and (by := by_arn(arn)) is not None:
        return [by]
    function = _first(plain, "function")
    if function is None:
        return []
    narrowing = _narrowing(_first(plain, "service"), function, _first(plain, "qualifier"))
    return [Whom(narrowing, _text(plain, "region"), _text(plain, "account"))]


def _narrowing(service: Any, function: Any, qualifier: Any) -> Selector:
    return narrowed(
        named("serviceName", service), named("functionName", function), named("qualifier", qualifier)
    )


def _first(plain: Mapping[str, Any], what: str) -> Any:
    return next((plain[key] for key in _SPELLINGS[what] if plain.get(key) not in _NOT_SAID), None)


def _text(plain: Mapping[str, Any], what: str) -> str | None:
    value = _first(plain, what)
    return value if isinstance(value, str) else None


def _without_covered(found: Collection[Whom]) -> list[Whom]:
    """Without those that a broader one includes: labels and rows often repeat each other."""
    among = set(found)
    return [one for one in found if one == (broad := any_qualifier(one)) or broad not in among]


def _differs(said: str | None, ours: str | None, shape: re.Pattern[str]) -> bool:
    return bool(said and ours) and said != ours and shape.fullmatch(said or "") is not None


def any_qualifier(whom: Whom) -> Whom:
    """*whom* under whichever qualifier."""
    return whom._replace(narrowing=whom.narrowing._replace(qualifier=None))
