"""`fc-reaper check`: is the policy valid, what does it say, and what does it cost. Never asks the cloud."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from fc_reaper.cli.checking.cost import Cost, costs, generations
from fc_reaper.cli.checking.idle import idle_by_trigger, idle_sentence
from fc_reaper.cli.explain import keep_text as kept
from fc_reaper.cli.output import (
    STRONG,
    counted,
    percent,
    print_issues,
    print_line,
    printable,
    short,
    show,
    table,
)
from fc_reaper.errors import Issue, PolicyError
from fc_reaper.models import Exit
from fc_reaper.policy import Keep, Policy, PolicyFile
from fc_reaper.policy.lint import BLIND_API, DEQUEUED, lint, unlisted
from fc_reaper.policy_files import read_lock, read_policy, read_unapproved
from fc_reaper.rules.duration import spell_duration
from fc_reaper.settings import Context, Settings, read_settings


def check(env: Mapping[str, str], *, as_json: bool) -> int:
    """Read the policy that the settings name, and say what it means."""
    settings = read_settings(env, Context())
    try:
        file = read_policy(settings)
    except PolicyError as error:
        print_issues(error)
        if as_json:
            print_line(json.dumps({"valid": False, "findings": [_issue_json(one) for one in error.issues]}))
        return int(Exit.REFUSED)
    odd = lint(file, settings.api_version)
    if as_json:
        print_line(json.dumps({**_as_json(file, settings), "warnings": [_issue_json(one) for one in odd]}))
    else:
        _show(file, settings)
    for warning in odd:
        print_line(f"{warning.text} (a warning)", sys.stderr)
    return int(Exit.DONE)


def _issue_json(issue: Issue) -> dict[str, Any]:
    values = {"file": issue.source, "line": issue.line, "path": issue.path, "cause": issue.what,
              "remedy": issue.remedy, "lint": issue.lint, "text": issue.text}  # fmt: skip
    return {key: value for key, value in values.items() if key != "lint" or value}


def _show(file: PolicyFile, settings: Settings) -> None:
    exempt = f", {counted(len(file.exempt), 'exemption')} above them all" if file.exempt else ""
    title = f"{file.source} is valid: {counted(len(file.policies), 'policy', 'policies')}{exempt}."
    show(Text(title, STRONG), "", _policies(file), "")
    show(Text("Calls of one run, for each function", STRONG), _costs(file, settings), "")
    show(*_sentences(file, settings))


def _policies(file: PolicyFile) -> Table:
    rows = [
        (one.name, "stop" if one.stops else "report", _targets(one), _triggers(one), _budget(one))
        for one in file.policies
    ]
    return table(("policy", "does", "targets", "triggers", "at most"), rows)


def _targets(policy: Policy) -> str:
    return ", ".join(short(*target) for target in policy.targets)


def _triggers(policy: Policy) -> str:
    return ", ".join(policy.triggers) or "all"


def _budget(policy: Policy) -> str:
    parts = []
    if policy.keep is not None:
        parts.append(f"keeps {kept(policy.keep)}")
    if policy.stops:
        day = f", {policy.per_day}/day" if policy.per_day is not None else ""
        parts.append(f"{policy.per_run}/run{day}")
        if policy.holdout is not None:
            parts.append(f"{percent(policy.holdout)} held out")
        if policy.halt_over is not None:
            parts.append(f"none if over {policy.halt_over} are due")
    return ", ".join(parts) or "-"


def _costs(file: PolicyFile, settings: Settings) -> Table:
    rows = [
        (one.policy.name, _lists(one, settings), _follow(one)) for one in costs(file, settings.started_time)
    ]
    return table(("policy", "lists", "so that calls follow"), rows)


def _lists(cost: Cost, settings: Settings) -> str:
    if cost.only_task:
        return f"nothing{' but Stopping' if cost.policy.stops else ''}: an event names the task"
    everything, overdue = _listed(cost, settings)
    parts = [f"{status} started {limit} ago" for status, limit in overdue.items()] + everything
    if not parts:
        return "nothing but Stopping"
    prefix = f", ids that begin with {cost.id_prefix}" if cost.id_prefix else ""
    return ", ".join(parts) + prefix


def _listed(cost: Cost, settings: Settings) -> tuple[list[str], dict[str, str]]:
    """The statuses that are listed whole, and those by how long ago a task started; not what is refused."""
    if cost.only_task:
        return [], {}
    blind = len(unlisted(cost.policy, settings.api_version)) == len(cost.policy.targets)
    refused = DEQUEUED if blind else ""
    everything = [status for status in cost.everything if status != refused]
    return everything, {status: _spelt(limit) for status, limit in cost.overdue if status != refused}


def _spelt(limit: int) -> str:
    """The limit of the policy: the query is a second weaker."""
    return spell_duration(limit + 1000)


def _follow(cost: Cost) -> str:
    if cost.only_task:
        return "events"
    return "what is overdue" if cost.follows_overdue else "what is alive"


def _sentences(file: PolicyFile, settings: Settings) -> Iterator[str]:
    idle = idle_sentence(idle_by_trigger(file, settings.started_time))
    for cost in costs(file, settings.started_time):
        yield from (f"{cost.policy.name}: {why}" for why in cost.whys)
    yield "Each status is one call for 100 tasks; Stopping is always listed, for what is stuck."
    yield "Policies that share a function share its listings, by the weaker filter."
    if idle:
        yield idle
    if any(unlisted(one, settings.api_version) for one in file.policies if one.triggers != ("task",)):
        yield f"FC 2.0 does not list what is {DEQUEUED} by {BLIND_API}: that call is refused."
    for generation in generations(file):
        yield f"Patterns: {generation} is asked once a run which functions have task mode, 100 a call."
    yield "Each due task is read again (1 call); stopping it takes 3: read again, stop, proof."
    yield from _lock(file, settings)
    if settings.ourselves is None and any(_may_be_us(one) for one in file.policies):
        yield "To enforce patterns outside Function Compute, set REAPER_SELF to [service/]function."


def _lock(file: PolicyFile, settings: Settings) -> Iterator[str]:
    """What a `policy.lock` beside the file leaves of it; nothing is said where there is none."""
    unapproved = read_unapproved(settings, file)
    for name, why in unapproved.items():
        yield f"{name} only reports: {printable(why)}."
    if not unapproved and _is_locked(settings):
        yield "policy.lock approves every stop policy of the file as it is."


def _is_locked(settings: Settings) -> bool:
    try:
        return read_lock(settings) is not None
    except PolicyError:
        return True


def _may_be_us(policy: Policy) -> bool:
    return policy.stops and any(target.names_a_glob for target in policy.targets)


def _as_json(file: PolicyFile, settings: Settings) -> dict[str, Any]:
    idle = idle_by_trigger(file, settings.started_time)
    return {
        "valid": True,
        "source": file.source,
        "exempt": len(file.exempt),
        "policies": [_one_as_json(cost, settings) for cost in costs(file, settings.started_time)],
        "discovery": list(generations(file)),
        "idle_calls": idle["timer"],
        "idle_calls_by_trigger": idle,
        "not_approved": read_unapproved(settings, file),
    }


def _one_as_json(cost: Cost, settings: Settings) -> dict[str, Any]:
    policy = cost.policy
    everything, overdue = _listed(cost, settings)
    return {
        "name": policy.name,
        "line": policy.line,
        "does": "stop" if policy.stops else "report",
        "reason": policy.reason,
        "targets": [str(target) for target in policy.targets],
        "triggers": list(policy.triggers) or ["all"],
        "keep": None if policy.keep is None else _keep_as_json(policy.keep),
        "budget_per_run": policy.per_run if policy.stops else None,
        "budget_per_day": policy.per_day if policy.stops else None,
        "halt_over": policy.halt_over,
        "holdout_percent": None if policy.holdout is None else policy.holdout / 100,
        "examples": len(policy.examples),
        "cost": {
            "lists_all": everything,
            "lists_overdue": overdue,
            "id_prefix": cost.id_prefix,
            "calls_follow": _follow(cost),
            "discovery": cost.discovers,
            "payload": cost.payload,
            "page_bytes_most": cost.page_bytes,
            "why": list(cost.whys),
        },
    }


def _keep_as_json(keep: Keep) -> dict[str, Any]:
    per = keep.per if keep.per is None else str(keep.per)
    return {"at_most": keep.at_most, "stop_first": keep.stop_first, "per": per}
