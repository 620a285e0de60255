"""One run, from the bytes of an event to its result. It always ends with one `run_finished` line."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO
from uuid import UUID

from fc_reaper import settings as config
from fc_reaper.clock import Clock, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.errors import PolicyError, ReaperError, SettingsError
from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.events import OwnAccount, Request, Trigger, parse_event
from fc_reaper.log import JsonLog, Listener
from fc_reaper.models import Credentials, Exit
from fc_reaper.policy import PolicyFile
from fc_reaper.settings import Context, Settings
from fc_reaper.sweep import TRUSTED_SKEW, Foresee, SweepContext
from fc_reaper.sweep.report import Report
from fc_reaper.sweep.sweep import Sweep

if TYPE_CHECKING:
    from fc_reaper.log_lines import Result

Connect = Callable[[Settings, Credentials, str], AsyncTaskClient]  # of settings, keys, and the run's id


class Dependencies(NamedTuple):
    """Everything outside that a run touches; *shown* bounds the tasks in the result."""

    env: Mapping[str, str]
    stream: TextIO | None
    clock: Clock
    random: Random
    connect: Connect
    interrupted: Callable[[], bool] = Event().is_set
    shown: int = 100
    listener: Listener | None = None
    foresee: Foresee | None = None


class PlannedRun(NamedTuple):
    """What a plan is carried out by: its policy, and the tasks that alone may be stopped, `most` in all."""

    policy: PolicyFile
    planned: Sequence[Evaluation]
    most: int | None = None


class RunResult(NamedTuple):
    """A run that is over: its result by fields, how it ended, and whether trying again may cure it."""

    fields: dict[str, Any]
    exit: Exit
    curable: bool
    trigger: Trigger

    @property
    def result(self) -> "Result":
        """The result as a model."""
        from fc_reaper.log_lines import Result  # Not imported by the deployed function.

        return Result.model_validate(self.fields)


def run(
    event: Any,
    platform_context: Any,
    dependencies: Dependencies,
    planned_run: PlannedRun | None = None,
    *,
    approved: PolicyFile | None = None,
) -> RunResult:
    """Do what *event* asks for, and log it. Never raises for anything an event holds.

    *platform_context* comes in any of its shapes, or is None. With a *planned_run* the event only
    starts the run. *approved* takes the place of the policy that the settings name, as if its lock did.
    """
    clock, random, foresee = dependencies.clock, dependencies.random, dependencies.foresee
    began = clock.monotonic()
    refused, context = None, Context()
    settings = config.read_settings({}, context)  # the defaults, by which a refusal is logged
    try:
        context = config.read_context(platform_context)
        settings = config.read_settings(dependencies.env, context)
    except SettingsError as error:
        refused = error
    trigger = parse_event(event, OwnAccount(settings.region, settings.account_id))
    enforces = settings.mode == "enforce" and trigger.dry_run_asked_at is None
    log = JsonLog(
        dependencies.stream,
        clock,
        verbose=settings.verbose,
        most=settings.log_tasks,
        listener=dependencies.listener,
        run_id=str(UUID(int=random.getrandbits(128), version=4)),
        request_id=context.request_id or "",
        mode="enforce" if enforces else "dry-run",
        trigger=trigger.kind,
    )
    report = Report(log, settings, shown=dependencies.shown)
    try:
        try:
            if refused is not None:
                raise refused
            policy = approved or (planned_run.policy if planned_run else config.read_policy(settings))
            unapproved = {} if approved else config.read_unapproved(settings, policy)
            credentials = config.read_credentials(dependencies.env, context)
            _start(trigger, policy, settings, log)
        finally:
            for note in trigger.notes:
                report.note(*note)
        for name, why in unapproved.items():
            log("not_approved", policy=name, why=why)
        policy = policy.report_only(unapproved) if unapproved else policy
        if trigger.requests:
            cloud = dependencies.connect(settings, credentials, log.bound["run_id"])
            end = began + settings.timeout - settings.margin / 1000
            # The last calls may hang beyond the end: half of the margin is kept for what follows.
            pool = Pool(settings.concurrency, clock, dependencies.interrupted, min(1, settings.margin / 2000))
            sweep = SweepContext(cloud, pool, report, policy, settings, clock, random, enforces, end, foresee)
            _sweep(sweep, trigger.requests, planned_run)
        else:
            report.exit = Exit.REFUSED if trigger.refused else Exit.DONE
    except (SettingsError, PolicyError) as error:
        report.errors += str(error).splitlines()
        report.exit = Exit.REFUSED
    except Exception as error:
        report.errors.append(_fault(error))
        report.exit = Exit.ATTENTION
    fields = report.finish(round((clock.monotonic() - began) * 1000))
    return RunResult(fields, report.exit, report.curable, trigger)


def _start(trigger: Trigger, policy: PolicyFile, settings: Settings, log: JsonLog) -> None:
    """Log that the run starts, unless these settings refuse it."""
    if settings.timeout <= settings.margin / 1000:
        margin = f"REAPER_MARGIN ({settings.margin / 1000:g}s)"
        what = f"the function's timeout of {settings.timeout:g}s leaves nothing beside {margin}"
        raise SettingsError(f"{what}; raise the timeout in s.yaml, 120 is a good value")
    config.refuse_targets(settings, policy, enforce=settings.mode == "enforce")
    shard = ", ".join(sorted({one.selector.shard for one in trigger.requests if one.selector.shard}))
    log(
        "run_started",
        targets=sorted({str(target) for one in policy.policies for target in one.targets}),
        policies=[one.name for one in policy.policies],
        requests=[
            {"kind": one.kind, "name": one.name, "part": one.part, **one.selector._asdict()}
            for one in trigger.requests
        ],
        **({"shard": shard} if shard else {}),
        dry_run_asked_at=trigger.dry_run_asked_at,
        **({} if settings.facts is None else {"platform": settings.facts}),
        warns=settings.mode != log.bound["mode"],
    )


def _sweep(context: SweepContext, requests: Sequence[Request], planned_run: PlannedRun | None) -> None:
    """Sweep for *requests*, or carry out *planned_run*, and settle how the run ends."""
    cloud, report = context.cloud, context.report
    report.calls = cloud.calls
    if planned_run is None:
        Sweep(context).run(requests)
    else:
        Sweep(context).carry_out(planned_run.planned, planned_run.most)
    report.concluded()
    if cloud.skew_ms > TRUSTED_SKEW:
        # Ages are too young by then, so a quiet run would look like one in which nothing is due.
        apart = f"our clock and the cloud's differ by {cloud.skew_ms // 1000}s"
        report.errors.append(f"{apart}; beyond {TRUSTED_SKEW // 1000}s nothing is stopped")
        report.exit = report.exit or Exit.ATTENTION


def _fault(error: Exception) -> str:
    """A fault of ours in one line: what, and where it was raised."""
    if isinstance(error, ReaperError):
        return " ".join(str(error).split())
    import traceback  # Only a run with a fault needs it.

    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return f"a fault in fc-reaper itself: {type(error).__name__} at {place}; please report it"
