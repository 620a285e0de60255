"""`fc-reaper apply`: carry out a plan, as far as it still holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TextIO

from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import CommandError, LogStream, interruptible, printable
from fc_reaper.cli.planning.applyview import KEPT_LINES, tell, tell_nothing
from fc_reaper.cli.planning.bars import bars
from fc_reaper.cli.planning.incident import load_incident, standing_exempt
from fc_reaper.cli.planning.outcomes import WAITING, Became, outcomes
from fc_reaper.cli.planning.plancheck import (
    refuse_changed,
    refuse_edited,
    refuse_elsewhere,
    refuse_out_of_date,
    whereabouts,
)
from fc_reaper.cli.planning.planfile import SPARED, Plan
from fc_reaper.cli.planning.planreading import read_plan
from fc_reaper.cli.planning.withholding import withheld
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.evaluator.verdict import KEEP, Evaluation
from fc_reaper.log import Line, Lines, TaskLine
from fc_reaper.models import Exit, Millis
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy
from fc_reaper.rules.duration import parse_duration
from fc_reaper.run import PlannedRun, RunResult
from fc_reaper.settings import Context, Settings, read_settings

_DAY = 86_400.0
"""Seconds that carrying out may take; it is interrupted by people, not by a clock."""

_ALL = 1_000_000
_COMMAND = b"{}"
"""An event that commands and narrows nothing."""

_IN_VAIN = 20
"""Tasks that are tried where the cloud answers none of them; then it is pointless."""


def apply(
    name: str,
    env: Mapping[str, str],
    *,
    enforce: bool | None,
    max_age: str,
    most: int | None = None,
    log: str | None = None,
    json_wanted: bool = False,
) -> int:
    """Stop those tasks of the plan in file *name* that are still due, and tell what became of each.

    *most* lowers the budgets for this time. Log lines are appended to the file *log*.
    """
    if not enforce:
        raise CommandError(f"apply stops tasks, so it must be told to: fc-reaper apply {name} --enforce")
    oldest = _length(max_age)
    plan = read_plan(name)
    env = {**env, "REAPER_MODE": "enforce", "REAPER_LOG_TASKS": str(_ALL)}
    settings = read_settings(env, Context())
    policy = _policy(plan, settings, env, oldest)
    waiting = withheld(plan, policy)
    planned_run = PlannedRun(policy, list(_claims(plan, policy, waiting)), most)
    if plan.basis.text is not None:
        # Stands in no file, and so in no lock beside one.
        env["REAPER_POLICY"] = plan.basis.text
    if not planned_run.planned:
        return _nothing(plan, waiting, json_wanted=json_wanted)
    with _log_file(log) as file, interruptible() as interrupted:
        stream = None if file is None else LogStream(file)
        finished, lines = _carry_out(planned_run, env, stream, interrupted)
    result = finished.result
    fault = None if stream is None else stream.fault
    waiting = {**_unapproved(lines), **waiting}
    became = list(outcomes(plan.tasks, result.tasks, waiting, partial=result.partial))
    tell(became, finished, lines, fault, interrupted, json_wanted=json_wanted)
    return _exit(finished, lines, fault, became)


def _nothing(plan: Plan, waiting: Mapping[str, str], *, json_wanted: bool) -> int:
    """Say of a plan, none of whose tasks may be stopped, what that means for each."""
    became = list(outcomes(plan.tasks, (), waiting))
    tell_nothing(became, json_wanted=json_wanted)
    return int(Exit.ATTENTION if any(one.outcome == WAITING for one in became) else Exit.DONE)


def _policy(plan: Plan, settings: Settings, env: Mapping[str, str], max_age: Millis) -> PolicyFile:
    """The policy to judge by, once nothing speaks against the plan."""
    refuse_out_of_date(plan, SYSTEM_CLOCK.now(), max_age)
    refuse_elsewhere(plan, whereabouts(settings))
    refuse_edited(plan)
    if plan.basis.text is not None:
        return load_incident(plan.basis.text, standing_exempt(env).exempt)
    policy = read_policy(settings)
    refuse_changed(plan, policy)
    return policy


def _claims(plan: Plan, policy: PolicyFile, withheld: Collection[str]) -> Iterator[Evaluation]:
    """The tasks that may be stopped; those that the plan spares, or whose policy is *withheld*, are not."""
    by_name = {one.name: one for one in policy.policies}
    for at, task in enumerate(plan.tasks):
        its = by_name.get(task.policy)
        if its is None or not its.stops:
            raise CommandError(
                f"tasks[{at}].policy: {printable(task.policy)} stops nothing in {policy.source}; "
                "make a new plan"
            )
        if not any(target.fits(task.function) for target in its.targets):
            raise CommandError(
                f"tasks[{at}]: {task.function} is no target of {printable(its.name)}; make a new plan"
            )
        if (its.keep is not None) != (task.rule == KEEP):
            rule = "`keep`" if its.keep is not None else "no `keep`"
            raise CommandError(f"tasks[{at}].rule: {printable(its.name)} has {rule}; make a new plan")
        if task.fate != SPARED and its.name not in withheld:
            yield task.claim(its.reason)


def _carry_out(
    planned_run: PlannedRun, env: Mapping[str, str], stream: LogStream | None, interrupted: Event
) -> tuple[RunResult, Lines]:
    answers, lines = Answers(), Lines(*KEPT_LINES)
    with bars(len(planned_run.planned)) as draw:

        def heard(line: Line) -> None:
            lines(line)
            answers.hear(line)
            draw(line)

        def enough() -> bool:
            return interrupted.is_set() or answers.in_vain >= _IN_VAIN

        finished = run_local(
            _COMMAND,
            env,
            stream,
            timeout=_DAY,
            listener=heard,
            shown=_ALL,
            interrupted=enough,
            planned_run=planned_run,
        )
    return (replace(finished, exit=Exit.UNREACHABLE) if answers.in_vain else finished), lines


class Answers:
    """Whether the cloud answers at all: `in_vain` counts the tasks without an answer until the first one."""

    def __init__(self) -> None:
        self.in_vain = 0
        self._answered = False

    def hear(self, line: Line) -> None:
        """Take note of one log line."""
        if not isinstance(line, TaskLine):
            return
        if line.event == "stop_failed" and line.http_status in (None, 401, 403):
            self.in_vain += not self._answered
        elif line.event in ("accepted", "ended", "stop_failed") or line.why in ("spared", "clock"):
            self._answered, self.in_vain = True, 0


def _unapproved(lines: Lines) -> dict[str, str]:
    return {line.policy: f"{line.policy} is not approved: {line.why}" for line in lines.of("not_approved")}


def _exit(finished: RunResult, lines: Lines, fault: str | None, became: Collection[Became]) -> int:
    """What the run says; at least 1 where its trail is not whole, or a task waits for somebody."""
    waits = any(one.outcome == WAITING for one in became)
    attention = fault is not None or waits or bool(lines.of("not_approved"))
    return int(finished.exit or (Exit.ATTENTION if attention else Exit.DONE))


def _length(text: str) -> Millis:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandError(f"--max-age: {error}") from None


@contextmanager
def _log_file(name: str | None) -> Iterator[TextIO | None]:
    """The file to append to; it is opened before anything is done."""
    if name is None:
        yield None
        return
    file = _opened(name)
    try:
        yield file
    finally:
        with suppress(OSError):  # that it is full was noticed before
            file.close()


def _opened(name: str) -> TextIO:
    try:
        return Path(name).open("a", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CommandError(f"--log {name}: {getattr(error, 'strerror', None) or error}") from None
