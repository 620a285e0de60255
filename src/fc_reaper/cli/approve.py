"""`fc-reaper approve`: show what the policies would do, ask, and write policy.lock."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, NamedTuple, TextIO

from rich.text import Text
from typer import Option

from fc_reaper.backtest.history import outcome_of
from fc_reaper.backtest.source import Listing
from fc_reaper.backtest.stats import Replay
from fc_reaper.cli import output
from fc_reaper.cli.app import Api, AsJson, Endpoint, PolicyFile, environment
from fc_reaper.cli.backtest import overview, summary
from fc_reaper.cli.history import Past, load_past, with_history_options
from fc_reaper.cli.output import CommandError, counted
from fc_reaper.cli.plan import DRY_RUN, dry_run, every_timer, not_listed, plan_tables, runners
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import PolicyError
from fc_reaper.log_lines import Lines, PolicyCounts
from fc_reaper.models import UNFINISHED, Exit, Function, iso
from fc_reaper.policy import Policy
from fc_reaper.policy import PolicyFile as File
from fc_reaper.policy.lock import Lock, dump_lock, exemptions, lock_of, unapproved
from fc_reaper.run import RunResult
from fc_reaper.settings import Context, Settings, read_credentials, read_lock, read_policy, read_settings

_FEW, _ENOUGH = 4, 10
"""From so many tasks on a share says something, from so many that ended by themselves on a history does."""


class Evidence(NamedTuple):
    """What one policy would do now and would have done, alone and as if every timer ran it.

    `unfinished` has the function of each task that is alive now.
    """

    policy: Policy
    now: RunResult
    lines: Lines
    replayed: Replay
    past: Past
    unfinished: list[Function]
    complete: bool


@with_history_options("history", "read", "interval")
def approve(
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    only: Annotated[
        list[str] | None, Option("--only", metavar="NAME", help="Only this policy; may be repeated.")
    ] = None,
    yes: Annotated[bool, Option("--yes", help="Approve, unasked, what has no objections.")] = False,
    despite_objections: Annotated[
        bool, Option("--despite-objections", help="With --yes: approve the others as well.")
    ] = False,
    as_json: AsJson = False,
    **history: Any,
) -> int:
    """Show plan and backtest, ask, and write policy.lock.

    Beside a policy.lock only the policies in it stop tasks; all others report. This command stops nothing. A
    policy with objections is approved only by typing its name.

    \b
    Example:
      fc-reaper approve --policy policy.yaml
    """
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version)
    settings = read_settings(env, Context())
    if "\n" in settings.policy:
        raise CommandError("the policy is text in REAPER_POLICY, and no lock can lie beside it; name a file")
    if as_json and not yes:
        raise CommandError("--json leaves no room for questions; add --yes, or leave it out")
    file, before = read_policy(settings), _read_lock(settings)
    stops = {policy.name: policy for policy in file.policies if policy.stops}
    if not stops:
        raise CommandError(f"{file.source} stops nothing: it has only `report`, which needs no approval")
    for name in only or ():
        if name not in stops:
            raise CommandError(f"{name} is no stop policy of {file.source}; there is: {', '.join(stops)}")
    changed = unapproved(file, before)
    candidates = [one for name, one in stops.items() if name in (only or changed)]
    lock_file = str(PurePath(settings.policy).with_name("policy.lock"))
    output.check_writable(str(settings.folder / lock_file), force=True)
    shown = candidates or list(stops.values())
    evidence = _collect(file, shown, settings, env, history)
    gone = [
        f"the exemption {one} is gone since the lock was written; put it back, or be sure"
        for one in before.exempt
        if one not in exemptions(file)
    ]
    objections = {one.name: [*gone, *_objections(evidence.get(one.name))] for one in candidates}
    if not as_json:
        _show_evidence(list(evidence.values()), shown)
    without = [name for name, why in objections.items() if despite_objections or not why]
    chosen = without if yes else list(_ask(objections))
    after = _lock_after(file, before, stops.keys() - changed.keys(), chosen)
    # Approving nothing leaves everything as it is, a missing lock included.
    written = bool(chosen or not candidates) and after != before
    if written:
        # It belongs in the repository, as the policy does.
        output.write_file(str(settings.folder / lock_file), dump_lock(after), force=True, private=False)
    kept = {one.name for one in after.policies}
    dropped = [one.name for one in before.policies if written and one.name not in kept]
    left = [name for name in objections if name not in chosen]
    if as_json:
        policies = [
            {"name": name, "approved": name in chosen, "objections": why} for name, why in objections.items()
        ]
        output.print_json({"lock": lock_file, "written": written, "policies": policies, "dropped": dropped})
    else:
        new = counted(len(chosen), "policy", "policies")
        done = f"written, {new} approved by you. Review it, and deploy it with the policy."
        output.show(f"{lock_file}: {done if written else 'nothing changed.'}")
        for name in dropped:
            output.show(f"{name} has left {lock_file}: it, or an exemption, was changed or removed since.")
        _show_left({name: objections[name] for name in left}, objections, yes=yes)
    return Exit.ATTENTION if left else Exit.DONE


def _show_left(left: Mapping[str, Sequence[str]], asked: Collection[str], *, yes: bool) -> None:
    """Show which of the policies that were *asked* about are *left*, and why if nobody was asked."""
    if not asked:
        output.show("Every stop policy is approved as it is.")
    if left and not yes:
        output.show(f"Not approved by you: {', '.join(left)}.")
    elif left:
        for name, why in left.items():
            _show_objections(name, why, sys.stderr)
        output.print_error(f"not approved: {', '.join(left)}; change the policy, or add --despite-objections")


def _read_lock(settings: Settings) -> Lock:
    """The lock as it is; one that approves nothing where there is none that can be used."""
    lock = None
    try:
        lock = read_lock(settings)
    except PolicyError as error:
        output.print_error(f"the lock cannot be used, and is written anew: {error.issues[0].text}")
    return lock or Lock(version=1, exempt=(), policies=())


def _lock_after(file: File, before: Lock, still: Collection[str], chosen: Sequence[str]) -> Lock:
    """The *chosen* policies as approved today, and those that are *still* approved as they were.

    Others leave the lock: else a change of the exemptions could approve them again unseen.
    """
    today = iso(SYSTEM_CLOCK.now())[:10]
    lock = lock_of(file, today, only={*still, *chosen})
    old = {one.name: one for one in before.policies if one.name in still}
    return lock.model_copy(update={"policies": tuple(old.get(one.name, one) for one in lock.policies)})


# The evidence.


def _collect(
    file: File,
    policies: Sequence[Policy],
    settings: Settings,
    env: Mapping[str, str],
    history: Mapping[str, Any],
) -> dict[str, Evidence]:
    """Run each policy dry, and replay the history under it, by its name, but for those `only_named`."""
    alone = {
        one.name: file.only(one.model_copy(update={"triggers": ()})) for one in policies if not one.only_named
    }
    if not alone:
        return {}
    now = {name: _dry_run(one, env) for name, one in alone.items()}
    targets = list(dict.fromkeys(target for one in alone.values() for target in one.policies[0].targets))
    with output.progress("Counting the tasks"), output.interruptible() as interrupted:
        listing = Listing(targets, statuses=[UNFINISHED])
        listing.run(settings, read_credentials(env, Context()), interrupted.is_set)
        if interrupted.is_set():
            raise KeyboardInterrupt
    unfinished = [function for function, _ in {(task.function, task.invocation_id) for task in listing.tasks}]
    past = load_past(list(alone.values()), settings, env, **history)
    return {
        name: Evidence(one.policies[0], *now[name], past.replay(one), past, unfinished, not listing.refused)
        for name, one in alone.items()
    }


def _dry_run(file: File, env: Mapping[str, str]) -> tuple[RunResult, Lines]:
    finished, lines, interrupted = dry_run(every_timer(file.policies), {**env, **DRY_RUN}, file)
    if interrupted:
        raise KeyboardInterrupt
    if finished.exit in (Exit.REFUSED, Exit.UNREACHABLE):
        why = "; ".join([*finished.result.errors, *output.advice_for(lines.of("list_failed"))])
        raise CommandError(f"nothing is approved without a dry run, and it failed: {why}", finished.exit)
    return finished, lines


def _objections(evidence: Evidence | None) -> Iterator[str]:
    """The objections to approving a policy, each with what to do."""
    if evidence is None:
        return
    policy, now, lines, replay, past, unfinished, complete = evidence
    (replayed,) = replay.policies
    for line in lines.of("halted"):
        yield f"right now it would be halted: {line.why}; see who is due, and change the policy"
    if now.result.partial or lines.of("list_failed") or not complete:
        yield "not all tasks could be listed; see what fc-reaper plan cannot list, and try again"
    due = now.result.policies.get(policy.name, PolicyCounts()).due
    yield from _too_many(due, _watched(policy, unfinished), "unfinished tasks", "are due right now")
    tasks = past.history.tasks
    by_itself = [task.function for task in tasks if outcome_of(task) in ("succeeded", "failed")]
    records, ended = _watched(policy, [task.function for task in tasks]), _watched(policy, by_itself)
    if ended < _ENOUGH:
        few = f"too few tasks of its functions ended without a stop in the history: {ended} of {records}"
        yield f"{few}; wait for more, or give a longer one with --history"
    if wrong := len(replayed.false_stops):
        remedy = "fc-reaper backtest --suggest shows the smallest limit without a false stop"
        yield f"{counted(wrong, 'task')} that it would have stopped succeeded in truth; {remedy}"
    yield from _too_many(len(replayed.stops), records, "tasks", "would have been stopped in the history")
    if replayed.halted_runs:
        runs = counted(replayed.halted_runs, "run")
        yield f"it would have been halted in {runs} of the history; see fc-reaper backtest, and change it"
    if past.history.refused:
        yield "not all of the history could be read; try again, or give one with --history"


def _too_many(number: int, of: int, tasks: str, what: str) -> Iterator[str]:
    if of >= _FEW and number * 2 > of:
        yield f"{number} of the {of} {tasks} of its functions {what}, more than half; check limit and unit"


def _watched(policy: Policy, functions: Iterable[Function]) -> int:
    """How many of *functions*, one for each task, *policy* watches."""
    return sum(tasks for one, tasks in Counter(functions).items() if policy.watches(one))


# What is shown and asked.


def _show_evidence(evidence: Sequence[Evidence], policies: Sequence[Policy]) -> None:
    for one in evidence:
        output.show(Text(f"What {one.policy.name} would do now", output.STRONG), "")
        output.show(*plan_tables(one.now, one.lines))
        output.show(*map(not_listed, one.lines.of("list_failed")), "")
    if evidence:
        past, replays = evidence[0].past, [policy for one in evidence for policy in one.replayed.policies]
        output.show(Text("What would have been done", output.STRONG), "")
        output.show(*past.headline(evidence[0].replayed), "", overview(replays), "")
        output.show(*(line for one in replays for line in summary(one)))
        output.show(*past.left_out((one.policy.name, one.replayed) for one in evidence), "")
        past.print_refused()
    for policy in policies:
        if policy.triggers:
            tried = "could not be tried" if policy.only_named else "was tried as if every timer did"
            output.show(f"{policy.name}: only {runners(policy)} runs it; it {tried}.", "")


def _show_objections(name: str, objections: Iterable[str], stream: TextIO | None = None) -> None:
    heading = Text(f"{name} should not be approved as it is:", output.BAD)
    output.show(heading, *(f"- {objection}" for objection in objections), stream=stream)


def _ask(objections: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The policies that a person approves: those without objections by a yes, the others by their names."""
    sound = [name for name, why in objections.items() if not why]
    if sound and output.ask(f"Approve {', '.join(sound)}? [y/N]").lower() in ("y", "yes"):
        yield from sound
    for name, why in objections.items():
        if why:
            _show_objections(name, why)
            if output.ask("To approve it all the same, type its name:") == name:
                yield name
