"""What `fc-reaper approve` shows and asks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.text import Text

from fc_reaper.cli.approving.doubts import Doubts
from fc_reaper.cli.approving.looks import Evidence, Scanner, needs_a_name
from fc_reaper.cli.backtest import overview, summary
from fc_reaper.cli.history import Loaded, headline, left_out, print_refused
from fc_reaper.cli.output import BAD, STRONG, print_line, printable, show
from fc_reaper.cli.planning.planview import not_listed, show_plan
from fc_reaper.policy import Policy


def show_evidence(found: Evidence, wanted: Iterable[Policy]) -> None:
    """What the policies *wanted* would do now, and would have done."""
    several = len(found.looks) > 1
    for look in found.looks:
        whom = look.policy.name if several else "it"
        show(Text(f"What {whom} would do now", STRONG), "")
        show_plan(look.finished, look.lines, ())
        show(*not_listed(look.lines.of("list_failed")), "")
    if found.loaded is not None:
        show(Text(f"What {'they' if several else 'it'} would have done", STRONG), "")
        _show_replays(found.loaded, found.looks)
    for one in wanted:
        if needs_a_name(one):
            why = "only an event that names a task runs it, so nothing could be tried as a dry run"
            show(f"{one.name}: {why}.", "")
        elif one.triggers:
            runs = f"only {' or '.join(one.triggers)} runs it"
            show(f"{one.name}: {runs}; it was looked at as if every timer did.", "")


def _show_replays(loaded: Loaded, looks: Sequence[Scanner]) -> None:
    """One table for all of them, though each was replayed by itself."""
    replays = [look.replay for look in looks]
    policies = [one for replay in replays for one in replay.policies]
    show(*headline(loaded, replays[0]), "", overview(policies), "")
    for one in policies:
        show(*summary(one))
    names = [look.policy.name if len(looks) > 1 else "" for look in looks]
    show(*left_out(loaded, zip(names, replays, strict=True)), "")
    print_refused(loaded)


def tell_doubts(policy: Policy, doubts: Doubts, stream: TextIO | None = None) -> None:
    """Why somebody should think twice."""
    show(Text.assemble((f"{policy.name} should not be approved as it is:", BAD)), stream=stream)
    show(*(f"- {printable(doubt)}" for doubt in doubts), stream=stream)


def ask(question: str) -> str:
    """The answer of whoever is at standard input; empty when nobody is there."""
    sys.stdout.write(question)
    sys.stdout.flush()
    # Standard input may be closed, and then there is none.
    answer = sys.stdin.readline() if sys.stdin is not None else ""
    if not answer.endswith("\n"):
        print_line("")
    return answer.strip()
