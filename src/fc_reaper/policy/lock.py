"""`policy.lock` beside the policy file: what a person has approved, so that nothing else stops."""

import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError

from fc_reaper.errors import Issue, PolicyError
from fc_reaper.policy.load import read_document, write_yaml
from fc_reaper.policy.model import Matcher, Policy, PolicyFile, exemption_model
from fc_reaper.rules.fields import TRIGGERS, Version
from fc_reaper.rules.language import Part

# The keys of a policy and its exemptions that decide nothing: changing one does not un-approve it.
BESIDE_THE_MEANING = frozenset(("name", "stop", "report", "owner", "examples", "because"))
# Counts up whenever a key, or leaving one out, comes to mean something else: then nothing stays approved.
SEMANTICS = 3
_UNTIL, _NO_END = " until ", "~"
_AGAIN = "write the file anew with fc-reaper approve"
_REVIEW = "look at the change, then run fc-reaper approve"
_HEAD = """\
# Written by fc-reaper approve, to be read in review. A stop policy that is not in this list, or that changed
# in meaning since, only reports; so do all of them while an exemption of this list is gone from the policy.
"""

_Text = Annotated[str, Field(strict=True, min_length=1)]


class Approved(Part):
    """A stop policy as approved: its fingerprint, the day, and its budget as written."""

    name: _Text
    fingerprint: Annotated[_Text, Field(pattern="^sha256:[0-9a-f]{64}$")]
    approved: Annotated[_Text, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    budget: _Text


class Lock(Part):
    """What is approved. `exempt` are the exemptions that were there then, as `exemptions` spells them."""

    source: ClassVar[str] = "policy.lock"  # what messages call the file
    version: Version
    exempt: tuple[_Text, ...]
    policies: tuple[Approved, ...]


def fingerprint(policy: Policy) -> str:
    """The fingerprint of one policy's meaning; the order of keys and lists, and spellings, change nothing."""
    plain = policy.model_dump(mode="json", exclude_defaults=True, exclude=set(BESIDE_THE_MEANING))
    # A single timer adds nothing to every timer, and a list of all triggers says no more than none.
    runs_by = {one for one in policy.triggers if one in TRIGGERS or "timer" not in policy.triggers}
    plain["triggers"] = [] if runs_by == set(TRIGGERS) else runs_by
    return _digest(_sorted({**plain, "unless": _texts(policy.unless), "does": policy.does}))


def file_fingerprint(file: PolicyFile) -> str:
    """The fingerprint of a whole file: its exemptions, and each policy by its name, in their order."""
    policies = [(policy.name, fingerprint(policy)) for policy in file.policies]
    return _digest({"exempt": exemptions(file), "policies": policies})


def exemptions(file: PolicyFile) -> tuple[str, ...]:
    """The exemptions of a file, each in one line and one spelling, sorted: patterns for ids as they are."""
    return _texts(file.exempt)


def _texts(matchers: Iterable[Matcher]) -> tuple[str, ...]:
    """Matchers as sorted texts: a list of patterns for ids spares what each of them does."""
    texts: set[str] = set()
    for one in matchers:
        plain = one.model_dump(mode="json", exclude_defaults=True, exclude=set(BESIDE_THE_MEANING))
        end = f"{_UNTIL}{plain.pop('until')}" if "until" in plain else ""
        texts |= {each + end for each in (one.ids if plain.keys() == {"id"} else [_json(_sorted(plain))])}
    return tuple(sorted(texts))


def _apart(text: str) -> tuple[str, str]:
    """An exemption without its end, and the end; such texts sort as time does, and that of no end is last."""
    rest, _, until = text.rpartition(_UNTIL)
    return (rest, until) if until.endswith("Z") else (text, _NO_END)


def gone(present: Iterable[str], lock: Lock) -> list[str]:
    """The exemptions of *lock* that are not *present*, or end earlier now."""
    ends = dict(sorted(map(_apart, present)))  # the latest of each
    parts = [(one, *_apart(one)) for one in lock.exempt]
    return [one for one, rest, until in parts if until > ends.get(rest, "")]


def _sorted(plain: Any) -> Any:
    """The order of no list in a policy decides anything."""
    if isinstance(plain, dict):
        return {key: _sorted(value) for key, value in plain.items()}
    return sorted(map(_sorted, plain), key=_json) if isinstance(plain, (list, tuple, set)) else plain


def _json(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)


def _digest(meaning: Any) -> str:
    return f"sha256:{sha256(_json({'semantics': SEMANTICS, 'meaning': meaning}).encode()).hexdigest()}"


def lock_of(file: PolicyFile, today: str, *, only: Collection[str] | None = None) -> Lock:
    """The lock that approves the stop policies of *file*, or those of the names *only*, on *today*."""
    approved = tuple(
        Approved(name=policy.name, fingerprint=fingerprint(policy), approved=today, budget=str(policy.budget))
        for policy in file.policies
        if policy.stops and (only is None or policy.name in only)
    )
    return Lock(version=1, exempt=exemptions(file), policies=approved)


def unapproved(file: PolicyFile, lock: Lock) -> dict[str, str]:
    """Answer which stop policies of *file* may only report, by name, and why."""
    narrower = gone(exemptions(file), lock)
    stops = {policy.name: policy for policy in file.policies if policy.stops}
    meanings = {name: (fingerprint(policy), str(policy.budget)) for name, policy in stops.items()}
    approved = {one.name: one for one in lock.policies}
    changed = [one.name for one in lock.policies if meanings.get(one.name) != (one.fingerprint, one.budget)]
    found: dict[str, str] = {}
    for name, policy in stops.items():
        if name not in approved:
            found[name] = f"it is not in {lock.source}; look at it, then run fc-reaper approve"
        elif name in changed:
            found[name] = f"it was changed since it was approved on {approved[name].approved}; {_REVIEW}"
        elif narrower:
            what = f"the exemption {narrower[0][:200]} is gone, or ends earlier, since it was approved"
            found[name] = f"{what}; {_REVIEW}"
        elif changed and policy.keep is not None:
            # Which tasks the other took is not known any more, and for this one they would count.
            what = f"{changed[0]} is not as it was approved, and what it took may count here"
            found[name] = f"{what}; {_REVIEW}"
    return found


def spared_by(lock: Lock) -> tuple[Matcher, ...]:
    """The exemptions of *lock*; a PolicyError if one of them cannot be read."""
    try:
        spelt = []
        for rest, until in map(_apart, lock.exempt):
            plain = json.loads(rest) if rest.startswith("{") else {"id": rest}
            spelt.append(plain if until == _NO_END else {**plain, "until": until})
        return tuple(map(exemption_model().model_validate, spelt))
    except (ValueError, RecursionError):
        what = f"an exemption of it cannot be read; {_AGAIN}"
        raise PolicyError(Issue.of(lock.source, None, None, what)) from None


def dump_lock(lock: Lock) -> str:
    """Write a lock as YAML, with two lines that say what it is."""
    return _HEAD + write_yaml(lock.model_dump(mode="json"), width=10**6)


@lru_cache(maxsize=2)
def load_lock(text: str, source: str) -> Lock:
    """Read the text of a lock, which messages call *source*; a PolicyError if anything is wrong with it."""
    document = read_document(text, source, "lock")
    if document.issues:
        raise PolicyError(*document.issues)
    try:
        return Lock.model_validate(document.value).know(source=source)
    except ValidationError as error:
        first, what = error.errors()[0], f"it is not as fc-reaper approve writes it; {_AGAIN}"
        raise PolicyError(document.issue(first["loc"], what, missing=first["type"] == "missing")) from None
