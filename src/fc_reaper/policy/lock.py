"""`policy.lock`: what a person has looked at and approved, so that nothing else stops.

It lies beside the policy file. A stop policy that is not in it, or that means something else by now, only
reports. So does every stop policy while an exemption is gone that was there when the file was approved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from fc_reaper.errors import PolicyError
from fc_reaper.policy.document import Node, Scalar, read_document
from fc_reaper.policy.dump import spell_budget, written
from fc_reaper.policy.file import load_policy
from fc_reaper.policy.findings import Findings, Place, shown
from fc_reaper.policy.fingerprint import exemptions, fingerprint
from fc_reaper.policy.forms import Form, Wrong, form, kind_of, list_of, text_of
from fc_reaper.policy.keys import Fields, Key, KeyTable, mapping
from fc_reaper.policy.model import Matcher, Policy, PolicyFile
from fc_reaper.policy.values import whole_number

_AGAIN = "write the file anew with fc-reaper approve"
_HEAD = """\
# Written by fc-reaper approve, to be read in review. A stop policy that is not in this list, or that changed
# in meaning since, only reports; so do all of them while an exemption of this list is gone from the policy.
"""


@dataclass(frozen=True)
class Approved:
    """A stop policy as approved: its fingerprint, the day (`2026-05-01`), and its budget as written."""

    name: str
    fingerprint: str
    approved: str
    budget: str


@dataclass(frozen=True)
class Lock:
    """What is approved. `exempt` are the exemptions that were there then, as `exemptions` spells them."""

    exempt: tuple[str, ...]
    policies: tuple[Approved, ...]
    source: str = field(default="policy.lock", compare=False)


def lock_of(file: PolicyFile, today: str, *, only: Collection[str] | None = None) -> Lock:
    """The lock that approves the stop policies of *file*, or those of the names *only*, on *today*."""
    approved = [
        Approved(policy.name, fingerprint(policy), today, spell_budget(policy))
        for policy in file.policies
        if policy.stops and (only is None or policy.name in only)
    ]
    return Lock(exemptions(file), tuple(approved))


def dump_lock(lock: Lock) -> str:
    """Write a lock as YAML, with two lines that say what it is."""
    policies = [
        {"name": one.name, "fingerprint": one.fingerprint, "approved": one.approved, "budget": one.budget}
        for one in lock.policies
    ]
    return _HEAD + written({"version": 1, "exempt": list(lock.exempt), "policies": policies}, width=10**6)


def load_lock(text: str, source: str) -> Lock:
    """Read the text of a lock; *source* is how messages call it.

    Raises:
        PolicyError: anything at all is wrong with it; every finding at once.
    """
    findings = Findings("lock")
    root = read_document(text, findings)
    lock = None if root is None else _LOCK.read(root, Place(findings))
    if lock is None or findings:
        raise PolicyError(findings.written(source))
    return replace(lock, source=source)


def unapproved(file: PolicyFile, lock: Lock) -> dict[str, str]:
    """Answer which stop policies of *file* may only report, by name, and why."""
    gone = [exemption for exemption in lock.exempt if exemption not in exemptions(file)]
    stops = {policy.name: policy for policy in file.policies if policy.stops}
    approved = {one.name: one for one in lock.policies}
    other = [
        name for name, one in approved.items() if name not in stops or not _is_as_approved(stops[name], one)
    ]
    unapproved: dict[str, str] = {}
    for name, policy in stops.items():
        if name not in approved:
            unapproved[name] = f"it is not in {lock.source}; look at it, then run fc-reaper approve"
        elif not _is_as_approved(policy, approved[name]):
            unapproved[name] = f"it was changed since it was approved on {approved[name].approved}; {_REVIEW}"
        elif gone:
            unapproved[name] = f"the exemption {gone[0][:200]} is gone since it was approved; {_REVIEW}"
        elif other and policy.keep is not None:
            # Whose tasks they were is not known any more, and for this one they would count.
            unapproved[name] = (
                f"{other[0]} is not as it was approved, and what it took may count here; {_REVIEW}"
            )
    return unapproved


_REVIEW = "look at the change, then run fc-reaper approve"


def _is_as_approved(policy: Policy, approved: Approved) -> bool:
    return (approved.fingerprint, approved.budget) == (fingerprint(policy), spell_budget(policy))


def spared_by(lock: Lock) -> tuple[Matcher, ...]:
    """Whom the exemptions of *lock* spare.

    Raises:
        PolicyError: somebody wrote one into it that is none.
    """
    try:
        spelt = [json.loads(one) if one.startswith("{") else one for one in lock.exempt]
    except (ValueError, RecursionError):
        raise PolicyError([f"{lock.source}: an exemption of it cannot be read; {_AGAIN}"]) from None
    policy = {"name": "any", "targets": ["any/any"], "match": {"status": "Running"}, "report": "any"}
    tree = {"version": 1, **({"exempt": spelt} if spelt else {}), "policies": [policy]}
    return load_policy(json.dumps(tree), source=lock.source).exempt


def unapproved_by_a_broken_lock(file: PolicyFile, error: PolicyError) -> dict[str, str]:
    """Every stop policy of *file*, each with the first finding of the lock that cannot be used."""
    why = f"the lock cannot be used: {error.findings[0]}"
    return {policy.name: why for policy in file.policies if policy.stops}


def _fingerprint(node: Node) -> str:
    text = text_of(node, "a fingerprint")
    if not re.fullmatch("sha256:[0-9a-f]{64}", text):
        raise Wrong(f"{shown(text)} is no fingerprint; {_AGAIN}")
    return text


def _day(node: Node) -> str:
    # Without quotes YAML takes it for a date, which is what it is.
    if isinstance(node, Scalar) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", node.text):
        return node.text
    what = shown(node.text) if isinstance(node, Scalar) else kind_of(node)
    raise Wrong(f"{what} is no day such as 2026-05-01; {_AGAIN}")


def _one_name(fields: Fields, place: Place) -> Lock | None:
    policies: tuple[Approved, ...] = fields.values["policies"]
    if len({one.name for one in policies}) < len(policies):
        place.key("policies", fields.lines["policies"]).wrong(f"two of them have one name; {_AGAIN}")
        return None
    return Lock(fields.values["exempt"], policies)


_TEXT = form(lambda node: text_of(node, "a text"), {})
_ARMED: Form[Approved] = mapping(
    KeyTable(
        "an approved policy",
        (
            Key("name", _TEXT, "name: runaway-transcodes", "The policy."),
            Key("fingerprint", form(_fingerprint, {}), "fingerprint: sha256:…", "What it meant."),
            Key("approved", form(_day, {}), "approved: 2026-05-01", "The day."),
            Key("budget", _TEXT, "budget: 20/run", "Its budget then."),
        ),
        required=("name", "fingerprint", "approved", "budget"),
    ),
    lambda fields, place: Approved(**fields.values),
    _AGAIN,
)
_LOCK: Form[Lock] = mapping(
    KeyTable(
        "the lock",
        (
            Key("version", whole_number(1, _AGAIN, most=1), "version: 1", "The version of this format."),
            Key("exempt", list_of(_TEXT, _AGAIN, may_be_empty=True), "exempt: []", "The exemptions then."),
            Key("policies", list_of(_ARMED, _AGAIN, may_be_empty=True), "policies: []", "What is approved."),
        ),
        required=("version", "exempt", "policies"),
    ),
    _one_name,
    _AGAIN,
)
