"""`fc-reaper approve`: show what the policies would do, ask, and write policy.lock."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, NamedTuple

from rich.text import Text
from typer import Option

from fc_reaper.backtest.source import Listing
from fc_reaper.backtest.stats import Replay
from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, Cloud, PolicyOption, environment, with_cloud
from fc_reaper.cli.backtest import overview, summary
from fc_reaper.cli.history import Past, load_past, with_history_options
from fc_reaper.cli.output import CommandError, counted
from fc_reaper.cli.plan import dry_run, every_timer, plan_tables, print_failures
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import PolicyError
from fc_reaper.log_lines import Lines
from fc_reaper.models import UNFINISHED, Exit, iso
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.policy.lock import Lock, dump_lock, exemptions, gone, lock_of, unapproved
from fc_reaper.run import RunResult
from fc_reaper.settings import Context, Settings, read_credentials, read_lock, read_policy, read_settings


class Trial(NamedTuple):
    """What one policy would do now and would have done, alone and as if every timer ran it.

    `alive` is how many tasks of its functions are unfinished now.
    """

    policy: Policy
    now: RunResult
    lines: Lines
    past: Past
    replayed: Replay
    alive: int

    def objections(self) -> Iterator[str]:
        """Why the policy should not be approved as it is, each with what to do."""
        result, (replayed,) = self.now.result, self.replayed.policies
        for line in self.lines.of("halted"):
            yield f"right now it would be halted: {line.why}; see who is due, and change the policy"
        if result.partial or self.lines.of("list_failed") or self.past.history.not_listed:
            yield "not all tasks, or not all of the history, could be listed; see what is missing; try again"
        due = result.counts.due
        if self.alive >= 4 and due * 2 > self.alive:  # of fewer a share says nothing
            share = f"{due} of the {self.alive} unfinished tasks of its functions are due right now"
            yield f"{share}, more than half; check limit and unit"
        if wrong := len(replayed.false_stops):
            remedy = "fc-reaper backtest --suggest shows the smallest limit without a false stop"
            yield f"{counted(wrong, 'task')} that it would have stopped succeeded in the end; {remedy}"


@with_history_options("history", "read", "interval")
@with_cloud
def approve(
    policy: PolicyOption = None,
    cloud: Cloud = None,
    only: Annotated[list[str] | None, Option(metavar="NAME", help="Only this; may be repeated.")] = None,
    yes: Annotated[bool, Option("--yes", help="Approve, unasked, what has no objections.")] = False,
    despite: Annotated[bool, Option("--despite-objections", help="With --yes: the others too.")] = False,
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
    env = environment(policy=policy, keys=history["history"] is None, **cloud)
    settings = read_settings(env, Context())
    if "\n" in settings.policy:
        raise CommandError("the policy is text in REAPER_POLICY, and no lock can lie beside it; name a file")
    if as_json and not yes:
        raise CommandError("--json leaves no room for questions; add --yes, or leave it out")
    file, before = read_policy(settings), Lock(version=1, exempt=(), policies=())
    try:
        before = read_lock(settings) or before
    except PolicyError as error:  # it approves nothing, and which exemptions are gone is not known
        output.print_error(f"the lock cannot be used, and is written anew: {error.issues[0].text}")
    stops = {policy.name: policy for policy in file.policies if policy.stops}
    if not stops:
        raise CommandError(f"{file.source} stops nothing: it has only `report`, which needs no approval")
    for name in only or ():
        if name not in stops:
            raise CommandError(f"{name} is no stop policy of {file.source}; there is: {', '.join(stops)}")
    changed = unapproved(file, before)
    asked = [one for name, one in stops.items() if name in (only or changed)]
    lock_file = str(PurePath(settings.policy).with_name("policy.lock"))
    output.check_writable(str(settings.folder / lock_file), force=True)
    trials = list(_try(file, asked or list(stops.values()), settings, env, history))
    if not as_json:
        _show_trials(trials, asked or list(stops.values()))
    narrower = [
        f"the exemption {one} is gone, or ends earlier, since the lock was written; put it back, or be sure"
        for one in gone(exemptions(file), before)
    ]
    found = {trial.policy.name: trial.objections() for trial in trials}
    objections = {one.name: [*narrower, *found.get(one.name, ())] for one in asked}
    without = [name for name, why in objections.items() if despite or not why]
    chosen = without if yes else list(_ask(objections))
    # Others leave the lock: else a change of the exemptions could approve them again unseen.
    still = {one.name: one for one in before.policies if one.name in stops.keys() - changed.keys()}
    lock = lock_of(file, iso(SYSTEM_CLOCK.now())[:10], only={*still, *chosen})
    after = lock.model_copy(update={"policies": tuple(still.get(one.name, one) for one in lock.policies)})
    # Approving nothing leaves everything as it is, a missing lock included.
    written = bool(chosen or not asked) and after != before
    if written:
        # It belongs in the repository, as the policy does.
        output.write_file(str(settings.folder / lock_file), dump_lock(after), force=True, private=False)
    policies = [{"name": one, "approved": one in chosen, "objections": objections[one]} for one in objections]
    left = {name: why for name, why in objections.items() if name not in chosen}
    if as_json:
        output.print_json({"lock": lock_file, "written": written, "policies": policies})
        return Exit.ATTENTION if left else Exit.DONE
    new = counted(len(chosen), "policy", "policies")
    done = f"written, {new} approved by you. Review it, and deploy it with the policy."
    output.show(f"{lock_file}: {done if written else 'nothing changed.'}")
    if not asked:
        output.show("Every stop policy is approved as it is.")
    elif left and not yes:
        output.show(f"Not approved by you: {', '.join(left)}.")
    elif left:
        output.print_error(*(f"{name}: {one}" for name, why in left.items() for one in why))
        output.print_error(f"not approved: {', '.join(left)}; change the policy, or add --despite-objections")
    return Exit.ATTENTION if left else Exit.DONE


def _try(
    file: PolicyFile,
    policies: Sequence[Policy],
    settings: Settings,
    env: Mapping[str, str],
    history: Mapping[str, Any],
) -> Iterator[Trial]:
    """Run each policy dry, and replay the history under it, but for those `only_named`."""
    alone = [file.only(one.model_copy(update={"triggers": ()})) for one in policies if not one.only_named]
    if not alone:
        return
    targets = dict.fromkeys(target for one in alone for target in one.policies[0].targets)
    listing, keys = Listing(targets, [UNFINISHED]), read_credentials(env, Context())
    with output.progress("Counting the tasks"), output.interruptible() as interrupted:
        listed = listing.tasks(settings, keys, interrupted.is_set)
        tasks = {task.key for task in listed}
    past = load_past(alone, settings, env, **history)
    for one in alone:
        finished, lines = dry_run(every_timer(one.policies), env, one)
        if finished.exit in (Exit.REFUSED, Exit.UNREACHABLE):
            why = "; ".join([*finished.result.errors, *output.advice_for(lines.of("list_failed"))])
            raise CommandError(f"nothing is approved without a dry run, and it failed: {why}", finished.exit)
        alive = sum(one.policies[0].watches(function) for function, _ in tasks)
        yield Trial(one.policies[0], finished, lines, past, past.replay(one), alive)


def _show_trials(trials: Sequence[Trial], policies: Sequence[Policy]) -> None:
    for one in trials:
        output.show(Text(f"What {one.policy.name} would do now", output.STRONG), "")
        output.show(*plan_tables(one.now, one.lines), "")
        print_failures(one.now, one.lines)
    if trials:
        past, replays = trials[0].past, [policy for one in trials for policy in one.replayed.policies]
        output.show(Text("What would have been done", output.STRONG), "")
        output.show(*past.headline(trials[0].replayed), "", overview(replays), "")
        output.show(*(line for one in replays for line in summary(one)))
        output.show(*past.left_out((one.policy.name, one.replayed) for one in trials), "")
        past.print_refused()
    for policy in policies:
        if policy.triggers:
            tried = "cannot be tried" if policy.only_named else "was tried as if every timer ran it"
            output.show(f"{policy.name} has triggers: [{', '.join(policy.triggers)}]; it {tried}.", "")


def _ask(objections: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The policies that a person approves: those without objections by a yes, the others by their names."""
    sound = [name for name, why in objections.items() if not why]
    if sound and output.ask(f"Approve {', '.join(sound)}? [y/N]").lower() in ("y", "yes"):
        yield from sound
    for name, why in objections.items():
        if why:
            heading = Text(f"{name} should not be approved as it is:", output.BAD)
            output.show(heading, *(f"- {objection}" for objection in why))
            if output.ask("To approve it all the same, type its name:") == name:
                yield name
