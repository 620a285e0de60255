"""What `fc-reaper arm` shows and asks."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.text import Text

from fc_reaper.cli.arming.doubts import Doubts, Evidence
from fc_reaper.cli.ending import say
from fc_reaper.cli.planning.planview import not_listed, show_plan
from fc_reaper.cli.replaying.backtest_view import about, overview
from fc_reaper.cli.replaying.history_view import headline, remarks, tell_refusals
from fc_reaper.cli.screen import BAD, STRONG, plain, screen, show
from fc_reaper.policy import Policy, PolicyFile


def show_evidence(found: Evidence, file: PolicyFile) -> None:
    """What the policies would do now, and would have done."""
    console = screen()
    asks = found.finished.trigger.asks
    asleep = [one for one in file.policies if not any(one.fits_trigger(ask.kind, ask.name) for ask in asks)]
    show(console, Text("What it would do now", STRONG), "")
    show_plan(found.finished, found.tap, asleep)
    for line in not_listed(found.tap.said("list_failed")):
        show(console, line)
    show(console, "", Text("What it would have done", STRONG), "")
    if found.loaded is None or found.replay is None:
        show(console, "Nothing was replayed: no timer runs any of these policies.", "")
        return
    show(console, *headline(found.loaded, found.replay), "", overview(found.replay, None), "")
    for one in found.replay.policies:
        show(console, *about(one))
    show(console, *remarks(found.loaded, [("", found.replay)]), "")
    tell_refusals(found.loaded)


def tell_doubts(policy: Policy, doubts: Doubts, stream: TextIO | None = None) -> None:
    """Why somebody should think twice."""
    console = screen(stream)
    show(console, Text.assemble((f"{policy.name} should not be armed as it is:", BAD)))
    show(console, *(f"- {plain(doubt)}" for doubt in doubts))


def ask(question: str) -> str:
    """The answer of whoever is at standard input; empty when nobody is there."""
    sys.stdout.write(question)
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        say("")
    return answer.strip()
