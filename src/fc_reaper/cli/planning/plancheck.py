"""Whether a plan may be carried out here and now; every refusal comes before the first call to the cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

from fc_reaper.cli.output import CommandError
from fc_reaper.cli.planning.planfile import Basis, Plan, Whereabouts
from fc_reaper.cloud import parse_endpoint
from fc_reaper.models import Millis
from fc_reaper.policy import PolicyFile
from fc_reaper.policy.lock import file_fingerprint, fingerprint
from fc_reaper.rules.duration import spell_duration
from fc_reaper.settings import Settings, endpoint
from fc_reaper.sweep.executor import TRUSTED_SKEW

_ACCOUNT_HOST = re.compile(
    r"(?P<account>[0-9]+)\.(?P<region>[a-z0-9-]+?)(?:-internal|-vpc)?\.fc\.aliyuncs\.com"
)
_INCIDENT = "incident"


def whereabouts(settings: Settings) -> Whereabouts:
    """Where calls would go: what the endpoint's own host says, else the settings.

    Raises:
        SettingsError: there is no endpoint, or none that can be used.
    """
    there = parse_endpoint(endpoint(settings), insecure=settings.insecure)
    host = _ACCOUNT_HOST.fullmatch(there.host)
    if host is not None:
        return Whereabouts(host["account"], host["region"], there.url)
    return Whereabouts(settings.account_id, settings.region, there.url)


def basis_of(file: PolicyFile) -> Basis:
    """What a plan says of the policy file that it was made by."""
    policies = {policy.name: fingerprint(policy) for policy in file.policies}
    return Basis(file.source, file_fingerprint(file), policies)


def basis_of_incident(file: PolicyFile, text: str, exempt_from: str | None) -> Basis:
    """What a plan says of a policy that stands in no file: all of it, and whose exemptions are in it."""
    policies = {policy.name: fingerprint(policy) for policy in file.policies}
    return Basis(_INCIDENT, _digest(text), policies, text=text, exempt_from=exempt_from)


def refuse_elsewhere(plan: Plan, here: Whereabouts) -> None:
    """Refuse a plan for another account or region; where one is unknown the endpoint must be the same.

    Raises:
        CommandError: it is for another place, or nobody can tell.
    """
    there = plan.where
    for what, planned, ours in (
        ("account", there.account, here.account),
        ("region", there.region, here.region),
    ):
        if planned is not None and ours is not None and planned != ours:
            raise CommandError(f"the plan is for {what} {planned}, and the settings are for {what} {ours}")
    unknown = None in (there.account, here.account, there.region, here.region)
    if unknown and there.endpoint != here.endpoint:
        raise CommandError(
            f"the plan was made at {there.endpoint or 'an unknown endpoint'}, and calls would go to "
            f"{here.endpoint}; nobody can tell whether that is the same account: set the same endpoint"
        )


def refuse_out_of_date(plan: Plan, now: Millis, max_age: Millis) -> None:
    """Refuse a plan that is older than *max_age*, exactly that is fine, or from the future.

    Two clocks may differ by as much as a run trusts them to.

    Raises:
        CommandError: it is.
    """
    age = now - plan.time
    if age < -TRUSTED_SKEW:
        raise CommandError(
            f"the plan was made {spell_duration(-age)} from now; check the clocks of this machine and of "
            "the one it was made on"
        )
    if age > max_age:
        raise CommandError(
            f"the plan is {spell_duration(age)} old, more than {spell_duration(max_age)}; make a new one, "
            "or allow it by --max-age"
        )


def refuse_changed(plan: Plan, file: PolicyFile) -> None:
    """Refuse a plan whose policy file does not mean any more what it meant.

    Raises:
        CommandError: it was changed; the text says what of it.
    """
    now = basis_of(file)
    if now.fingerprint != plan.basis.fingerprint:
        changes = "; ".join(_changes(plan.basis, now)) or "its exempt, or the order of its policies"
        raise CommandError(f"{now.source} is not the policy of the plan any more: {changes}; make a new plan")


def refuse_edited(plan: Plan) -> None:
    """Refuse an incident's plan whose policy is not the one it was made by.

    Raises:
        CommandError: the text of the policy was changed.
    """
    text = plan.basis.text
    if text is not None and _digest(text) != plan.basis.fingerprint:
        raise CommandError("the policy in the plan was changed after the plan was made; make a new plan")


def _changes(before: Basis, now: Basis) -> Iterator[str]:
    old, new = before.policies, now.policies
    words = {
        "changed": [name for name in old if name in new and old[name] != new[name]],
        "gone": [name for name in old if name not in new],
        "new": [name for name in new if name not in old],
    }
    yield from (f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {word}"
                for word, names in words.items() if names)  # fmt: skip


def _digest(text: str) -> str:
    return f"sha256:{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
