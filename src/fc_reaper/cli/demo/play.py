"""The play: a careless cron, then fc-reaper, on the same six tasks; the last act is the truth."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from fc_reaper.cli.demo.stage import KEYS, Stage, clean_environment, props, stage
from fc_reaper.cli.demo.truth import Deed, Score, deeds, score, story, wanted
from fc_reaper.cli.demo.words import cron_cell, flowing_json, reaper_cell
from fc_reaper.cli.explaining.explain import judged, read_task
from fc_reaper.cli.interruption import cut_short
from fc_reaper.cli.running import sweep
from fc_reaper.cli.screen import BAD, GOOD, STRONG, WIDTH, counted, screen, show, table
from fc_reaper.cli.tap import Tap
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.dependencies import Exit
from fc_reaper.evaluator.verdict import Verdict
from fc_reaper.models import Function
from fc_reaper.policy_files import read_policy
from fc_reaper.settings import Context, read_settings

_POLICY = "policy.yaml"
_TIMEOUT = 60.0
_LOST = "job-5"
_FATES = ("would_stop", "confirmed", "accepted", "ended", "skipped", "stop_failed", "unknown", "stuck")
_SETTLED = "1m"
"""Long enough for every stop that was accepted to have come to its end."""


@dataclass(frozen=True)
class Act:
    """What one reaper did: the tasks as they were before it came, the journal after it, and its own words.

    `began` is the moment of `tasks`. `lost` names the tasks whose stop was answered into the void, `claims`
    those that the cron says it stopped. `verdicts` are the explanations of fc-reaper.
    """

    tasks: list[dict[str, Any]]
    began: int
    journal: list[dict[str, Any]]
    lost: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()
    log: Sequence[Mapping[str, Any]] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def score(self) -> Score:
        """The reaper's stops, compared with what the owners want."""
        return score(self.tasks, self.journal)

    def deed(self, invocation_id: str) -> Deed:
        """What was done to one task."""
        return deeds(self.journal).get(invocation_id, Deed())

    def last_word(self, invocation_id: str) -> Mapping[str, Any] | None:
        """The reaper's last log line about one task."""
        return next((line for line in reversed(self.log) if line["invocation_id"] == invocation_id), None)


def demo() -> int:
    """Play it all; 0 when fc-reaper stopped the right tasks and no others, else 1."""
    console = screen()
    show(console, "A small account on this machine: six tasks, and two reapers that stop what is")
    show(console, "older than two hours. One answer gets lost on the way, one task ends meanwhile.", "")
    with cut_short(), stage() as emulator:
        show(console, _heading(1, "A careless cron", "as people write them"))
        cron = _cron(emulator)
        show(console, _heading(2, "fc-reaper on the same account anew", "a dry run first"))
        dry = _dry_run(emulator)
        show(console, _dry_run_line(dry))
        show(console, _heading(3, "fc-reaper, enforcing", "it reads again before and after each stop"))
        reaper = _enforcement(emulator)
    _last_act(console, cron, reaper)
    flawless = reaper.score.flawless and dry.score.requests == 0
    return int(Exit.DONE if flawless else Exit.ATTENTION)


def _heading(number: int, what: str, how: str) -> Text:
    return Text.assemble(f"{number}  ", (what, STRONG), f": {how} ...")


def _cron(emulator: Stage) -> Act:
    emulator.reset()
    _lose_an_answer(emulator)
    tasks, began = emulator.tasks(), SYSTEM_CLOCK.now()
    claims = _run_cron(emulator)
    lost = _lost(emulator)
    emulator.advance(_SETTLED)
    return Act(tasks, began, emulator.journal(), lost, claims)


def _run_cron(emulator: Stage) -> frozenset[str]:
    """Run the script as a process of its own; answer with what it says it stopped."""
    # A default entry in somebody's .netrc would replace fc2's signature.
    told = {"ENDPOINT": emulator.endpoint, "KEY": KEYS[0], "SECRET": KEYS[1], "NETRC": os.devnull}
    command = [sys.executable, str(props() / "careless_cron.py")]
    ran = subprocess.run(
        command, env={**clean_environment(), **told}, capture_output=True, text=True, check=False
    )
    return frozenset(re.findall(r"^stopped (\S+)$", ran.stdout, re.MULTILINE))


def _dry_run(emulator: Stage) -> Act:
    emulator.reset()
    tasks, began = emulator.tasks(), SYSTEM_CLOCK.now()
    log = _run_reaper(emulator, enforce=False)
    return Act(tasks, began, emulator.journal(), log=log)


def _enforcement(emulator: Stage) -> Act:
    _lose_an_answer(emulator)
    tasks, began = emulator.tasks(), SYSTEM_CLOCK.now()
    log = _run_reaper(emulator, enforce=True)
    lost, verdicts = _lost(emulator), _verdicts(emulator, tasks)
    emulator.advance(_SETTLED)
    return Act(tasks, began, emulator.journal(), lost, log=log, verdicts=verdicts)


def _run_reaper(emulator: Stage, *, enforce: bool) -> list[dict[str, Any]]:
    """Run it as `fc-reaper invoke` does; answer with the log lines that say what became of a task."""
    tap = Tap(None, keep=_FATES)
    event = (props() / "event.json").read_bytes()
    sweep(event, _settings(emulator, enforce=enforce), tap, timeout=_TIMEOUT)
    return tap.lines


def _lose_an_answer(emulator: Stage) -> None:
    where = {"invocationId": _LOST}
    emulator.order_fault({"operation": "StopStatefulAsyncInvocation", "drop": "after", "match": where})


def _lost(emulator: Stage) -> frozenset[str]:
    """The task whose answer got lost, once that has happened."""
    return frozenset() if emulator.waiting_faults() else frozenset({_LOST})


def _settings(emulator: Stage, *, enforce: bool) -> dict[str, str]:
    return {
        "REAPER_ENDPOINT": emulator.endpoint,
        "REAPER_POLICY": str(props() / _POLICY),
        "REAPER_MODE": "enforce" if enforce else "dry-run",
        "REAPER_RATE": "1000/s",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": KEYS[0],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEYS[1],
    }


def _verdicts(emulator: Stage, tasks: Iterable[Mapping[str, Any]]) -> dict[str, Verdict]:
    """Why each task is kept, or not, as `fc-reaper explain` says it."""
    env = _settings(emulator, enforce=False)
    settings = read_settings(env, Context())
    policy = read_policy(settings)
    verdicts = {}
    for task in tasks:
        function = Function(task["serviceName"], task["functionName"], task["qualifier"])
        seen = read_task(function, task["invocationId"], settings, env)
        verdicts[task["invocationId"]] = judged(seen, policy, settings).verdict
    return verdicts


def _dry_run_line(act: Act) -> str:
    would = sum(line["event"] == "would_stop" for line in act.log)
    touched = act.score.requests
    nothing = "nothing was touched" if touched == 0 else f"{counted(touched, 'stop request')} all the same"
    return f"   {counted(would, 'task')} would be stopped; {nothing}."


def _last_act(console: Console, cron: Act, reaper: Act) -> None:
    show(console, "", table(("task", "truth", "careless cron", "fc-reaper"), _rows(cron, reaper)))
    line = next((line for line in reaper.log if line["event"] == "confirmed" and "detail" not in line), None)
    if line is not None:
        show(console, "", 'One line of its log answers "why mine?":', flowing_json(line, WIDTH))
    show(console, "", _total("careless cron", cron.score), _total("fc-reaper", reaper.score))
    show(console, "by the journal of the emulator, whatever the reapers say.", "", *_next())


def _rows(cron: Act, reaper: Act) -> Iterator[tuple[Text | str, ...]]:
    for task in cron.tasks:
        one, wish = task["invocationId"], wanted(task)
        yield (
            one,
            story(task, cron.journal, cron.lost, cron.began),
            cron_cell(cron.deed(one), wish, one in cron.claims),
            reaper_cell(reaper.deed(one), wish, reaper.last_word(one), reaper.verdicts[one], _POLICY),
        )


def _total(who: str, made: Score) -> Text:
    parts = [
        (f"{who:<15}{counted(made.requests, 'stop request')}: ", ""),
        (f"{made.right} right", GOOD),
        (", ", ""),
        (f"{made.wrong} {'WRONG' if made.wrong else 'wrong'}", BAD if made.wrong else ""),
        (f", {made.for_nothing} for nothing, {made.missed} missed", ""),
    ]
    return Text.assemble(*parts)


def _next() -> Iterator[Text]:
    if not Path("policy.yaml").exists():
        yield Text("Next: write a policy.yaml (`fc-reaper schema` helps your editor), then:")
    else:
        yield Text("Next:")
    yield Text("  fc-reaper check policy.yaml", STRONG)
