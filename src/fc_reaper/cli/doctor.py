"""`fc-reaper doctor`: whether all is in place, and which functions nobody watches."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, Field
from rich.text import Text
from typer import Option

from fc_reaper import __version__
from fc_reaper import settings as given
from fc_reaper.cli import output
from fc_reaper.cli.app import Account, Api, AsJson, Endpoint, PolicyFile, Profile, Region, environment
from fc_reaper.cli.coverage import Answers, Coverage, coverage_table, inspect
from fc_reaper.cli.planfile import whereabouts
from fc_reaper.clock import SYSTEM_CLOCK, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.api import ASYNC_TASK, CLASSIC, OPEN, STATEFUL, WITHOUT_SERVICES
from fc_reaper.errors import CloudError, PolicyError, SettingsError, nearest
from fc_reaper.models import FINISHED, UNFINISHED, Exit, Function, Page, spellings
from fc_reaper.policy import PolicyFile as File
from fc_reaper.policy.lint import lint
from fc_reaper.sweep import TRUSTED_SKEW
from fc_reaper.sweep.scope import is_own, list_functions, resolve

_MOST = 300  # functions that are read one by one, literal targets first
_PATIENCE, _FIRST = 300.0, 15.0  # seconds for reading them, and for each call before, its retries included

_Listed = dict[bool, list[Function] | None]
"""The functions in task mode of FC 2.0 for True, of 3.0 for False; None where they are unknown."""


class Check(BaseModel):
    """What was found, and what to do about it."""

    check: str
    state: Literal["ok", "warn", "fail"]
    text: str
    remedy: str


class Diagnosis(BaseModel):
    """What --json prints. Null is what is not known."""

    account: str | None = None
    region: str | None = None
    endpoint: str | None = None
    mode: str
    checks: list[Check] = []
    coverage: list[Coverage] = []
    uncovered: int | None = Field(default=None, description="Functions in task mode that no policy watches.")
    exit: Exit = Exit.DONE

    def add(self, check: str, text: str, exit: Exit | None = None, remedy: str = "") -> None:
        """Add what is well, or with an *exit*, 0 for a warning, what is not: `what; what to do`."""
        if exit is not None and not remedy:
            text, _, remedy = text.rpartition("; ")
        state: Literal["ok", "warn", "fail"] = "ok" if exit is None else "fail" if exit else "warn"
        self.checks.append(Check(check=check, state=state, text=text or remedy, remedy=remedy))
        self.exit = max(self.exit, exit or Exit.DONE)

    def refused(self, check: str, what: str, error: CloudError, exit: Exit = Exit.UNREACHABLE) -> None:
        """Add what the cloud refused, or did not answer; *check* may be an action of RAM."""
        remedy = f"allow {check} in RAM, on Resource *" if output.lacks_right(error) else ""
        self.add(check, what + output.refusal(error), exit, remedy or output.advice_for([error])[0])


def doctor(
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    region: Region = None,
    account: Account = None,
    profile: Profile = None,
    fail_uncovered: Annotated[
        bool, Option("--fail-uncovered", help="Exit 1 also if nobody watches a function.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check that all is in place; show which functions nobody watches.

    Nothing is stopped or changed. Each check stands by itself, and says what to do where it fails.

    \b
    Examples:
      fc-reaper doctor
      fc-reaper doctor --fail-uncovered --json
    """
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version, region=region,
                      account=account, profile=profile)  # fmt: skip
    settings = given.read_settings(env, given.Context())
    found = Diagnosis(mode=settings.mode)
    with output.interruptible() as interrupted:
        file, does = _check_here(found, settings)
        pool = Pool(settings.concurrency, SYSTEM_CLOCK, interrupted.is_set)
        listed, answers = _check_cloud(found, settings, env, pool, file)
        if interrupted.is_set():
            raise KeyboardInterrupt
    if file is not None and listed:
        functions = dict.fromkeys(one for each in listed.values() for one in each or ())
        for one in functions:
            # One that is listed by both of its names is one function.
            if one.service is not None or functions.keys().isdisjoint(spellings(one)[1:]):
                watching = (its for its in file.policies if any(map(its.watches, spellings(one))))
                by = {its.name: does[its.name] for its in watching}
                itself = is_own(one, settings.ourselves)
                found.coverage.append(Coverage.of(one, answers.get(one, {}), by, itself=itself))
        nobody = sum(one.uncovered for one in found.coverage)
        found.uncovered = None if None in listed.values() else nobody
        number = f"{output.counted(len(found.coverage), 'function')} in task mode"
        if nobody:
            exit = Exit.ATTENTION if fail_uncovered else Exit.DONE
            found.add("coverage", f"nobody watches {nobody} of {number}; name them in targets", exit)
        elif found.uncovered is not None:
            found.add("coverage", f"{number}, and each is watched")
    if as_json:
        output.print_json(found)
    else:
        _show(found)
    return found.exit


def _show(found: Diagnosis) -> None:
    styles = {"ok": output.GOOD, "warn": output.STRONG, "fail": output.BAD}
    rows: list[tuple[Text | str, str]] = []
    for one in found.checks:
        rows.append((Text(one.state, styles[one.state]), f"{one.check}: {one.text}"))
        rows += [("", f"-> {one.remedy}")] if one.remedy else []
    output.show(output.table(("", "check"), rows))
    output.show(*(("", coverage_table(found.coverage)) if found.coverage else ()))


def _check_here(found: Diagnosis, settings: given.Settings) -> tuple[File | None, Mapping[str, str]]:
    """The policy, None if it is wrong, and what each of its policies does with what it finds."""
    extras = {"cli": "rich", "emulator": "uvicorn", "plot": "matplotlib"}
    there = ", ".join(name for name, module in extras.items() if find_spec(module))
    found.add("package", f"fc-reaper {__version__}, aliyun-fc2 {version('aliyun-fc2')}, extras {there}")
    found.add("runtime", f"Python {platform.python_version()} here; that of the function is in s.yaml")
    try:
        file = given.read_policy(settings)
    except PolicyError as error:
        for issue in error.issues:
            found.add("policy", issue.text, Exit.REFUSED)
        return None, {}
    number = output.counted(len(file.policies), "policy", "policies")
    found.add("policy", f"{file.source} is valid: {number}; REAPER_MODE is {settings.mode} here")
    for issue in lint(file, settings.api_version):
        found.add("policy", issue.text, Exit.DONE)
    enforces, unapproved = settings.mode == "enforce", given.read_unapproved(settings, file)
    try:
        lock = given.read_lock(settings)
        found.add("lock", f"{lock.source} is in force" if lock else "there is no policy.lock")
        given.refuse_targets(settings, file, enforce=enforces)
    except (SettingsError, PolicyError) as error:
        found.add("lock" if isinstance(error, PolicyError) else "targets", str(error), Exit.REFUSED)
    for name, why in unapproved.items():
        found.add("lock", f"{name} only reports: {why}", Exit.DONE)
    stops = "enforced" if enforces else "dry run"
    does = {one.name: stops if one.stops else "reports" for one in file.policies}
    return file, {**does, **dict.fromkeys(unapproved, "not approved")}


def _check_cloud(
    found: Diagnosis, settings: given.Settings, env: Mapping[str, str], pool: Pool, file: File | None
) -> tuple[_Listed, dict[Function, Answers]]:
    """The functions in task mode, empty if no call was answered; what was answered about which functions."""
    targets = [(target, one.stops) for one in file.policies for target in one.targets] if file else []
    try:
        found.account, found.region, found.endpoint = whereabouts(settings).values()
        keys, run_id = given.read_credentials(env, given.Context()), str(uuid4())
        versions = (OPEN, CLASSIC, WITHOUT_SERVICES)
        each = {one: settings.model_copy(update={"api_version": one}) for one in versions}
        clients = {one: given.connect(its, keys, run_id, clock=SYSTEM_CLOCK) for one, its in each.items()}
    except SettingsError as error:
        found.add("cloud", str(error), Exit.REFUSED)
        return {}, {}
    main = OPEN if settings.api_version == WITHOUT_SERVICES else settings.api_version
    _check_account(found, clients[main])
    lists = _check_versions(found, clients, main, {one.service is not None for one, _ in targets}, pool)
    listed: _Listed = {}
    rights: dict[str, list[tuple[Any, Any]]] = {}
    for services, names, name in ((True, STATEFUL, main), (False, ASYNC_TASK, WITHOUT_SERVICES)):
        if name in lists:
            answer = lists[name]
            absent = isinstance(answer, CloudError) and answer.error_code == "PathNotSupported"
            listed[services] = [] if absent else None if isinstance(answer, CloudError) else answer
            denied = isinstance(answer, CloudError) and output.lacks_right(answer)
            if denied or not isinstance(answer, CloudError):
                rights[f"fc:{names.functions}"] = [(f"API {name}", answer)]
    answers: dict[Function, Answers] = {}
    if listed:
        meant, unmatched = resolve([one for one, _ in targets], listed.get)
        every = list(dict.fromkeys([*meant, *(one for each in listed.values() for one in each or ())]))
        answers = inspect(clients[main], pool, every[:_MOST], SYSTEM_CLOCK.monotonic() + _PATIENCE)
        if len(every) > _MOST:
            found.add("functions", f"{_MOST} of {len(every)} read; the others are only listed", Exit.DONE)
        for one, by in answers.items():
            for name, answer in by.items():
                rights.setdefault(f"fc:{name}", []).append((one, answer))
        _check_rights(found, rights)
        kinds = {(ASYNC_TASK if one.service is None else STATEFUL).task for one, stops in targets if stops}
        for kind in sorted(kinds):
            found.add(
                f"fc:Stop{kind}", "unproven: only a stop proves it; see deploy/policy-enforce.json", Exit.DONE
            )
        for one in meant:
            _check_target(found, one, listed, answers.get(one, {}))
        for target in unmatched:
            found.add("target", f"{target} fits no function in task mode; correct or delete it", Exit.DONE)
    pages = [one for by in answers.values() for one in by.values() if isinstance(one, Page)]
    _check_records(found, pages)
    skew = max(one.skew_ms for one in clients.values())
    if skew > TRUSTED_SKEW or any(one.moment.skew is None for one in pages):
        what = f"is {skew // 1000}s from the cloud's" if skew else "is unlike any: answers have no Date"
        found.add("clock", f"{what}, so nothing would be stopped; set it by NTP", Exit.ATTENTION)
    elif listed:
        found.add("clock", f"is {skew / 1000:.1f}s from the cloud's for certain, and may be 30s")
    return listed, answers


def _check_account(found: Diagnosis, cloud: AsyncTaskClient) -> None:
    try:
        who = cloud.caller_identity(deadline=SYSTEM_CLOCK.monotonic() + _FIRST)
    except CloudError as error:
        return found.refused("account", "whose keys these are is unknown: ", error, Exit.DONE)
    if found.account in (None, who.account_id):
        found.account = who.account_id
        return found.add("account", f"{who.account_id}, {who.kind} {who.arn}")
    what = f"the keys are of account {who.account_id}, and calls go to {found.account}"
    remedy = f"write --account {who.account_id}, or take the keys of {found.account} (--profile)"
    return found.add("account", what, Exit.REFUSED, remedy)


def _check_versions(
    found: Diagnosis, clients: Mapping[Any, AsyncTaskClient], main: str, needed: set[bool], pool: Pool
) -> dict[str, list[Function] | CloudError]:
    """What each version lists as functions in task mode; empty if none answers."""
    answers: dict[str, list[Function] | CloudError] = {}
    times: list[float] = []
    silent: dict[str, CloudError] = {}
    for name, client in clients.items():
        began, before = SYSTEM_CLOCK.monotonic(), client.calls.total()
        try:
            services = name != WITHOUT_SERVICES
            answers[name] = list_functions(client, pool, services=services, until=began + _FIRST)
        except CloudError as error:
            answers[name] = error
            silent |= {} if output.lacks_right(error) else {name: error}
            if error.http_status is None:
                break
        times.append((SYSTEM_CLOCK.monotonic() - began) * 1000 / max(1, client.calls.total() - before))
    if len(silent) == len(answers):
        found.refused("endpoint", f"{found.endpoint}: ", next(iter(silent.values())))
        return {}
    found.add("endpoint", f"{found.endpoint}, {median(times):.0f} ms a call (median)")
    for name in answers:
        ours = name in (main, WITHOUT_SERVICES) and (name != WITHOUT_SERVICES) in needed
        if name in silent:
            found.refused(f"API {name}", "", silent[name], Exit.UNREACHABLE if ours else Exit.DONE)
        else:
            found.add(f"API {name}", "answers")
    return answers


def _check_rights(found: Diagnosis, rights: Mapping[str, list[tuple[Any, Any]]]) -> None:
    """Each action of RAM, with what was answered about what: the platform's own 404 proves it as well."""
    for action, said in sorted(rights.items()):
        errors = [(what, one) for what, one in said if isinstance(one, CloudError)]
        bad = [one for one in errors if one[1].http_status != 404 or one[1].error_code == "UnreadableAnswer"]
        if not bad:
            found.add(action, "allowed")
            continue
        # A run does without the limits.
        exit = Exit.DONE if action.endswith(("GetFunction", "InvokeConfig")) else Exit.UNREACHABLE
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        found.refused(action, f"{bad[0][0]}{more}: ", bad[0][1], exit)


def _check_target(found: Diagnosis, function: Function, listed: _Listed, answers: Answers) -> None:
    errors = [one for one in answers.values() if isinstance(one, CloudError) and one.missing]
    absent = [one for one in errors if not one.error_code.endswith(("TaskNotFound", "InvocationNotFound"))]
    known = listed.get(function.service is not None)
    if absent:
        near = nearest(str(function), list(map(str, known or ())))
        write = f"did you mean {near}?" if near else "correct the target, or delete it"
        found.add("target", f"{function}: {absent[0].detail}; {write}", Exit.ATTENTION)
    elif known is not None and function not in known:
        what = f"{function} is not in task mode, so only what asks for it is a task"
        write = "set statefulInvocation (FC 3.0: asyncTask) in its asynchronous configuration"
        found.add("target", f"{what}; {write}", Exit.DONE)
    elif any(isinstance(one, Page) and not one.tasks for one in answers.values()):
        what = f"{function} had no task in the kept history"
        write = "write the qualifier by which it is invoked, or @* for all"
        found.add("target", f"{what}; {write}", Exit.DONE)


def _check_records(found: Diagnosis, pages: list[Page]) -> None:
    tasks, known = [task for page in pages for task in page.tasks], {"", *UNFINISHED, *FINISHED}
    odd = Counter((one.function, one.inconsistency) for one in tasks if one.inconsistency)
    odd.update((one.function, f"unknown status {one.status}") for one in tasks if one.status not in known)
    for (function, why), number in odd.items():
        what = f"{output.counted(number, 'record')} of {function}: {why}"
        found.add("records", f"{what}; such tasks are kept: see fc-reaper explain", Exit.ATTENTION)
    if tasks and not any(one.events for one in tasks):
        what = "lists have no events, so a run reads more tasks one by one"
        found.add("records", f"{what}; nothing is to be done", Exit.DONE)
    elif tasks and not odd:
        found.add("records", f"{output.counted(len(tasks), 'record')} read, all as expected")
