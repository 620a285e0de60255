"""`fc-reaper doctor`: whether all is in place, and which functions nobody watches."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from rich.text import Text
from typer import Option

from fc_reaper import __version__
from fc_reaper import settings as given
from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, Cloud, PolicyFile, environment, with_cloud
from fc_reaper.cli.coverage import Answer, Coverage, coverage_table, inspect
from fc_reaper.cli.planfile import whereabouts
from fc_reaper.clock import SYSTEM_CLOCK, Pool
from fc_reaper.cloud import AsyncTaskClient, ReadOnlyClient
from fc_reaper.cloud.api import ASYNC_TASK, CLASSIC, OPEN, STATEFUL, WITHOUT_SERVICES
from fc_reaper.errors import CloudError, PolicyError, SettingsError, nearest
from fc_reaper.models import FINISHED, UNFINISHED, Exit, Function, Page, Task, spellings
from fc_reaper.policy import Policy
from fc_reaper.policy.lint import lint
from fc_reaper.sweep import TRUSTED_SKEW
from fc_reaper.sweep.scope import is_own, list_functions, resolve

_MOST = 300  # functions that are read one by one, literal targets first
_PATIENCE, _FIRST = 300.0, 15.0  # seconds for reading them, and for each call before, its retries included
_Env = Mapping[str, str] | CloudError  # or why it is not known
_Listed = dict[bool, list[Function] | None]  # the functions of FC 2.0 for True, 3.0 for False; None: unknown


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
            text, _, remedy = text.rpartition("; ") if "; " in text else (text, "", "")
        state: Literal["ok", "warn", "fail"] = "ok" if exit is None else "fail" if exit else "warn"
        self.checks.append(Check(check=check, state=state, text=text, remedy=remedy))
        self.exit = max(self.exit, exit or Exit.DONE)

    def refused(self, check: str, what: str, error: CloudError, exit: Exit = Exit.UNREACHABLE) -> None:
        """Add what the cloud refused, or did not answer; *check* may be an action of RAM."""
        denied = output.lacks_right(error) and check.startswith("fc:")
        remedy = f"allow {check} in RAM, on Resource *" if denied else output.advice_for([error])[0]
        self.add(check, what + output.refusal(error), exit, remedy)


@with_cloud
def doctor(
    policy: PolicyFile = None,
    cloud: Cloud = None,
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
    env: _Env
    try:
        here = env = environment(policy=policy, **cloud)
    except CloudError as error:
        here, env = {**environment(policy=policy, keys=False, **cloud), "REAPER_PLATFORM": ""}, error
    settings = given.read_settings(here, given.Context())
    found = Diagnosis(mode=settings.mode)
    with output.interruptible() as interrupted:
        pool = Pool(settings.concurrency, SYSTEM_CLOCK, interrupted.is_set)
        policies, does = _check_here(found, settings)
        listed, answers = _check_cloud(found, settings, env, pool, policies or ())
        if interrupted.is_set():
            raise KeyboardInterrupt
    if policies is not None and listed:
        functions = dict.fromkeys(one for each in listed.values() for one in each or ())
        for one in functions:
            if one.service is None and not functions.keys().isdisjoint(spellings(one)[1:]):
                continue  # it is listed by its other name too
            by = {its.name: does[its.name] for its in policies if any(map(its.watches, spellings(one)))}
            known: dict[str, Any] = {}
            for answer in (answer for about, _, answer in answers if about == one):
                known |= answer if isinstance(answer, dict) else {}
                known |= {"records": len(answer.tasks)} if isinstance(answer, Page) else {}
            known |= dict(zip(("service", "function", "qualifier"), one, strict=True))
            known |= {"watched_by": by, "uncovered": not (by or is_own(one, settings.ourselves))}
            found.coverage.append(Coverage.model_validate(known))
        found.coverage.sort(key=lambda one: not one.uncovered)
        nobody, unknown = sum(one.uncovered for one in found.coverage), None in listed.values()
        found.uncovered = None if unknown else nobody
        exit = None if found.uncovered == 0 else Exit.ATTENTION if fail_uncovered else Exit.DONE
        remedy = "name them in targets of a policy" if nobody else "see above" if unknown else ""
        number = f"{output.counted(len(found.coverage), 'function')} in task mode"
        number += ", and some could not be listed" if unknown else ""
        text = f"{number}, and each is watched" if exit is None else f"nobody watches {nobody} of {number}"
        found.add("coverage", text, exit, remedy)
    if as_json:
        output.print_json(found)
        return found.exit
    styles = {"ok": output.GOOD, "warn": output.STRONG, "fail": output.BAD}
    rows: list[tuple[Text | str, str]] = []
    for check in found.checks:
        rows.append((Text(check.state, styles[check.state]), f"{check.check}: {check.text}"))
        rows += [("", f"-> {check.remedy}")] if check.remedy else []
    output.show(output.table(("", "check"), rows))
    output.show(*(("", coverage_table(found.coverage)) if found.coverage else ()))
    return found.exit


def _check_here(found: Diagnosis, settings: given.Settings) -> tuple[Sequence[Policy] | None, dict[str, str]]:
    """The policies, None if their file is wrong, and what each does with what it finds."""
    extras = {"cli": "rich", "emulator": "uvicorn", "plot": "matplotlib"}
    there = ", ".join(name for name, module in extras.items() if find_spec(module))
    found.add("package", f"fc-reaper {__version__}, aliyun-fc2 {version('aliyun-fc2')}, extras {there}")
    found.add("runtime", f"Python {platform.python_version()} here; that of the function is in s.yaml")
    try:
        file = given.read_policy(settings)
    except PolicyError as error:
        for issue in error.issues:
            found.add("policy", issue.text, Exit.REFUSED)
        text = "\n" in settings.policy
        return None if text or os.path.lexists(settings.folder / settings.policy) else (), {}
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
    return file.policies, {**does, **dict.fromkeys(unapproved, "not approved")}


def _check_cloud(
    found: Diagnosis, settings: given.Settings, env: _Env, pool: Pool, policies: Sequence[Policy]
) -> tuple[_Listed, list[Answer]]:
    """The functions in task mode, empty if no call was answered, and what was answered about them."""
    targets = [(target, one.stops) for one in policies for target in one.targets]
    clients: dict[str, AsyncTaskClient] = {}
    if isinstance(env, CloudError):
        found.refused("account", "whose keys these are is unknown: ", env)
        return {}, []
    try:
        keys = given.read_credentials(env, given.Context())
        found.account, found.region, found.endpoint = whereabouts(settings).values()
        connect = partial(given.connect, clock=SYSTEM_CLOCK, kind=ReadOnlyClient)
        for name in (OPEN, CLASSIC, WITHOUT_SERVICES):
            clients[name] = connect(settings.model_copy(update={"api_version": name}), keys, "doctor")
    except SettingsError as error:
        found.add("cloud", str(error), Exit.REFUSED)
        return {}, []
    main = OPEN if settings.api_version == WITHOUT_SERVICES else settings.api_version
    needed = {WITHOUT_SERVICES if one.service is None else main for one, _ in targets}
    listed, answers = _check_versions(found, clients, main, needed, pool)
    try:
        who = clients[main].caller_identity(deadline=SYSTEM_CLOCK.monotonic() + _FIRST)
        found.add("account", f"{who.account_id}, {who.kind} {who.arn}")
        if found.account not in (None, who.account_id):
            what = f"calls go to account {found.account}, and the keys are of another"
            found.add("account", f"{what}; use --account {who.account_id}, or --profile", Exit.REFUSED)
        found.account = found.account or who.account_id
    except CloudError as error:
        found.refused("account", "whose keys these are is unknown: ", error, Exit.DONE)
    if listed:
        meant, unmatched = resolve([one for one, _ in targets], listed.get)
        every = list(dict.fromkeys([*meant, *(one for each in listed.values() for one in each or ())]))
        answers += inspect(clients[main], pool, every[:_MOST], SYSTEM_CLOCK.monotonic() + _PATIENCE)
        if len(every) > _MOST:
            found.add("functions", f"{_MOST} of {len(every)} read; the others are only listed", Exit.DONE)
        _check_rights(found, answers)
        for kind in sorted({(STATEFUL if one.service else ASYNC_TASK).task for one, its in targets if its}):
            found.add(f"fc:Stop{kind}", "unproven: only a stop is proof; see docs/real-account.md", Exit.DONE)
        for one in dict.fromkeys(one.literal() for one, _ in targets if not one.needs_discovery):
            its = [answer for about, _, answer in answers if about == one]
            _check_target(found, one, listed[one.service is not None], its)
        for target in unmatched:
            found.add("target", f"{target} fits no function in task mode; correct or delete it", Exit.DONE)
    pages = [page for *_, page in answers if isinstance(page, Page)]
    _check_records(found, [task for page in pages for task in page.tasks])
    skew = max(one.skew_ms for one in clients.values())
    if skew > TRUSTED_SKEW or any(one.moment.skew is None for one in pages):
        what = f"is {skew // 1000}s from the cloud's" if skew else "is unlike any: answers have no Date"
        found.add("clock", f"{what}, so nothing would be stopped; set it by NTP", Exit.ATTENTION)
    elif listed:
        found.add("clock", f"differs from the cloud's by {skew / 1000:.1f}s at least; up to 30s are fine")
    return listed, answers


def _check_versions(
    found: Diagnosis, clients: Mapping[str, AsyncTaskClient], main: str, needed: set[str], pool: Pool
) -> tuple[_Listed, list[Answer]]:
    """The functions of both generations, by version *main* those of 2.0; empty if there is no use in more."""
    listed: _Listed = {}
    times, said = [], []
    for name, client in clients.items():
        services, began, answer = name != WITHOUT_SERVICES, SYSTEM_CLOCK.monotonic(), None
        try:
            functions = list_functions(client, pool, services=services, until=began + _FIRST)
        except CloudError as error:
            functions, answer = None, error
        times.append((SYSTEM_CLOCK.monotonic() - began) * 1000 / (client.calls.total() or 1))
        if answer is None or output.lacks_right(answer):
            found.add(f"API {name}", "answers")
            if name in (main, WITHOUT_SERVICES):
                said.append((f"API {name}", (STATEFUL if services else ASYNC_TASK).functions, answer))
        else:
            hopeless = name == OPEN and (answer.http_status is None or answer.denied)
            exit = Exit.UNREACHABLE if hopeless or name in needed else Exit.DONE
            found.refused(f"API {name}", "", answer, exit)
            if hopeless:
                return {}, []
            functions = [] if answer.error_code == "PathNotSupported" else None
        if name in (main, WITHOUT_SERVICES):
            listed[services] = functions
    found.add("endpoint", f"{found.endpoint}, {median(times):.0f} ms a call (median)")
    return listed, said


def _check_rights(found: Diagnosis, answers: list[Answer]) -> None:
    """Each action of RAM, by what was answered: the platform's own 404 proves it as well."""
    for action in sorted({action for _, action, _ in answers}):
        errors = {one: its for one, name, its in answers if name == action and isinstance(its, CloudError)}
        failed = [one for one, its in errors.items() if its.http_status != 404 or its.unclear]
        if failed:
            # A run does without the limits.
            exit = Exit.DONE if action.endswith(("GetFunction", "InvokeConfig")) else Exit.UNREACHABLE
            more = f" and {len(failed) - 1} more" if failed[1:] else ""
            found.refused(f"fc:{action}", f"{failed[0]}{more}: ", errors[failed[0]], exit)
        else:
            found.add(f"fc:{action}", "allowed")


def _check_target(found: Diagnosis, one: Function, known: list[Function] | None, answers: list[Any]) -> None:
    # That a task, or a configuration, is not found says nothing about the function.
    absent = [e for e in answers if isinstance(e, CloudError) and e.missing and "Async" not in e.error_code]
    if absent:
        near = nearest(str(one), list(map(str, known or ())))
        write = f"did you mean {near}?" if near else "correct the target, or delete it"
        found.add("target", f"{one}: {absent[0].detail}; {write}", Exit.ATTENTION)
    elif known is not None and one not in known:
        found.add("target", f"{one} is not in task mode; set statefulInvocation (3.0: asyncTask)", Exit.DONE)
    elif any(isinstance(page, Page) and not page.tasks for page in answers):
        found.add("target", f"{one} had no task in the kept history; is the qualifier right?", Exit.DONE)


def _check_records(found: Diagnosis, tasks: list[Task]) -> None:
    known = {"", *UNFINISHED, *FINISHED}
    odd = Counter((one.function, one.inconsistency) for one in tasks if one.inconsistency)
    odd.update((one.function, f"unknown status {one.status}") for one in tasks if one.status not in known)
    for (function, why), number in odd.items():
        what = f"{output.counted(number, 'record')} of {function}: {why}"
        found.add("records", f"{what}; such tasks are kept: see fc-reaper explain", Exit.ATTENTION)
    if tasks and not any(one.events for one in tasks):
        found.add("records", "lists show no events; nothing to mend, a run makes more calls", Exit.DONE)
    elif tasks and not odd:
        found.add("records", f"{output.counted(len(tasks), 'record')} read, all as expected")
