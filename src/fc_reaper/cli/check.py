"""`fc-reaper check`: what a policy means and what it costs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from rich.table import Table
from rich.text import Text
from typer import Argument

from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, PolicyFile, environment
from fc_reaper.cli.output import STRONG, CommandError, counted, short, show, table
from fc_reaper.cloud.client import WITH_PAYLOAD
from fc_reaper.errors import Issue, PolicyError, SettingsError
from fc_reaper.evaluator.evaluate import compile_policies
from fc_reaper.evaluator.explain import keep_text
from fc_reaper.events import Request, Selector
from fc_reaper.models import BLIND_API, DEQUEUED, STOPPING, Exit, Function, Millis, Query
from fc_reaper.policy import Policy
from fc_reaper.policy import PolicyFile as File
from fc_reaper.policy.lint import lint, unlisted
from fc_reaper.rules.duration import spell_duration
from fc_reaper.rules.fields import CarriedLimit, spell_share
from fc_reaper.settings import Context, Settings, read_policy, read_settings, read_unapproved, refuse_targets
from fc_reaper.sweep.scanner import queries
from fc_reaper.sweep.scope import resolve, scope_of

_PAGE = WITH_PAYLOAD * 128 * 1024
"""Bytes of a page with payloads at most, since an asynchronous invocation may carry 128 KB:
https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits"""

_NOW: Millis = 1_700_000_000_000
"""Any moment will do: of a query it only matters how long before it tasks must have started."""


def check(
    policy: Annotated[str | None, Argument(metavar="POLICY", help="As --policy.")] = None,
    policy_option: PolicyFile = None,
    as_json: AsJson = False,
) -> int:
    """Validate a policy; show what it means and what it costs.

    Its examples are run, and what is probably not meant gets a warning. The cloud is not contacted.

    \b
    Example:
      fc-reaper check policy.yaml
    """
    if policy is not None and policy_option is not None:
        raise CommandError(f"check takes one policy; write: fc-reaper check {policy}")
    settings = read_settings(
        environment(policy=policy_option if policy is None else policy, keys=False), Context()
    )
    try:
        file = read_policy(settings)
    except PolicyError as error:
        if as_json:
            output.print_json({"valid": False, "findings": list(map(_issue_json, error.issues))})
        raise
    warnings = lint(file, settings.api_version)
    report = _report(file, settings)
    if as_json:
        with_lint = [{**_issue_json(warning), "lint": warning.lint} for warning in warnings]
        output.print_json({**report, "warnings": with_lint})
    else:
        show(*_tables(report, file, settings))
    for warning in warnings:
        output.print_line(f"{warning.text} (a warning)", sys.stderr)
    return Exit.DONE


def _issue_json(issue: Issue) -> dict[str, Any]:
    place = {"file": issue.source, "line": issue.line, "path": issue.path}
    return {**place, "cause": issue.what, "remedy": issue.remedy, "text": issue.text}


def _report(file: File, settings: Settings) -> dict[str, Any]:
    """What --json prints; `idle_calls` are those of a timer's run without tasks, without patterns."""
    patterns = [target for one in file.policies for target in one.targets if target.needs_discovery]
    scope = scope_of([Request("timer", None, Selector(), "")], file.policies)
    policies = list({area.policy.index: area.policy for area in scope.areas}.values())
    literal, _ = resolve(scope.targets, lambda services: ())
    return {
        "valid": True,
        "source": file.source,
        "exempt": len(set(file.exempt)),
        "policies": [
            {
                **{key: getattr(one, key) for key in ("name", "line", "does", "reason", "halt_over")},
                "targets": list(map(str, one.targets)),
                "triggers": one.triggers or ["all"],
                "keep": one.keep and one.keep.model_dump(),
                "budget_per_run": one.budget.per_run if one.stops else None,
                "budget_per_day": one.budget.per_day if one.stops else None,
                "holdout_percent": None if one.holdout is None else one.holdout / 100,
                "examples": len(one.examples),
                "cost": cost_of(one, file, settings),
            }
            for one in file.policies
        ],
        "discovery": sorted({"FC 3.0" if target.service is None else "FC 2.0" for target in patterns}),
        "idle_calls": sum(len(_queries(function, policies, file, settings)) for function in literal),
        "not_approved": read_unapproved(settings, file),
    }


def cost_of(policy: Policy, file: File, settings: Settings) -> dict[str, Any]:
    """The calls that *policy* makes by itself for each function in a run.

    `lists_all` are the statuses that are listed whole, `lists_overdue` those of which only tasks are listed
    that started longer ago than a limit; `calls_follow` is events, what is overdue, or what is alive.
    """
    listed = [
        query
        for query in _queries(Function(*policy.targets[0]), [policy], file, settings)
        if query.status != STOPPING or STOPPING in policy.match.match_statuses
    ]
    payload, id_prefix = any(query.payload for query in listed), listed[0].id_prefix if listed else ""
    if policy.only_named:
        listed = []
    elif len(unlisted(policy, settings.api_version)) == len(policy.targets):
        listed = [query for query in listed if query.status != DEQUEUED]
    overdue = {query.status: query.started_before for query in listed if query.started_before is not None}
    whole = [query.status for query in listed if query.status not in overdue]
    return {
        "lists_all": whole,
        # A query is a second weaker than the limit.
        "lists_overdue": {status: spell_duration(_NOW - at + 1000) for status, at in overdue.items()},
        "id_prefix": id_prefix,
        "calls_follow": "events" if policy.only_named else "what is alive" if whole else "what is overdue",
        "discovery": any(target.needs_discovery for target in policy.targets),
        "payload": payload,
        "page_bytes_most": _PAGE if payload and not policy.only_named else None,
        "why": list(_whys(policy, file, settings, whole=bool(whole), payload=payload)),
    }


def _queries(function: Function, policies: Sequence[Policy], file: File, settings: Settings) -> list[Query]:
    """The listings of *function* in a run of *policies*, some of which may be about other functions."""
    fitting = [one for one in policies if one.watches(function)]
    compiled = compile_policies(function, fitting, file.exempt, started_time=settings.started_time)
    return queries(function, compiled, _NOW)


def _whys(policy: Policy, file: File, settings: Settings, *, whole: bool, payload: bool) -> Iterator[str]:
    """Why all tasks are listed, if they are, and which expression asks for their payloads."""
    clocks = {clock: isinstance(limit, CarriedLimit) for clock, limit in policy.match.limits}
    enqueueing = [one for one in ("alive_for", "queued_for") if clocks.get(one) is False]
    if policy.only_named:
        yield "Only an event that names a task runs it: nothing is listed for it, the task is read."
    elif whole and policy.keep is not None:
        yield "`keep` must see all that matches."
    elif whole and enqueueing and settings.started_time != "enqueue":
        yield (
            f"{enqueueing[0]} counts from enqueueing, and startedTime may be another moment. If it is that "
            "of enqueueing in this account, set REAPER_STARTED_TIME=enqueue."
        )
    elif whole and any(clocks.values()):
        yield "Each task carries its own limit, so all of them must be seen."
    elif whole:
        yield "No listing can filter by that."
    if payload:
        expressions = [*policy.expressions, *(one for matcher in file.exempt for one in matcher.expressions)]
        reading = next(str(one) for one in expressions if one.needs_payload)
        page = "" if policy.only_named else f", so a page of {WITH_PAYLOAD} can be {_PAGE / 1024**2:.1f} MB"
        yield f"`{reading}` reads the payload, up to 128 KB{page}. Nothing of it is logged."


def _tables(report: Mapping[str, Any], file: File, settings: Settings) -> Iterator[Table | Text | str]:
    exempt = f", {counted(report['exempt'], 'exemption')} above them all" if report["exempt"] else ""
    number = counted(len(file.policies), "policy", "policies")
    yield from (Text(f"{file.source} is valid: {number}{exempt}.", STRONG), "")
    meaning, listed, whys = [], [], []
    for policy, its in zip(file.policies, report["policies"], strict=True):
        targets = ", ".join(short(*target) for target in policy.targets)
        meaning.append((policy.name, policy.does, targets, ", ".join(its["triggers"]), _bounds(policy)))
        listed.append((policy.name, _lists(policy, its["cost"]), its["cost"]["calls_follow"]))
        whys += [f"{policy.name}: {why}" for why in its["cost"]["why"]]
    yield from (table(("policy", "does", "targets", "triggers", "at most"), meaning), "")
    yield Text("Calls of one run, for each function", STRONG)
    yield table(("policy", "lists", "calls grow with"), listed)
    yield from ("", *whys)
    yield "Each status is one call for 100 tasks; Stopping is always listed, for what is stuck."
    if report["idle_calls"]:
        calls = counted(report["idle_calls"], "call")
        yield f"While nothing is alive, a run by a timer takes {calls} for the targets without a pattern."
    if any(unlisted(one, settings.api_version) for one in file.policies if not one.only_named):
        yield f"API version {BLIND_API} of FC 2.0 does not list {DEQUEUED} tasks: that call is refused."
    for generation in report["discovery"]:
        yield f"Patterns: once a run the functions of {generation} in task mode are listed, 100 a call."
    yield "Each due task is read again (1 call); stopping it takes 3: read again, stop, read until Stopped."
    for name, why in report["not_approved"].items():
        yield f"{name} only reports: {why}."
    try:
        refuse_targets(settings, file, enforce=True)
    except SettingsError as error:
        yield f"To enforce from here: {error}."


def _bounds(policy: Policy) -> str:
    parts = [] if policy.keep is None else [f"keeps {keep_text(policy.keep)}"]
    if policy.stops:
        parts.append(f"{policy.budget.per_run}/run")
        parts += [] if policy.budget.per_day is None else [f"{policy.budget.per_day}/day"]
        parts += [] if policy.holdout is None else [f"{spell_share(policy.holdout)} held out"]
        parts += [] if policy.halt_over is None else [f"none if over {policy.halt_over} are due"]
    return ", ".join(parts) or "-"


def _lists(policy: Policy, cost: Mapping[str, Any]) -> str:
    if policy.only_named:
        return f"nothing{' but Stopping' if policy.stops else ''}: an event names the task"
    overdue = [f"{status} started {limit} ago" for status, limit in cost["lists_overdue"].items()]
    prefix = f", ids that begin with {cost['id_prefix']}" if cost["id_prefix"] else ""
    return ", ".join([*overdue, *cost["lists_all"]]) + prefix or "nothing but Stopping"
