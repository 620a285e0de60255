"""What speaks for and against arming a policy: a rehearsal of now, and a replay of the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fc_reaper.cli.ending import Ended
from fc_reaper.cli.hints import advice_for
from fc_reaper.cli.interruption import interruptible
from fc_reaper.cli.planning.plan import every_timer
from fc_reaper.cli.planning.planview import KEPT_LINES
from fc_reaper.cli.replaying.backtest import run
from fc_reaper.cli.replaying.history import Given, Loaded, load_history, read_terms
from fc_reaper.cli.running import sweep
from fc_reaper.cli.screen import counted, progress
from fc_reaper.cli.tap import Tap
from fc_reaper.history import PolicyReplay, Replay
from fc_reaper.history.replay import rung_by_timer
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.policy.dump import dump_policy
from fc_reaper.settings import Settings
from fc_reaper.world import Exit, Finished

_ALL = 1_000_000
_TIMEOUT = 600.0
_FEW = 10
"""Tasks of a policy's own functions below which a share says nothing."""

Doubts = tuple[str, ...]


class Evidence(NamedTuple):
    """What was seen: a rehearsal with its log lines, and the history under the policy.

    `loaded` and `replay` are None where no policy is run by a timer, so that there is nothing to replay.
    """

    finished: Finished
    tap: Tap
    loaded: Loaded | None
    replay: Replay | None


def evidence(file: PolicyFile, settings: Settings, env: Mapping[str, str], given: Given) -> Evidence:
    """Rehearse *file* now, as if it were armed, and replay the history under it.

    Raises:
        Ended: there could be no rehearsal, or no history; nobody should arm what nobody could look at.
    """
    # A policy given as text has no lock beside it: what is not armed yet is rehearsed as if it were.
    rehearsing = {**env, "REAPER_MODE": "rehearse", "REAPER_LOG_TASKS": str(_ALL)}
    rehearsing["REAPER_POLICY"] = dump_policy(file)
    tap = Tap(None, keep=KEPT_LINES)
    with progress("Looking at the tasks ..."), interruptible() as interrupted:
        finished = sweep(
            every_timer(file.policies), rehearsing, tap, timeout=_TIMEOUT, shown=_ALL, interrupted=interrupted
        )
    if finished.exit in (Exit.REFUSED, Exit.UNREACHABLE):
        hints = advice_for(tap.said("list_failed"))
        why = "; ".join([*finished.result["errors"], *hints])
        raise Ended(f"nothing is armed that could not be rehearsed: {why}", finished.exit)
    if not any(rung_by_timer(policy) for policy in file.policies):
        return Evidence(finished, tap, None, None)
    loaded = load_history(given, [file], settings, env)
    return Evidence(finished, tap, loaded, run(file, loaded, read_terms(given, settings)))


def doubts_of(policy: Policy, found: Evidence) -> Doubts:
    """Why somebody should think twice before *policy* stops anything, each in a sentence; empty: nothing."""
    return (*_of_now(policy, found), *_of_then(policy, found))


def _of_now(policy: Policy, found: Evidence) -> list[str]:
    result, tap = found.finished.result, found.tap
    doubts = [f"right now it would be halted: {line['why']}" for line in tap.said("halted")
              if line["policy"] == policy.name]  # fmt: skip
    if result["partial"] or tap.said("list_failed"):
        doubts.append("not all of its tasks could be looked at")
    due = result["policies"].get(policy.name, {}).get("due", 0)
    listed = result["counts"]["listed"]
    if listed >= _FEW and due * 2 > listed:
        doubts.append(f"{due} of the {listed} tasks that were looked at are due right now, more than half")
    return doubts


def _of_then(policy: Policy, found: Evidence) -> list[str]:
    if not rung_by_timer(policy):
        return []
    if found.replay is None or found.loaded is None:
        return ["it could not be replayed"]
    (replayed,) = (one for one in found.replay.policies if one.policy.name == policy.name)
    return _of_history(policy, replayed, found.loaded)


def _of_history(policy: Policy, replayed: PolicyReplay, loaded: Loaded) -> list[str]:
    doubts = []
    watched = sum(any(t.fits(task.function) for t in policy.targets) for task in loaded.history.tasks)
    if not watched:
        doubts.append("no task of its functions is in the history, so nobody knows what it would have done")
    wrong = len(replayed.false_stops)
    if wrong:
        doubts.append(
            f"{counted(wrong, 'task')} that it would have stopped succeeded in truth; "
            "fc-reaper backtest --suggest shows the smallest limit without a false stop"
        )
    if replayed.halted_runs:
        doubts.append(f"it would have been halted in {counted(replayed.halted_runs, 'run')} of the history")
    if loaded.refused:
        doubts.append("not all of the history could be read")
    return doubts
