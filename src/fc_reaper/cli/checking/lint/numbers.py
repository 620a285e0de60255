"""Numbers of a policy that cannot have the effect they seem to have."""

from __future__ import annotations

from collections.abc import Iterator

from fc_reaper.cli.checking.lint.places import written
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.evaluator.concurrency import MOST
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.policy.document import Node
from fc_reaper.policy.model import DEFAULT_PER_RUN

NAME = "no-effect"


def remarks(file: PolicyFile, root: Node | None = None) -> Iterator[Remark]:
    """One remark for each number that another one makes pointless.

    *root* is what the file was read from: it tells the default from the same number written out. A report
    may say what holds once it is a `stop`.
    """
    for number, policy in enumerate(file.policies):
        if not policy.stops:
            continue
        budget = written(root, f"policies[{number}].budget")
        chosen = policy.per_run != DEFAULT_PER_RUN or "/run" in (budget or "")
        for key, cause, remedy in _odd(policy, chosen=chosen):
            yield Remark(file.source, policy.line, f"policies[{number}].{key}", cause, remedy, NAME)


def _odd(policy: Policy, *, chosen: bool) -> Iterator[tuple[str, str, str]]:
    if policy.per_day is not None and policy.per_day < policy.per_run and chosen:
        cause = f"{policy.per_run}/run can never be spent: it is more than {policy.per_day}/day"
        yield "budget", cause, "write fewer per run than per day"
    if policy.halt_over is not None and policy.halt_over < policy.per_run and chosen:
        cause = f"{policy.per_run}/run can never be spent: over {policy.halt_over} due, none is stopped"
        yield "halt_over", cause, f"write {policy.per_run} or more, or a smaller budget"
    if policy.keep is not None and policy.keep.at_most >= MOST:
        cause = f"it never stops anything: beyond {MOST} tasks a policy is halted, because nobody counts them"
        yield "keep.at_most", cause, f"write less than {MOST}"
    most = _most_tasks(policy)
    if policy.keep is not None and most is not None and most <= policy.keep.at_most:
        tasks = "there is one such task" if most == 1 else f"there are {most} such tasks"
        yield "keep.at_most", f"it never stops anything: {tasks} at most", "write a pattern in `id`, or less"


def _most_tasks(policy: Policy) -> int | None:
    """How many tasks can match at most: an id stands for one under each function; None for no bound."""
    ids, targets = set(policy.match.ids), set(policy.targets)
    open_ended = not ids or any(set("*?") & set(one) for one in ids)
    return None if open_ended or any(one.needs_discovery for one in targets) else len(ids) * len(targets)
