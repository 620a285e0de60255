"""One run from event bytes to result. It always ends with one `run_finished` line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from fc_reaper.dependencies import Dependencies, Exit, RunResult
from fc_reaper.errors import PolicyError, SettingsError
from fc_reaper.evaluator.verdict import Evaluation
from fc_reaper.events import OwnAccount, Trigger, parse_event
from fc_reaper.log import JsonLines
from fc_reaper.models import Millis
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy, read_unapproved
from fc_reaper.settings import (
    Context,
    Credentials,
    Settings,
    read_context,
    read_credentials,
    read_settings,
    refuse_foreign_targets,
    refuse_no_time,
    refuse_unknown_self,
)
from fc_reaper.summary import Summary, fault
from fc_reaper.sweep.options import SweepOptions
from fc_reaper.sweep.stopper import TRUSTED_SKEW, DryRunStop, SendStop
from fc_reaper.sweep.sweep import Sweep


@dataclass(frozen=True)
class PlannedRun:
    """What a plan is carried out by: its policy, and the tasks that may be stopped; no others are.

    `most` bounds the stops of all policies together; None: their budgets alone do.
    """

    policy: PolicyFile
    planned: Sequence[Evaluation]
    most: int | None = None


@dataclass
class _Run:
    """A run under way."""

    world: Dependencies
    trigger: Trigger
    log: JsonLines
    began: float
    summary: Summary = field(default_factory=Summary)
    noted: bool = False


def run(event: bytes, given: Any, world: Dependencies, errand: PlannedRun | None = None) -> RunResult:
    """Understand *event*, sweep what it asks for, and tell. Never raises for anything an event holds.

    *given* is the platform's context, in any of its shapes, or None. With an *errand* the event only wakes.
    """
    strange: SettingsError | None = None
    try:
        context = read_context(given)
    except SettingsError as error:
        context, strange = Context(), error
    run = _begin(event, context, world)
    try:
        if strange is not None:
            raise strange
        settings = read_settings(world.env, context)
        _bind(run, settings)
        refuse_no_time(settings)
        policy = read_policy(settings) if errand is None else errand.policy
        refuse_foreign_targets(settings, policy)
        refuse_unknown_self(settings, policy)
        unapproved = read_unapproved(settings, policy)
        credentials = read_credentials(world.env, context)
        _started(run, policy)
        for name, why in unapproved.items():
            run.log("not_approved", policy=name, why=why)
        policy = policy.report_only(unapproved)
        if run.trigger.requests:
            _sweep(run, settings, policy, credentials, errand)
        elif run.trigger.refused:
            run.summary.exit = Exit.REFUSED
    except (SettingsError, PolicyError) as error:
        _note(run)
        run.summary.errors += str(error).splitlines()
        run.summary.exit = Exit.REFUSED
    except Exception as error:
        run.summary.errors.append(fault(error))
        run.summary.exit = Exit.ATTENTION
    return _finish(run)


def _begin(event: bytes, context: Context, world: Dependencies) -> _Run:
    began = world.clock.monotonic()
    trigger = parse_event(event, own_account(world.env, context))
    log = JsonLines(
        world.stream,
        world.clock,
        run_id=str(UUID(int=world.random.getrandbits(128), version=4)),
        request_id=context.request_id or "",
        mode="dry-run",
        trigger=trigger.kind,
    )
    return _Run(world, trigger, log, began)


def own_account(env: Mapping[str, str], context: Context) -> OwnAccount:
    """The region and account of the reaper; alerts about others are ignored."""
    region = env.get("FC_REGION") or context.region or None
    account = env.get("FC_ACCOUNT_ID") or context.account_id or None
    return OwnAccount(region=region, account=account)


def _bind(run: _Run, settings: Settings) -> None:
    mode = "dry-run" if run.trigger.dry_run else settings.mode
    bound = {**run.log.bound, "mode": mode}
    run.log = JsonLines(run.world.stream, run.world.clock, verbose=settings.verbose, **bound)


def _started(run: _Run, policy: PolicyFile) -> None:
    requests = [
        {"kind": one.kind, "name": one.name, "part": one.part, **one.selector._asdict()}
        for one in run.trigger.requests
    ]
    run.log(
        "run_started",
        targets=sorted({str(target) for one in policy.policies for target in one.targets}),
        policies=[one.name for one in policy.policies],
        requests=requests,
        dry_run_asked=run.trigger.dry_run,
    )
    _note(run)


def _note(run: _Run) -> None:
    """Tell, once, what was made of the parts of the event that ask for nothing."""
    for note in () if run.noted else run.trigger.notes:
        run.log(note.event, why=note.why, part=note.part)
    run.noted = True


def _sweep(
    run: _Run, settings: Settings, policy: PolicyFile, credentials: Credentials, errand: PlannedRun | None
) -> None:
    world, summary, run_id = run.world, run.summary, str(run.log.bound["run_id"])
    cloud = world.connect(settings, credentials, run_id, summary.called)
    hands = SendStop(cloud) if run.log.bound["mode"] == "enforce" else DryRunStop()
    sweep = Sweep(
        cloud,
        hands,
        policy,
        _terms(run, settings),
        run.log,
        clock=world.clock,
        random=world.random,
        interrupted=world.interrupted,
    )
    summary.follow(sweep)
    if errand is None:
        sweep.run(run.trigger.requests)
    else:
        approved = {one.name for one in policy.policies if one.stops}
        planned = [claim for claim in errand.planned if claim.verdict.policy in approved]
        sweep.carry_out(planned, errand.most)
    summary.conclude(sweep)
    if cloud.skew_ms > TRUSTED_SKEW:
        # Ages are too young by then, so a quiet run would look like one in which nothing is due.
        seconds = cloud.skew_ms // 1000
        summary.errors.append(
            f"our clock and the cloud's differ by {seconds}s; beyond 30s nothing is stopped"
        )
        summary.exit = summary.exit or Exit.ATTENTION


def _terms(run: _Run, settings: Settings) -> SweepOptions:
    return SweepOptions(
        end=run.began + settings.time_left,
        # More hands than calls a second would book all turns for reading, and leave none for a stop.
        concurrency=min(settings.concurrency, max(1, int(settings.rate[0] / settings.rate[1]))),
        may_refuse=frozenset(("Dequeued",) if settings.api_version == "2021-04-06" else ()),
        stuck_after=settings.stuck_after,
        started_time=settings.started_time,
        ourselves=settings.ourselves,
        log_tasks=settings.log_tasks,
        shown=run.world.shown,
        tick=settings.interval,
        verbose=settings.verbose,
    )


def _finish(run: _Run) -> RunResult:
    fields = run.summary.fields(run.trigger, _since(run))
    result = {**run.log("run_finished", **fields), "tasks": run.summary.tasks}
    return RunResult(result, run.summary.exit, run.summary.curable, run.trigger)


def _since(run: _Run) -> Millis:
    return round((run.world.clock.monotonic() - run.began) * 1000)
