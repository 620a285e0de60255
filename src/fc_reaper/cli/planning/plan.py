"""`fc-reaper plan`: what would be stopped right now, and why; for people, or as a plan for `apply`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from shlex import join
from typing import NamedTuple

from fc_reaper.cli.hints import advice_for
from fc_reaper.cli.invoke import read_event, run_local
from fc_reaper.cli.output import (
    CommandError,
    check_writable,
    counted,
    interruptible,
    print_error,
    print_line,
    progress,
    write_file,
)
from fc_reaper.cli.planning.incident import Incident, incident_policy, refuse_half, standing_exempt
from fc_reaper.cli.planning.plancheck import basis_of, basis_of_incident, whereabouts
from fc_reaper.cli.planning.planfile import (
    WOULD_STOP,
    Basis,
    Plan,
    Whereabouts,
    dump_plan,
    planned_tasks,
)
from fc_reaper.cli.planning.planview import KEPT_LINES, not_listed, show_plan
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.log import Lines
from fc_reaper.models import Exit, Millis
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.policy_files import read_policy
from fc_reaper.run import RunResult
from fc_reaper.settings import Context, Settings, read_settings, refuse_unknown_self

_ALL = 1_000_000
_TIMEOUT = 600.0
_STDOUT = "-"


class Wanted(NamedTuple):
    """How the plan is told: as tables, as `json`, or written to the file `out` (`-`: standard output).

    `options` are those that `apply` needs as well, to find the same policy and the same cloud.
    """

    json: bool = False
    out: str | None = None
    force: bool = False
    options: tuple[str, ...] = ()

    @property
    def file(self) -> str | None:
        """The file to write, None where there is none."""
        return None if self.out == _STDOUT else self.out


def plan(event: str | None, env: Mapping[str, str], wanted: Wanted, incident: Incident | None = None) -> int:
    """Run dry and show every due task; without *event*, a run woken by every timer there is.

    With an *incident* its policy is dry_run, and no other.
    """
    _refuse_contradictions(wanted)
    exempt_from = None
    if incident is not None:
        refuse_half(incident, event)
        standing = standing_exempt(env)
        exempt_from = standing.source
        for exemption in standing.only_locked:
            print_error(f"policy.lock spares {exemption}, the policy does not any more; it is spared here")
        env = {**env, "REAPER_POLICY": incident_policy(incident, standing.exempt)}
    dry_run_env = {**env, "REAPER_MODE": "dry-run", "REAPER_LOG_TASKS": str(_ALL)}
    settings = read_settings(dry_run_env, Context())
    file = read_policy(settings)
    where = Whereabouts(None, None, None) if wanted.out is None else whereabouts(settings)
    basis = basis_of(file) if incident is None else _basis_of_incident(settings, file, exempt_from)
    raw = every_timer(file.policies) if event is None else read_event(event)
    began, lines = SYSTEM_CLOCK.now(), Lines(*KEPT_LINES)
    with progress("Looking at the tasks ..."), interruptible() as interrupted:
        finished = run_local(
            raw, dry_run_env, timeout=_TIMEOUT, listener=lines, shown=_ALL, interrupted=interrupted.is_set
        )
        if interrupted.is_set() and wanted.out is not None:
            raise KeyboardInterrupt
    _tell(wanted, finished, lines, _asleep(file.policies, finished))
    if wanted.out is not None and _looked(finished):
        _write(wanted, _plan(began, where, basis, finished, lines))
    _tell_trouble(finished, lines)
    return int(finished.exit)


def _basis_of_incident(settings: Settings, file: PolicyFile, exempt_from: str | None) -> Basis:
    """What the plan of an incident rests on; what would keep it from being carried out is said now.

    Raises:
        SettingsError: nobody could enforce it.
    """
    refuse_unknown_self(settings.model_copy(update={"mode": "enforce"}), file)
    if exempt_from is None and not file.exempt:
        print_error("no policy file, so nothing is exempt")
    return basis_of_incident(file, settings.policy, exempt_from)


def every_timer(policies: Sequence[Policy]) -> bytes:
    """An event in which each timer that *policies* name rings, and one that they do not name.

    That one only where it runs something, or where no timer is named at all.
    """
    named = {one.partition(":")[2] for policy in policies for one in policy.triggers if ":" in one}
    unnamed = [""] if not named or any(policy.fits_trigger("timer") for policy in policies) else []
    rings = [{"triggerTime": "", "triggerName": name, "payload": ""} for name in [*unnamed, *sorted(named)]]
    return json.dumps(rings).encode()


def _refuse_contradictions(wanted: Wanted) -> None:
    if wanted.force and wanted.file is None:
        raise CommandError("--force makes sense with --out FILE only; leave it out")
    if wanted.out == "":
        raise CommandError("--out is empty; give it a file, or - for standard output")
    if wanted.out == _STDOUT and wanted.json:
        raise CommandError("--json and --out - both print to standard output; leave one of them out")
    if wanted.file is not None:
        check_writable(wanted.file, force=wanted.force)


def _asleep(policies: Iterable[Policy], finished: RunResult) -> list[Policy]:
    """The policies that the event does not run, whatever it narrows."""
    asks = finished.trigger.requests
    return [one for one in policies if not any(one.fits_trigger(ask.kind, ask.name) for ask in asks)]


def _looked(finished: RunResult) -> bool:
    return finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE)


def _tell(wanted: Wanted, finished: RunResult, lines: Lines, asleep: Iterable[Policy]) -> None:
    if wanted.json:
        print_line(json.dumps(finished.result.fields()))
    elif wanted.out != _STDOUT and _looked(finished):
        show_plan(finished, lines, asleep)


def _plan(began: Millis, where: Whereabouts, basis: Basis, finished: RunResult, lines: Lines) -> Plan:
    result = finished.result
    complete = not result.partial and not lines.of("list_failed")
    basis = basis._replace(halted=tuple(line.policy for line in lines.of("halted")))
    return Plan(began, where, basis, complete, result.counts.fields(), tuple(planned_tasks(result.tasks)))


def _write(wanted: Wanted, made: Plan) -> None:
    text = dump_plan(made)
    if wanted.file is None:
        print_line(text.removesuffix("\n"))
        return
    write_file(wanted.file, text, force=wanted.force)
    if wanted.json:
        return
    now = sum(task.fate == WOULD_STOP for task in made.tasks)
    print_line(
        f"Written to {wanted.file}: {counted(len(made.tasks), 'task')}, {now} to be stopped at the first go."
    )
    for name in made.basis.halted:
        print_line(f"{name} is halted, so apply will stop none of its tasks.")
    if not made.complete:
        print_line("It is not complete: not everything could be looked at.")
    again = ["fc-reaper", "apply", wanted.file, *wanted.options, "--enforce"]
    print_line(f"Review it, then within an hour: {join(again)}")


def _tell_trouble(finished: RunResult, lines: Lines) -> None:
    """What could not be looked at, or why there was no look at all, and what to check."""
    failures = lines.of("list_failed")
    print_error(*not_listed(failures))
    if not failures:
        print_error(*finished.result.errors)
    print_error(*advice_for(failures))
