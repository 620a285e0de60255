"""`fc-reaper demo`: a careless cron and fc-reaper on the same small account, and what each did to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from rich.text import Text

from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import (
    BAD,
    GOOD,
    SOFT,
    STRONG,
    WIDTH,
    CommandError,
    counted,
    format_seconds,
    on_signals,
    show,
    table,
)
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.log import Lines, TaskLine
from fc_reaper.models import FINISHED, Exit, Millis
from fc_reaper.policy import format_duration, load_policy

Record = Mapping[str, Any]

KEYS = ("emulator", "emulator-secret")
"""Key id and secret that the emulator accepts by default."""

DATA = Path(str(files("fc_reaper") / "demo"))
"""The folder with the policy, the seed, the event and the cron."""

_SWITCHES = ("--port", "0", "--list-lag", "30s", "--stopping", "300ms")
_LOST = "job-5"
"""The task whose stop is applied, while the answer gets lost."""

_ENDS = "100ms"
"""After so long the task that ends meanwhile has ended; the lists still show it as running."""

_SETTLED = "1m"
"""After so long every accepted stop has come to its end."""

_KEPT = ("kept", "exempt")
_LINES = (
    *("would_stop", "confirmed", "accepted", "ended", "skipped", "stop_failed", "unknown", "stuck"),
    *_KEPT,
)
_MINUTE: Millis = 60_000
_PRIVATE = re.compile("REAPER_|FC_|ALIBABA_|.*_proxy$", re.IGNORECASE)
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def demo() -> int:
    """Run a careless cron and fc-reaper on the same small account.

    Then the truth about both, by the journal of the emulator. Needs no account and reads no settings.
    The exit code is 0 if fc-reaper stopped the right tasks and no others.

    \b
    Example:
      fc-reaper demo
    """
    show("A small account on this machine: six tasks, and two reapers that stop what is")
    show("older than two hours. One answer gets lost on the way, one task ends meanwhile.", "")
    with on_signals(signal.default_int_handler), _emulator() as emulator:
        show(_heading(1, "A careless cron", "as people write them"))
        cron = _attempt(emulator, _cron)
        show(_heading(2, "fc-reaper on the same account anew", "a dry run first"))
        dry_run = _attempt(emulator, _reaper("dry-run"), lose_answer=False)
        show(_dry_run_line(dry_run))
        show(_heading(3, "fc-reaper, enforcing", "it reads again before and after each stop"))
        reaper = _attempt(emulator, _reaper("enforce"))
    _show_truth(cron, reaper)
    flawless = reaper.score.flawless and dry_run.score.requests == 0
    return Exit.DONE if flawless else Exit.ATTENTION


# The emulator


@dataclass(frozen=True)
class Emulator:
    """A running emulator and its admin API, which tells what really happened."""

    endpoint: str

    def admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send one request under `/_emulator/`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_emulator/{path}", data, method=method)
        with _OPENER.open(request, timeout=10) as answer:
            value: dict[str, Any] = json.load(answer)
            return value


@contextmanager
def _emulator() -> Iterator[Emulator]:
    """Start an emulator with the demo's seed on a free port; it ends with the block.

    Raises:
        CommandError: it does not start.
    """
    command = [sys.executable, "-m", "fc_emulator", *_SWITCHES, "--seed", str(DATA / "seed.json")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=_clean_environment()) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                why = process.communicate()[1].strip().splitlines()
                raise CommandError(f"the emulator did not start: {why[-1] if why else 'no output'}")
            yield Emulator(json.loads(ready)["endpoint"])
        finally:
            process.terminate()
            process.communicate()


def _clean_environment() -> dict[str, str]:
    """The environment of this process without anything that could lead to a real account or a proxy."""
    return {name: value for name, value in os.environ.items() if not _PRIVATE.match(name)}


# The two reapers


Reaper = Callable[[str], dict[str, Any]]
"""Works at an endpoint, and returns what it says of that: the fields `claims` or `log` of an attempt."""


@dataclass(frozen=True)
class Attempt:
    """What one reaper did: the tasks before it came, at the moment *began*, and the journal after it.

    `lost` names the task for which the answer to a stop got lost, None where that did not happen. `claims`
    are the tasks that the cron says it stopped, `log` is fc-reaper's last log line about each task.
    """

    began: Millis
    tasks: list[dict[str, Any]]
    journal: list[dict[str, Any]]
    lost: str | None
    claims: frozenset[str] = frozenset()
    log: Mapping[str, TaskLine] = field(default_factory=dict)

    @property
    def score(self) -> Score:
        """Its stops, compared with what the owners want."""
        return score(self.tasks, self.journal)

    def stops(self, task: Record) -> Stops:
        """What was done to one task."""
        return stops(self.journal).get(task["invocationId"], Stops())


def _attempt(emulator: Emulator, reaper: Reaper, *, lose_answer: bool = True) -> Attempt:
    """Reset the account, let *reaper* work at its endpoint, and collect what happened."""
    emulator.admin("POST", "reset")
    if lose_answer:
        fault = {
            "operation": "StopStatefulAsyncInvocation",
            "drop": "after",
            "match": {"invocationId": _LOST},
        }
        emulator.admin("POST", "faults", fault)
    began, tasks = SYSTEM_CLOCK.now(), emulator.admin("GET", "tasks")["tasks"]
    emulator.admin("POST", "clock", {"advance": _ENDS})
    told = reaper(emulator.endpoint)
    lost = _LOST if lose_answer and not emulator.admin("GET", "faults")["faults"] else None
    emulator.admin("POST", "clock", {"advance": _SETTLED})
    return Attempt(began, tasks, emulator.admin("GET", "journal")["journal"], lost, **told)


def _cron(endpoint: str) -> dict[str, Any]:
    # A default entry in somebody's .netrc would replace fc2's signature.
    settings = {"ENDPOINT": endpoint, "KEY": KEYS[0], "SECRET": KEYS[1], "NETRC": os.devnull}
    ran = subprocess.run(
        [sys.executable, str(DATA / "careless_cron.py")],
        env={**_clean_environment(), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return {"claims": frozenset(re.findall(r"^stopped (\S+)$", ran.stdout, re.MULTILINE))}


def _reaper(mode: str) -> Reaper:
    def run(endpoint: str) -> dict[str, Any]:
        env = {
            "REAPER_ENDPOINT": endpoint,
            "REAPER_POLICY": str(DATA / "policy.yaml"),
            "REAPER_MODE": mode,
            "REAPER_RATE": "1000/s",
            "REAPER_LOG_LEVEL": "DEBUG",  # with a line for every task that is kept
            "ALIBABA_CLOUD_ACCESS_KEY_ID": KEYS[0],
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEYS[1],
        }
        log = Lines(*_LINES)
        run_local((DATA / "event.json").read_bytes(), env, timeout=60.0, listener=log)
        # A stuck task is kept, too: what kept it counts only where nothing else is said of a task.
        lines = sorted(log, key=lambda line: line.event not in _KEPT)
        return {"log": {line.invocation_id: line for line in lines}}

    return run


# The score, by the records and the journal of the emulator


class Stops(NamedTuple):
    """Stop requests for one task: how many, whether one was accepted, and whether one took effect."""

    requests: int = 0
    accepted: bool = False
    took_effect: bool = False


class Score(NamedTuple):
    """The stop requests of one reaper, each counted once, and the tasks it failed to stop."""

    right: int
    wrong: int
    for_nothing: int
    missed: int

    @property
    def requests(self) -> int:
        """All stop requests."""
        return self.right + self.wrong + self.for_nothing

    @property
    def flawless(self) -> bool:
        """Whether exactly the right tasks were stopped."""
        return self.wrong == 0 and self.missed == 0


def stops(journal: Iterable[Record]) -> dict[str, Stops]:
    """The stop requests in *journal*, by invocation id."""
    found: dict[str, Stops] = {}
    for entry in journal:
        if "answer" in entry:
            before = found.get(entry["invocationId"], Stops())
            found[entry["invocationId"]] = Stops(
                before.requests + 1,
                before.accepted or entry["answer"]["status"] == 200,
                before.took_effect or entry["from"] != entry["to"],
            )
    return found


def score(tasks: Iterable[Record], journal: Iterable[Record]) -> Score:
    """Compare the stops in *journal* with what the owner of each task wants."""
    made = stops(journal)
    took = {task["invocationId"]: made.get(task["invocationId"], Stops()).took_effect for task in tasks}
    kinds = Counter((is_unwanted(task), took[task["invocationId"]]) for task in tasks)
    right, wrong = kinds[True, True], kinds[False, True]
    requests = sum(one.requests for one in made.values())
    return Score(right, wrong, requests - right - wrong, kinds[True, False])


def is_unwanted(task: Record) -> bool:
    """Whether its owner wants it stopped; the payload says so, which neither reaper reads."""
    return bool(json.loads(task["invocationPayload"])["owner"] == "stop")


def _story(task: Record, attempt: Attempt) -> str:
    """The truth about one task in a few words."""
    since = {event["status"]: attempt.began - event["timestamp"] for event in task["events"]}
    alive = attempt.began - task["events"][0]["timestamp"]
    running = since.get("Running", 0)
    journal = (entry for entry in attempt.journal if entry["invocationId"] == task["invocationId"])
    if any(entry["cause"] != "stop" and entry["to"] in FINISHED for entry in journal):
        return "ended while we looked"
    if task["status"] == "Stopping":
        return f"Stopping for {_minutes(since['Stopping'])}"
    if task["invocationId"] == attempt.lost:
        return f"running {_minutes(alive)}, answer lost"
    if task["alreadyRetriedTimes"]:
        return f"alive {_minutes(alive)}, {task['alreadyRetriedTimes'] + 1} attempts"
    if alive - running > _MINUTE:
        return f"queued {_minutes(alive - running)}, running {_minutes(running)}"
    return f"running {_minutes(running)}"


def _minutes(length: Millis) -> str:
    """A duration in whole minutes, the same on fast and slow machines."""
    return format_duration(length - length % _MINUTE)


# What is shown


def _heading(number: int, what: str, how: str) -> Text:
    return Text.assemble(f"{number}  ", (what, STRONG), f": {how} ...")


def _dry_run_line(attempt: Attempt) -> str:
    would = sum(line.event == "would_stop" for line in attempt.log.values())
    requests = attempt.score.requests
    nothing = "nothing was touched" if requests == 0 else f"but {counted(requests, 'stop request')} was sent"
    return f"   {counted(would, 'task')} would be stopped; {nothing}."


def _show_truth(cron: Attempt, reaper: Attempt) -> None:
    rows = [
        (task["invocationId"], _story(task, cron), _cron_cell(cron, task), _reaper_cell(reaper, task))
        for task in cron.tasks
    ]
    show("", table(("task", "truth", "careless cron", "fc-reaper"), rows))
    confirmed = (line for line in reaper.log.values() if line.event == "confirmed")
    line = next((line for line in confirmed if not line.detail), None)
    if line is not None:
        show("", 'One line of its log answers "why mine?":', wrapped_json(line.fields(), WIDTH))
    show("", _total("careless cron", cron.score), _total("fc-reaper", reaper.score))
    show("by the journal of the emulator, whatever the reapers say.", "")
    missing = " write a policy.yaml (`fc-reaper schema` helps your editor), then:"
    show(f"Next:{'' if Path('policy.yaml').exists() else missing}")
    show(Text("  fc-reaper check policy.yaml", STRONG))


def _cron_cell(cron: Attempt, task: Record) -> Text:
    made, unwanted = cron.stops(task), is_unwanted(task)
    if made.took_effect and not unwanted:
        return Text("STOPPED wrong", BAD)
    if made.took_effect:
        times = "twice" if made.requests == 2 else f"{made.requests} times"
        return Text("stopped" if made.requests == 1 else f"stops it {times}")
    if made.requests == 0:
        return Text("left running" if unwanted else "kept")
    return Text('"stopped"' if task["invocationId"] in cron.claims and made.accepted else "error", BAD)


def _reaper_cell(reaper: Attempt, task: Record) -> Text:
    made, unwanted = reaper.stops(task), is_unwanted(task)
    line = reaper.log.get(task["invocationId"])
    if made.took_effect and not unwanted:
        return Text("STOPPED wrong", BAD)
    if line is None:
        return Text("not listed", BAD)
    event = line.event
    if event == "confirmed":
        if not made.took_effect:
            return Text("says stopped, but is not", BAD)
        over = f"; {format_seconds(line.over_s)} over"
        return Text("stopped, confirmed by reading" if line.detail else f"stopped, confirmed{over}", GOOD)
    if event == "ended":
        return Text("ended: not an error")
    if event == "stuck":
        return Text("STUCK: somebody is told", BAD)
    if event == "exempt":
        return Text(f"kept: exempt, policy.yaml:{_exempt_line()}", SOFT if unwanted else "")
    if event == "kept" and line.age_s is not None and line.limit_s is not None:
        age, limit = _minutes(round(line.age_s * 1000)), format_seconds(line.limit_s)
        return Text(f"kept: {line.rule} {age} of {limit}", SOFT if unwanted else "")
    return Text(f"{event}: {line.why or line.detail or line.reason}", BAD)


def _exempt_line() -> int:
    """The line of the only exemption in the demo's policy."""
    (exemption,) = load_policy((DATA / "policy.yaml").read_text("utf-8"), source="policy.yaml").exempt
    return exemption.line


def _total(who: str, made: Score) -> Text:
    return Text.assemble(
        f"{who:<15}{counted(made.requests, 'stop request')}: ",
        (f"{made.right} right", GOOD),
        ", ",
        (f"{made.wrong} {'WRONG' if made.wrong else 'wrong'}", BAD if made.wrong else ""),
        f", {made.for_nothing} for nothing, {made.missed} missed",
    )


def wrapped_json(line: Record, width: int) -> str:
    """*line* as JSON in rows of at most *width* columns, broken only between its fields."""
    fields = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in line.items()]
    rows, row = [], "{"
    for number, text in enumerate(fields):
        text += "}" if number == len(fields) - 1 else ","
        joined = row + text if row in ("{", " ") else f"{row} {text}"
        if len(joined) > width:
            rows.append(row)
            joined = f" {text}"
        row = joined
    return "\n".join([*rows, row])
