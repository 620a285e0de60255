"""What is looked at before a policy is approved: a dry run of now, and a replay of the history.

Whatever triggers run a policy, it is looked at as if every timer did: they decide when it judges, not how.
Each is looked at by itself: what another policy claims before it today it claims itself once that one is
refused its approves, or deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fc_reaper.backtest.stats import Replay
from fc_reaper.cli.hints import advice_for
from fc_reaper.cli.history import HistoryOptions, Loaded, load_history, replay_file, replay_options
from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import CommandError, interruptible, progress
from fc_reaper.cli.planning.plan import every_timer
from fc_reaper.cli.planning.planview import KEPT_LINES
from fc_reaper.log import Line, Lines, Listener, TaskLine
from fc_reaper.models import UNFINISHED, Exit, Function
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.policy.load import dump_policy
from fc_reaper.run import RunResult
from fc_reaper.settings import Settings

_ALL = 1_000_000
_TIMEOUT = 600.0


class Scanner(NamedTuple):
    """A dry run of one policy with its log lines, and a replay."""

    policy: Policy
    finished: RunResult
    lines: Lines
    replay: Replay


class Census(NamedTuple):
    """How many tasks of each function are unfinished, due or not; `whole` if all could be counted."""

    tasks: Mapping[Function, int]
    whole: bool


class Evidence(NamedTuple):
    """All looks, in the order of the file, and what they looked at.

    There are none, and there is no history, where nobody asks about a policy that could be looked at.
    """

    looks: tuple[Scanner, ...] = ()
    census: Census = Census({}, True)
    loaded: Loaded | None = None

    def of(self, policy: Policy) -> Scanner | None:
        """The look at *policy*; None where it was not looked at."""
        return next((look for look in self.looks if look.policy.name == policy.name), None)


def needs_a_name(policy: Policy) -> bool:
    """Whether nothing but an event that names a task runs *policy*, so that nobody knows who will be due."""
    return policy.triggers == ("task",)


def evidence(
    file: PolicyFile,
    wanted: Sequence[Policy],
    settings: Settings,
    env: Mapping[str, str],
    given: HistoryOptions,
) -> Evidence:
    """Run the policies *wanted* of *file* as if they were approved, and replay the history under them.

    Raises:
        CommandError: there could be no dry run, or no history, without which nobody should approve.
    """
    terms = replay_options(given, settings)
    seen = [one for one in wanted if not needs_a_name(one)]
    if not seen:
        return Evidence()
    files = [_alone(file, one) for one in seen]
    dry_run = [_dry_run_line(one, env) for one in files]
    census = _census(file, seen, env)
    loaded = load_history(given, files, settings, env)
    looks = [
        Scanner(policy, *ran, replay_file(its, loaded, terms))
        for policy, its, ran in zip(seen, files, dry_run, strict=True)
    ]
    return Evidence(tuple(looks), census, loaded)


def _alone(file: PolicyFile, policy: Policy) -> PolicyFile:
    """The file with *policy* alone, as if everything ran it."""
    return file.only(policy.model_copy(update={"triggers": ()}))


def _dry_run_line(file: PolicyFile, env: Mapping[str, str]) -> tuple[RunResult, Lines]:
    lines = Lines(*KEPT_LINES)
    return _swept(file, env, lines, lines), lines


def _census(file: PolicyFile, policies: Sequence[Policy], env: Mapping[str, str]) -> Census:
    """Count what is unfinished; a dry run by itself lists no more than what could be due."""
    targets = tuple(dict.fromkeys(target for policy in policies for target in policy.targets))
    all_of_it = Policy.model_validate(
        {
            "name": "census",
            "targets": targets,
            "match": {"status": UNFINISHED},
            "report": "How many are there?",
        }
    )
    tasks: Counter[Function] = Counter()

    failed = Lines("list_failed")

    def listener(line: Line) -> None:
        failed(line)
        if isinstance(line, TaskLine) and line.event in ("reported", "unknown"):
            tasks[Function(line.service, line.function, line.qualifier)] += 1

    finished = _swept(file.model_copy(update={"exempt": ()}).only(all_of_it), env, listener, failed)
    return Census(tasks, not finished.result.partial and not failed)


def _swept(file: PolicyFile, env: Mapping[str, str], listener: Listener, failed: Lines) -> RunResult:
    # A policy given as text has no lock beside it: what is not approved yet is run dry as if it were.
    dry_run_env = {**env, "REAPER_MODE": "dry-run", "REAPER_LOG_TASKS": str(_ALL)}
    dry_run_env["REAPER_POLICY"] = dump_policy(file)
    rings = every_timer(file.policies)
    with progress("Looking at the tasks ..."), interruptible() as interrupted:
        finished = run_local(
            rings,
            dry_run_env,
            timeout=_TIMEOUT,
            listener=listener,
            shown=_ALL,
            interrupted=interrupted.is_set,
        )
        if interrupted.is_set():
            raise KeyboardInterrupt
    if finished.exit in (Exit.REFUSED, Exit.UNREACHABLE):
        why = "; ".join([*finished.result.errors, *advice_for(failed.of("list_failed"))])
        raise CommandError(f"nothing is approved that could not be rehearsed: {why}", finished.exit)
    return finished
