"""`fc-reaper doctor`: whether all is in place, and which functions nobody watches."""

import os
import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from rich.text import Text
from typer import Option

from fc_reaper import __version__
from fc_reaper import settings as config
from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, Cloud, PolicyOption, environment, with_cloud
from fc_reaper.cli.coverage import Answers, Coverage, Listed, Watching, cover, coverage_table, inspect
from fc_reaper.cli.planfile import whereabouts
from fc_reaper.clock import SYSTEM_CLOCK, Pool
from fc_reaper.cloud import AsyncTaskClient, ReadOnlyClient
from fc_reaper.cloud.api import ASYNC_TASK, CLASSIC, OPEN, STATEFUL, WITHOUT_SERVICES
from fc_reaper.cloud.client import caller_identity
from fc_reaper.errors import CloudError, PolicyError, SettingsError
from fc_reaper.models import FINISHED, UNFINISHED, Exit, Function, Page, Task
from fc_reaper.policy.lint import lint
from fc_reaper.sweep import TRUSTED_SKEW
from fc_reaper.sweep.scope import list_functions

_PATIENCE, _FIRST = 300.0, 15.0  # seconds for reading the functions, literal targets first; for a call before


class Check(BaseModel):
    """What was found; unless it is well, `what; what to do`."""

    check: str
    state: Literal["ok", "warn", "fail"]
    text: str


class Diagnosis(BaseModel):
    """What --json prints. Null is what is not known."""

    account: str | None = None
    region: str | None = None
    endpoint: str | None = None
    checks: list[Check] = []
    coverage: list[Coverage] = []
    uncovered: int | None = Field(default=None, description="Functions in task mode that no policy watches.")
    exit: Exit = Exit.DONE

    def add(self, check: str, text: str, exit: Exit | None = None) -> None:
        """Add what is well, or with an *exit*, 0 for a warning, what is not."""
        state: Literal["ok", "warn", "fail"] = "ok" if exit is None else "fail" if exit else "warn"
        self.checks.append(Check(check=check, state=state, text=text))
        self.exit = max(self.exit, exit or Exit.DONE)

    def refused(self, check: str, error: CloudError, exit: Exit, what: str = "", action: str = "") -> None:
        """Add what the cloud refused, or did not answer; *action* is the one of RAM that it took."""
        missing = f"allow fc:{action} in RAM, on Resource *" if action and output.lacks_right(error) else None
        self.add(check, f"{what}{output.refusal(error)}; {missing or output.advice_for([error])[0]}", exit)


@with_cloud
def doctor(
    policy: PolicyOption = None,
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
    found = Diagnosis()
    try:
        env = environment(policy=policy, **cloud)
    except CloudError as error:
        env = {**environment(policy=policy, keys=False, **cloud), "REAPER_PLATFORM": ""}
        found.refused("account", error, Exit.UNREACHABLE, "whose keys these are is unknown: ")
    settings, known = config.read_settings(env, config.Context()), not found.checks
    watching = _check_here(found, settings)
    listed, answers = _check_cloud(found, settings, env, watching or {}) if known else ({}, {})
    if watching is not None and listed:
        found.coverage = cover(listed, watching, answers, settings.ourselves)
        nobody, unknown = sum(one.uncovered for one in found.coverage), None in listed.values()
        found.uncovered = None if unknown else nobody
        text = f"nobody watches {nobody} of {output.counted(len(found.coverage), 'function')} in task mode"
        text += ", and some could not be listed" if unknown else ""
        text += "; name them in targets of a policy" if nobody else ""
        exit = Exit.ATTENTION if fail_uncovered else Exit.DONE
        found.add("coverage", text, exit if nobody or unknown else None)
    if as_json:
        output.print_json(found)
        return found.exit
    styles = {"ok": output.GOOD, "warn": output.STRONG, "fail": output.BAD}
    rows = [(Text(one.state, styles[one.state]), f"{one.check}: {one.text}") for one in found.checks]
    output.show(output.table(("", "check"), rows))
    output.show(*(("", coverage_table(found.coverage)) if found.coverage else ()))
    return found.exit


def _check_here(found: Diagnosis, settings: config.Settings) -> Watching | None:
    """What each policy does with what it finds; None if the file is wrong."""
    found.add("package", f"fc-reaper {__version__}, aliyun-fc2 {version('aliyun-fc2')}")
    found.add("runtime", f"Python {platform.python_version()} here; that of the function is in s.yaml")
    try:
        file = config.read_policy(settings)
    except PolicyError as error:
        for issue in error.issues:
            found.add("policy", issue.text, Exit.REFUSED)
        return None if "\n" in settings.policy or os.path.lexists(settings.folder / settings.policy) else {}
    number = output.counted(len(file.policies), "policy", "policies")
    found.add("policy", f"{file.source} is valid: {number}; REAPER_MODE is {settings.mode} here")
    for issue in lint(file, settings.api_version, SYSTEM_CLOCK.now()):
        found.add("policy", issue.text, Exit.DONE)
    enforces, unapproved = settings.mode == "enforce", config.read_unapproved(settings, file)
    try:
        lock = config.read_lock(settings)
        found.add("lock", f"{lock.source} is in force" if lock else "there is no policy.lock")
        config.refuse_targets(settings, file, enforce=enforces)
    except (SettingsError, PolicyError) as error:
        found.add("lock" if isinstance(error, PolicyError) else "targets", str(error), Exit.REFUSED)
    for name, why in unapproved.items():
        found.add("lock", f"{name} only reports: {why}", Exit.DONE)
    stops = "enforced" if enforces else "dry run"
    does = ((one, stops if one.stops else "reports") for one in file.policies)
    return {one: "not approved" if one.name in unapproved else what for one, what in does}


def _check_cloud(
    found: Diagnosis, settings: config.Settings, env: Mapping[str, str], watching: Watching
) -> tuple[Listed, Answers]:
    """The functions in task mode, empty if no call was answered, and what was answered about them."""
    clients: dict[str, AsyncTaskClient] = {}
    try:
        keys = config.read_credentials(env, config.Context())
        found.account, found.region, found.endpoint = whereabouts(settings).values()
        for name in (OPEN, CLASSIC, WITHOUT_SERVICES):
            variant = settings.model_copy(update={"api_version": name})
            clients[name] = config.connect(variant, keys, "doctor", clock=SYSTEM_CLOCK, kind=ReadOnlyClient)
    except SettingsError as error:
        found.add("cloud", str(error), Exit.REFUSED)
        return {}, {}
    main = OPEN if settings.api_version == WITHOUT_SERVICES else settings.api_version
    targets = [(target, one.stops) for one in watching for target in one.targets]
    needed = {WITHOUT_SERVICES if one.service is None else main for one, _ in targets}
    pool = Pool(settings.concurrency, SYSTEM_CLOCK, lambda: False)
    listed, answers = _check_versions(found, clients, main, needed, pool), Answers()
    try:
        owner, who = caller_identity(clients[main].endpoint, keys, SYSTEM_CLOCK, _FIRST)
        found.account = found.account or owner
        if found.account == owner:
            found.add("account", f"{owner}, {who}")
        else:
            other = f"calls go to account {found.account}: use --account {owner}, or --profile"
            found.add("account", f"{owner}, {who}; {other}", Exit.REFUSED)
    except CloudError as error:
        found.refused("account", error, Exit.DONE, "whose keys these are is unknown: ")
    if listed:
        meant = dict.fromkeys(Function(*one) for one, _ in targets if not one.needs_discovery)
        every = list(meant | dict.fromkeys(one for each in listed.values() for one in each or ()))
        answers = inspect(clients[main], pool, every, SYSTEM_CLOCK.monotonic() + _PATIENCE)
        _check_rights(found, answers)
        for kind in sorted({(STATEFUL if one.service else ASYNC_TASK).task for one, stop in targets if stop}):
            found.add(f"fc:Stop{kind}", "unproven: only a stop is proof; see docs/doctor.md", Exit.DONE)
        for one in meant:
            _check_target(found, one, [each[one] for each in answers.values() if one in each])
    pages = [page for each in answers.values() for page in each.values() if isinstance(page, Page)]
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
) -> Listed:
    """The functions of both generations, by version *main* those of 2.0; empty if there is no use in more."""
    listed, began = Listed(), SYSTEM_CLOCK.monotonic()
    functions: list[Function] | None
    for name, client in clients.items():
        services = name != WITHOUT_SERVICES
        action, until = (STATEFUL if services else ASYNC_TASK).functions, SYSTEM_CLOCK.monotonic() + _FIRST
        try:
            functions = list_functions(client, pool, services=services, until=until)
            found.add(f"API {name}", f"answers, and fc:{action} is allowed")
        except CloudError as error:
            wrong_keys = error.denied and not output.lacks_right(error)
            hopeless = name == OPEN and (error.http_status is None or wrong_keys)
            exit = Exit.UNREACHABLE if hopeless or name in needed else Exit.DONE
            found.refused(f"API {name}", error, exit, action=action)
            if hopeless:
                return {}
            functions = [] if error.error_code == "PathNotSupported" else None
        if name in (main, WITHOUT_SERVICES):
            listed[services] = functions
    spent = (SYSTEM_CLOCK.monotonic() - began) / sum(one.calls.total() for one in clients.values())
    found.add("endpoint", f"{found.endpoint}, {spent * 1000:.0f} ms a call")
    return listed


def _check_rights(found: Diagnosis, answers: Answers) -> None:
    """Each action of RAM, by what was answered: the platform's own 404 proves it as well."""
    for action, each in sorted(answers.items()):
        errors = [(one, error) for one, error in each.items() if isinstance(error, CloudError)]
        failed = [(one, error) for one, error in errors if error.http_status != 404 or error.unclear]
        if failed:
            one, error = failed[0]
            # A run does without the limits.
            exit = Exit.DONE if action.endswith(("GetFunction", "InvokeConfig")) else Exit.UNREACHABLE
            found.refused(f"fc:{action}", error, exit, f"{one}: ", action)
        else:
            found.add(f"fc:{action}", "allowed")


def _check_target(found: Diagnosis, one: Function, answers: list[Any]) -> None:
    # That a task, or a configuration, is not found says nothing about the function.
    errors = [error for error in answers if isinstance(error, CloudError)]
    absent = [error for error in errors if error.missing and "Async" not in error.error_code]
    if absent:
        found.add("target", f"{one}: {absent[0].detail}; correct or delete it", Exit.ATTENTION)
    elif any(isinstance(page, Page) and not page.tasks for page in answers):
        what = "had no task in the kept history; is the qualifier right, and the function in task mode?"
        found.add("target", f"{one} {what}", Exit.DONE)


def _check_records(found: Diagnosis, tasks: list[Task]) -> None:
    known, odd = {*UNFINISHED, *FINISHED}, Counter[tuple[Function, str]]()
    for one in tasks:
        if one.inconsistency or one.status not in known:
            odd[one.function, one.inconsistency or f"unknown status {one.status}"] += 1
    for (function, why), number in odd.items():
        what = f"{output.counted(number, 'record')} of {function}: {why}"
        found.add("records", f"{what}; such tasks are kept: see fc-reaper explain", Exit.ATTENTION)
    if tasks and not any(one.events for one in tasks):
        found.add("records", "lists show no events; nothing to mend, a run makes more calls", Exit.DONE)
    elif tasks and not odd:
        found.add("records", f"{output.counted(len(tasks), 'record')} read, all as expected")
