"""`fc-reaper check`: what a policy means and what it costs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from secrets import token_hex
from typing import Annotated, Any, Literal

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text
from typer import Argument, Option

from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, PolicyOption, environment
from fc_reaper.cli.output import STRONG, CommandError, counted, short, show, table
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.cloud.client import WITH_PAYLOAD
from fc_reaper.errors import Issue, PolicyError
from fc_reaper.evaluator.evaluate import compile_policies
from fc_reaper.evaluator.explain import keep_text
from fc_reaper.events import Request, Selector
from fc_reaper.models import BLIND_API, DEQUEUED, STOPPING, Exit, Function, Millis, Query
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.policy.lint import lint, unlisted
from fc_reaper.rules.duration import spell_duration
from fc_reaper.rules.fields import CarriedLimit, spell_share
from fc_reaper.settings import Context, Settings, read_policy, read_settings, read_unapproved
from fc_reaper.sweep.scanner import queries
from fc_reaper.sweep.scope import resolve, scope_of

_NOW: Millis = 1_700_000_000_000  # any moment: a query only says how long before it tasks must have started


class Cost(BaseModel):
    """The calls that a policy makes by itself for each function in a run.

    `lists` are the statuses that are listed, perhaps only tasks that started longer ago than a limit, or with
    certain ids; `calls_follow` is events, what is overdue, or what is alive.
    """

    lists: list[str]
    calls_follow: str
    payload: bool
    why: list[str]


def check(
    policy: Annotated[str | None, Argument(metavar="POLICY", help="As --policy.")] = None,
    policy_option: PolicyOption = None,
    as_format: Annotated[
        Literal["text", "github"], Option("--format", help="github: findings at their lines.")
    ] = "text",
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
    for_github = as_format == "github"
    if as_json and for_github:
        raise CommandError("--json and --format github exclude each other; choose one")
    env = environment(policy=policy_option if policy is None else policy, keys=False)
    settings = read_settings(env, Context())
    try:
        file = read_policy(settings)
        not_approved = read_unapproved(settings, file)
    except PolicyError as error:
        if as_json:
            output.print_json({"valid": False, "findings": list(map(_issue, error.issues))})
        if for_github:
            output.print_line("\n".join(_annotations("error", error.issues)))
            return Exit.REFUSED
        raise
    warnings, idle = lint(file, settings.api_version, SYSTEM_CLOCK.now()), _idle_calls(file, settings)
    costs = {one.name: cost_of(one, file, settings) for one in file.policies}
    if as_json:
        policies = [{"name": name, "cost": cost} for name, cost in costs.items()]
        report = {"valid": True, "source": file.source, "policies": policies, "idle_calls": idle}
        output.print_json({**report, "not_approved": not_approved, "warnings": list(map(_issue, warnings))})
    else:
        # Names are text from outside: until this token comes again, GitHub obeys no command.
        token = token_hex(16)
        if for_github:
            output.print_line(f"::stop-commands::{token}")
        show(*_tables(file, costs, idle))
        if any(unlisted(one, settings.api_version) for one in file.policies):
            show(f"API version {BLIND_API} of FC 2.0 does not list {DEQUEUED} tasks: that call is refused.")
        show(*(f"{name} only reports: {why}." for name, why in not_approved.items()))
        if for_github:
            waiting = ((one.index, not_approved.get(one.name)) for one in file.policies)
            told = [file.issue(("policies", at), f"it only reports: {why}") for at, why in waiting if why]
            output.print_line("\n".join([f"::{token}::", *_annotations("warning", [*told, *warnings])]))
            return Exit.DONE
    for warning in warnings:
        output.print_line(f"{warning.text} (a warning)", sys.stderr)
    return Exit.DONE


def _annotations(level: str, issues: Sequence[Issue]) -> Iterator[str]:
    """A workflow command for each of *issues*, as
    https://docs.github.com/actions/reference/workflow-commands-for-github-actions describes them."""
    in_text = {ord(char): f"%{ord(char):02X}" for char in "%\r\n"}
    in_property = {**in_text, ord(":"): "%3A", ord(","): "%2C"}
    for issue in issues:
        place = {"file": issue.source, "line": issue.line, "title": issue.lint or issue.path}
        known = (f"{name}={str(one).translate(in_property)}" for name, one in place.items() if one)
        yield f"::{level} {','.join(known)}::{issue.text.translate(in_text)}"


def _issue(issue: Issue) -> dict[str, Any]:
    place = {"file": issue.source, "line": issue.line, "path": issue.path, "lint": issue.lint or None}
    return {**place, "cause": issue.what, "remedy": issue.remedy, "text": issue.text}


def cost_of(policy: Policy, file: PolicyFile, settings: Settings) -> Cost:
    """What *policy* of *file* costs."""
    asked = _queries(Function(*policy.targets[0]), [policy], file, settings)
    listed = [one for one in asked if one.status != STOPPING or STOPPING in policy.match.match_statuses]
    listed = [] if policy.only_named else listed
    whole, payload = any(one.started_before is None for one in listed), any(one.payload for one in asked)
    why = [_why_whole(policy, settings)] if whole else []
    if payload:
        expressions = [*policy.expressions, *(one for matcher in file.exempt for one in matcher.expressions)]
        reading = next(str(one) for one in expressions if one.needs_payload)
        # https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits
        why.append(f"`{reading}` reads payloads, up to 128 KB each: {WITH_PAYLOAD} tasks a call, not 100.")
    return Cost(
        lists=list(map(_listing, listed)),
        calls_follow="events" if policy.only_named else "what is alive" if whole else "what is overdue",
        payload=payload,
        why=why,
    )


def _listing(query: Query) -> str:
    prefix = f" with ids that begin with {query.id_prefix}" if query.id_prefix else ""
    if query.started_before is None:
        return f"{query.status}{prefix}"
    # A query is a second weaker than the limit.
    return f"{query.status}{prefix} started {spell_duration(_NOW - query.started_before + 1000)} ago"


def _why_whole(policy: Policy, settings: Settings) -> str:
    """Why all tasks of a status are listed."""
    clocks = {clock: isinstance(limit, CarriedLimit) for clock, limit in policy.match.limits}
    enqueueing = [one for one in ("alive_for", "queued_for") if clocks.get(one) is False]
    if policy.keep is not None:
        return "`keep` must see all that matches."
    if enqueueing and settings.started_time != "enqueue":
        counts = "counts from enqueueing; if startedTime is that in this account"
        return f"{enqueueing[0]} {counts}, set REAPER_STARTED_TIME=enqueue."
    if any(clocks.values()):
        return "Each task carries its own limit, so all of them must be seen."
    return "No listing can filter by that."


def _queries(
    function: Function, policies: Sequence[Policy], file: PolicyFile, settings: Settings
) -> list[Query]:
    """The listings of *function* in a run of *policies*, some of which may be about other functions."""
    fitting = [one for one in policies if one.watches(function)]
    compiled = compile_policies(function, fitting, file.exempt, started_time=settings.started_time)
    return queries(function, compiled, _NOW)


def _idle_calls(file: PolicyFile, settings: Settings) -> int:
    scope = scope_of([Request("timer", None, Selector(), "")], file.policies)
    policies = list({area.policy.index: area.policy for area in scope.areas}.values())
    literal, _ = resolve(scope.targets, lambda services: ())
    return sum(len(_queries(function, policies, file, settings)) for function in literal)


def _tables(file: PolicyFile, costs: Mapping[str, Cost], idle: int) -> Iterator[Table | Text | str]:
    number = counted(len(file.policies), "policy", "policies")
    exempt = f", {counted(len(file.exempt), 'exemption')} above them all" if file.exempt else ""
    yield from (Text(f"{file.source} is valid: {number}{exempt}.", STRONG), "")
    meaning = []
    for one in file.policies:
        targets = ", ".join(short(*target) for target in one.targets)
        meaning.append((one.name, one.does, targets, ", ".join(one.triggers) or "all", _bounds(one)))
    yield from (table(("policy", "does", "targets", "triggers", "at most"), meaning), "")
    yield Text("Calls of one run, for each function", STRONG)
    listed = [(name, ", ".join(one.lists) or "nothing", one.calls_follow) for name, one in costs.items()]
    yield from (table(("policy", "lists", "calls grow with"), listed), "")
    yield from (f"{name}: {why}" for name, one in costs.items() for why in one.why)
    yield "Each status is one call for 100 tasks; Stopping is always listed, for what is stuck."
    calls = f"{counted(idle, 'call')} for the targets without a pattern"
    yield f"While nothing is alive, a run by a timer takes {calls}."
    if any(target.needs_discovery for one in file.policies for target in one.targets):
        yield "Patterns: once a run the functions in task mode are listed, 100 a call."
    if whole := [one.name for one in file.policies if one.keep is not None or one.halt_over is not None]:
        yield f"With shards one of them looks at every function of {', '.join(whole)}."
    yield "Each due task is read again (1 call); stopping it takes 3: read again, stop, read until Stopped."


def _bounds(policy: Policy) -> str:
    parts = [] if policy.keep is None else [f"keeps {keep_text(policy.keep)}"]
    if policy.stops:
        parts.append(str(policy.budget))
        parts += [] if policy.holdout is None else [f"{spell_share(policy.holdout)} held out"]
        parts += [] if policy.halt_over is None else [f"none if over {policy.halt_over} are due"]
    return ", ".join(parts) or "-"
