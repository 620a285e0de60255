"""One run from event bytes to result. It always ends with one `run_finished` line."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fc_reaper.errors import PolicyError, ReaperError, SettingsError
from fc_reaper.judge.verdict import Claim
from fc_reaper.logs import JsonLines
from fc_reaper.model import Millis
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy, read_unarmed
from fc_reaper.settings import (
    Credentials,
    Settings,
    read_credentials,
    read_settings,
    refuse_foreign_targets,
    refuse_no_time,
    refuse_unknown_self,
)
from fc_reaper.sweep.hands import TRUSTED_SKEW, FreeHands, TiedHands
from fc_reaper.sweep.ledger import Ledger
from fc_reaper.sweep.sweep import Sweep
from fc_reaper.sweep.terms import Terms
from fc_reaper.trigger import Home, Trigger, read_trigger
from fc_reaper.world import Exit, Finished, World

if TYPE_CHECKING:
    from fc_reaper.context import Context

_MOST_ERRORS = 20


@dataclass(frozen=True)
class Errand:
    """What a plan is carried out by: its policy, and the tasks that may be stopped; no others are.

    `most` bounds the stops of all policies together; None: their budgets alone do.
    """

    policy: PolicyFile
    planned: Sequence[Claim]
    most: int | None = None


@dataclass
class _Run:
    """A run under way."""

    world: World
    trigger: Trigger
    log: JsonLines
    began: float
    ledger: Ledger = field(default_factory=Ledger)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    exit: Exit = Exit.DONE
    refusals: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    unresolved: bool = False
    noted: bool = False

    def called(self, operation: str) -> None:
        self.calls[operation] = self.calls.get(operation, 0) + 1


def run(event: bytes, given: Any, world: World, errand: Errand | None = None) -> Finished:
    """Understand *event*, sweep what it asks for, and tell. Never raises for anything an event holds.

    *given* is the platform's context, in any of its shapes, or None. With an *errand* the event only wakes.
    """
    # With pydantic, whose import is a good part of a cold start: not before there is something to read.
    from fc_reaper.context import Context, read_context

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
        unarmed = read_unarmed(settings, policy)
        credentials = read_credentials(world.env, context)
        _started(run, policy)
        for name, why in unarmed.items():
            run.log("not_armed", policy=name, why=why)
        policy = policy.only_reporting(unarmed)
        if run.trigger.asks:
            _sweep(run, settings, policy, credentials, errand)
        elif run.trigger.refused:
            run.exit = Exit.REFUSED
    except (SettingsError, PolicyError) as error:
        _note(run)
        run.errors += str(error).splitlines()
        run.exit = Exit.REFUSED
    except Exception as error:
        run.errors.append(_fault(error))
        run.exit = Exit.ATTENTION
    return _finish(run)


def _begin(event: bytes, context: Context, world: World) -> _Run:
    began = world.clock.monotonic()
    trigger = read_trigger(event, home=home(world.env, context))
    log = JsonLines(
        world.stream,
        world.clock,
        run_id=str(UUID(int=world.random.getrandbits(128), version=4)),
        request_id=context.request_id or "",
        mode="rehearse",
        trigger=trigger.kind,
    )
    return _Run(world, trigger, log, began)


def home(env: Mapping[str, str], context: Context) -> Home:
    """The region and account this reaper belongs to; an alert about others is not ours."""
    region = env.get("FC_REGION") or context.region or None
    account = env.get("FC_ACCOUNT_ID") or context.account_id or None
    return Home(region=region, account=account)


def _bind(run: _Run, settings: Settings) -> None:
    mode = "rehearse" if run.trigger.rehearse else settings.mode
    bound = {**run.log.bound, "mode": mode}
    run.log = JsonLines(run.world.stream, run.world.clock, verbose=settings.verbose, **bound)


def _started(run: _Run, policy: PolicyFile) -> None:
    asks = [
        {"kind": ask.kind, "name": ask.name, "part": ask.part, **ask.narrowing._asdict()}
        for ask in run.trigger.asks
    ]
    run.log(
        "run_started",
        targets=sorted({str(target) for one in policy.policies for target in one.targets}),
        policies=[one.name for one in policy.policies],
        asks=asks,
        asked_to_rehearse=run.trigger.rehearse,
    )
    _note(run)


def _note(run: _Run) -> None:
    """Tell, once, what was made of the parts of the event that ask for nothing."""
    for note in () if run.noted else run.trigger.notes:
        run.log(note.event, why=note.why, part=note.part)
    run.noted = True


def _sweep(
    run: _Run, settings: Settings, policy: PolicyFile, credentials: Credentials, errand: Errand | None
) -> None:
    world, run_id = run.world, str(run.log.bound["run_id"])
    cloud = world.connect(settings, credentials, run_id, run.called)
    hands = FreeHands(cloud) if run.log.bound["mode"] == "enforce" else TiedHands()
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
    run.ledger, run.tasks = sweep.ledger, sweep.tasks
    if errand is None:
        sweep.run(run.trigger.asks)
    else:
        armed = {one.name for one in policy.policies if one.stops}
        planned = [claim for claim in errand.planned if claim.verdict.policy in armed]
        sweep.carry_out(planned, errand.most)
    run.errors += run.ledger.troubles
    run.refusals = sweep.finder.refusals
    run.unresolved = sweep.finder.unresolved > 0
    run.unmatched = sweep.finder.unmatched
    run.exit = _exit(sweep)
    if cloud.skew_ms > TRUSTED_SKEW:
        # Ages are too young by then, so a quiet run would look like one in which nothing is due.
        seconds = cloud.skew_ms // 1000
        run.errors.append(f"our clock and the cloud's differ by {seconds}s; beyond 30s nothing is stopped")
        run.exit = run.exit or Exit.ATTENTION


def _terms(run: _Run, settings: Settings) -> Terms:
    return Terms(
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


def _exit(sweep: Sweep) -> Exit:
    ledger = sweep.ledger
    if ledger.unreachable:
        return Exit.UNREACHABLE
    if sweep.finder.refused_whole:
        return Exit.REFUSED
    return Exit.ATTENTION if ledger.needs_attention else Exit.DONE


def _finish(run: _Run) -> Finished:
    if run.exit is Exit.REFUSED and not run.errors:
        refused = [note.why for note in run.trigger.notes if note.event == "trigger_refused"]
        run.errors += [f"the event was refused: {why}" for why in (*refused, *run.refusals)]
    summary: dict[str, Any] = {
        "counts": run.ledger.counts(),
        "policies": run.ledger.by_policy(),
        "calls": dict(sorted(run.calls.items())),
        "duration_ms": _since(run),
        "partial": run.ledger.partial,
        "unmatched": run.unmatched,
        "errors": _few(list(dict.fromkeys(run.errors))),
    }
    result = {**run.log("run_finished", **summary), "tasks": run.tasks}
    in_vain = run.exit is Exit.UNREACHABLE or run.unresolved
    touched = any(run.ledger.outcomes[name] for name in ("accepted", "confirmed"))
    failures = run.ledger.failures
    curable = in_vain and not touched and bool(failures) and all(error.retryable for error in failures)
    return Finished(result, run.exit, curable, run.trigger)


def _few(errors: list[str]) -> list[str]:
    more = len(errors) - _MOST_ERRORS
    return errors if more <= 0 else [*errors[:_MOST_ERRORS], f"and {more} more"]


def _since(run: _Run) -> Millis:
    return round((run.world.clock.monotonic() - run.began) * 1000)


def _fault(error: Exception) -> str:
    """A fault of ours in one line: what, and where it was raised."""
    if isinstance(error, ReaperError):
        return " ".join(str(error).split())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return f"a fault in fc-reaper itself: {type(error).__name__} at {place}; please report it"
