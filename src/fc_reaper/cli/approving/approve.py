"""`fc-reaper approve`: look at what a policy would do and would have done, then let it stop tasks."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from fc_reaper.cli.approving.approve_view import ask, show_evidence, tell_doubts
from fc_reaper.cli.approving.doubts import Doubts, doubts_of, gone_doubts
from fc_reaper.cli.approving.looks import evidence
from fc_reaper.cli.history import HistoryOptions
from fc_reaper.cli.output import CommandError, check_writable, counted, print_error, print_line, write_file
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import PolicyError
from fc_reaper.models import Exit
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.policy.lock import Lock, dump_lock, exemptions, lock_of, unapproved
from fc_reaper.policy_files import read_lock, read_policy
from fc_reaper.settings import Context, Settings, read_settings

LOCK = "policy.lock"


class Wanted(NamedTuple):
    """Which policies (*only*; empty: all that stop), and how the questions are answered."""

    only: tuple[str, ...] = ()
    yes: bool = False
    despite_doubts: bool = False
    json: bool = False


def approve(env: Mapping[str, str], given: HistoryOptions, wanted: Wanted) -> int:
    """Show plan and backtest of the stop policies, ask, and write `policy.lock` beside the policy file."""
    settings = read_settings(env, Context())
    if "\n" in settings.policy:
        raise CommandError("the policy is text in REAPER_POLICY, and no lock lies beside a text; name a file")
    if wanted.json and not wanted.yes:
        raise CommandError("--json leaves no room for questions; add --yes, or leave it out")
    file = read_policy(settings)
    before = _lock_before(settings, wanted)
    candidates = _candidates(file, wanted.only, _approved(file, before))
    check_writable(str(_place(settings)), force=True)
    looked_at = candidates or [one for one in file.policies if one.stops]
    found = evidence(file, looked_at, settings, env, given)
    gone = [] if before is None else [one for one in before.exempt if one not in exemptions(file)]
    doubts = {one.name: (*gone_doubts(gone), *doubts_of(one, found)) for one in candidates}
    if not wanted.json:
        show_evidence(found, looked_at)
    chosen = _chosen(candidates, doubts, wanted)
    after = _lock_after(file, before, chosen)
    # Whoever approves nothing leaves everything as it is.
    written = bool(chosen or not candidates) and _write(settings, before, after)
    dropped = _dropped(file, before, after) if written else {}
    _tell(wanted, settings, Told(candidates, doubts, chosen, dropped, written))
    return int(Exit.DONE if len(chosen) == len(candidates) else Exit.ATTENTION)


def _candidates(file: PolicyFile, only: Sequence[str], approved: Collection[str]) -> list[Policy]:
    """The stop policies that are named, or else those that are not approved yet."""
    stops = {policy.name: policy for policy in file.policies if policy.stops}
    unknown = [name for name in only if name not in stops]
    if unknown:
        names = ", ".join(stops) or "none"
        raise CommandError(f"{unknown[0]} is no stop policy of {file.source}; there is: {names}")
    if not stops:
        raise CommandError(f"{file.source} stops nothing: it has only `report`, which needs no approving")
    return [policy for name, policy in stops.items() if name in only or (not only and name not in approved)]


def _approved(file: PolicyFile, lock: Lock | None) -> set[str]:
    """The stop policies that *lock* approves as they are."""
    stops = {policy.name for policy in file.policies if policy.stops}
    return set() if lock is None else stops - set(unapproved(file, lock))


def _lock_before(settings: Settings, wanted: Wanted) -> Lock | None:
    """The lock as it is; None where there is none that can be used, which is said."""
    try:
        return read_lock(settings)
    except PolicyError as error:
        if not wanted.json:
            print_error(f"the lock cannot be used, and is written anew: {error.findings[0]}")
        return None


def _chosen(candidates: Sequence[Policy], doubts: Mapping[str, Doubts], wanted: Wanted) -> list[Policy]:
    """The policies that somebody answers for; doubtful ones need more than a yes."""
    sound = [one for one in candidates if not doubts[one.name]]
    doubtful = [one for one in candidates if doubts[one.name]]
    if wanted.yes:
        return list(candidates) if wanted.despite_doubts else sound
    chosen: list[Policy] = []
    if sound:
        names = ", ".join(one.name for one in sound)
        answer = ask(f"Approve {names}? [y/N] ")
        chosen += sound if answer.lower() in ("y", "yes") else []
    for one in doubtful:
        tell_doubts(one, doubts[one.name])
        answer = ask("To approve it all the same, type its name: ")
        chosen += [one] if answer == one.name else []
    return chosen


def _lock_after(file: PolicyFile, before: Lock | None, chosen: Sequence[Policy]) -> Lock:
    """The chosen policies as approved today, and those that are approved already as they were.

    What is not approved now leaves the lock: else a change of the exemptions would approve it again
    unseen.
    """
    today = datetime.fromtimestamp(SYSTEM_CLOCK.now() / 1000, timezone.utc).date().isoformat()
    names = {one.name for one in chosen}
    fresh = lock_of(file, today, only=names)
    if before is None:
        return fresh
    still = _approved(file, before)
    old = {one.name: one for one in before.policies if one.name in still}
    new = {one.name: one for one in fresh.policies if one.name not in old}
    order = [one.name for one in file.policies]
    approved = sorted({**new, **old}.values(), key=lambda one: order.index(one.name))
    return Lock(version=1, exempt=fresh.exempt, policies=tuple(approved))


def _dropped(file: PolicyFile, before: Lock | None, after: Lock) -> dict[str, str]:
    """Which entries of the lock as it was are not in it any more, by name, and why."""
    kept = {one.name for one in after.policies}
    gone = [] if before is None else [one.name for one in before.policies if one.name not in kept]
    stops = {policy.name for policy in file.policies if policy.stops}
    changed, missing = (
        "it or an exemption was changed since",
        f"{file.source} has no stop policy of that name",
    )
    return {name: changed if name in stops else missing for name in gone}


def _place(settings: Settings) -> Path:
    return settings.folder / PurePath(settings.policy).with_name(LOCK)


def _write(settings: Settings, before: Lock | None, after: Lock) -> bool:
    """Write the lock where that changes anything, and answer whether it did.

    A lock that approves nothing is written only over one that is there: without one every policy is approved.
    """
    if before == after or (before is None and not after.policies):
        return False
    write_file(str(_place(settings)), dump_lock(after), force=True)
    return True


class Told(NamedTuple):
    """What came of it: whom it was about, who is approved now, and what left the lock, by name, and why."""

    candidates: Sequence[Policy]
    doubts: Mapping[str, Doubts]
    chosen: Sequence[Policy]
    dropped: Mapping[str, str]
    written: bool


def _tell(wanted: Wanted, settings: Settings, told: Told) -> None:
    candidates, doubts, chosen, dropped, written = told
    names = {one.name for one in chosen}
    lock = str(PurePath(settings.policy).with_name(LOCK))
    if wanted.json:
        policies = [
            {"name": one.name, "approved": one.name in names, "doubts": list(doubts[one.name])}
            for one in candidates
        ]
        whole: dict[str, Any] = {"lock": lock, "written": written, "policies": policies}
        print_line(json.dumps({**whole, "dropped": list(dropped)}))
        return
    left = [one.name for one in candidates if one.name not in names]
    if wanted.yes:
        for one in candidates:
            if one.name in left:
                tell_doubts(one, doubts[one.name], sys.stderr)
        if left:
            print_error(f"not approved: {', '.join(left)}; mend the policy, or add --despite-objections")
    if written:
        approved = counted(len(names), "policy", "policies")
        print_line(f"{lock}: written, {approved} approved by you. Review it, and deploy it with the policy.")
    else:
        print_line(f"{lock}: nothing changed.")
    for name, why in dropped.items():
        print_line(f"{name} was approved, and has left {lock}: {why}.")
    if not candidates:
        print_line("Every stop policy is approved as it is.")
    if left and not wanted.yes:
        print_line(f"Not approved by you: {', '.join(left)}.")
