"""`fc-reaper demo`: a careless cron and fc-reaper on the same small account, and what each did to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from rich.text import Text

from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import (
    BAD,
    GOOD,
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
from fc_reaper.policy import load_policy
from fc_reaper.rules.duration import format_duration

Record = Mapping[str, Any]

DATA = Path(str(files("fc_reaper") / "demo"))
"""The folder with the policy, the seed, the event and the cron."""

_KEYS = ("emulator", "emulator-secret")
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
    with on_signals(signal.default_int_handler), _emulator() as endpoint:
        show(_heading(1, "A careless cron", "as people write them"))
        cron = _attempt(endpoint, _run_cron)
        show(_heading(2, "fc-reaper on the same account anew", "a dry run first"))
        dry_run = _attempt(endpoint, _run_reaper("dry-run"), lose_answer=False)
        show(_dry_run_sentence(dry_run))
        show(_heading(3, "fc-reaper, enforcing", "it reads again before and after each stop"))
        reaper = _attempt(endpoint, _run_reaper("enforce"))
    rows = [
        (task["invocationId"], _story(task, cron), _cron_cell(task, cron), _reaper_cell(task, reaper))
        for task in cron.tasks
    ]
    show("", table(("task", "truth", "careless cron", "fc-reaper"), rows))
    confirmed = (line for line in reaper.log.values() if line.event == "confirmed" and not line.detail)
    for line in list(confirmed)[:1]:
        show("", 'One line of its log answers "why mine?":', wrapped_json(line.fields(), WIDTH))
    cron_score, score = score_of(cron.tasks, cron.journal), score_of(reaper.tasks, reaper.journal)
    show("", _total("careless cron", cron_score), _total("fc-reaper", score))
    show("by the journal of the emulator, whatever the reapers say.", "")
    missing = " write a policy.yaml (`fc-reaper schema` helps your editor), then:"
    show(f"Next:{'' if Path('policy.yaml').exists() else missing}")
    show(Text("  fc-reaper check policy.yaml", STRONG))
    harmless = not stops_in(dry_run.journal)
    return Exit.DONE if harmless and not score.wrong and not score.missed else Exit.ATTENTION


# The emulator


@contextmanager
def _emulator() -> Iterator[str]:
    """Start an emulator with the demo's seed on a free port, and yield its endpoint; it ends with the block.

    Raises:
        CommandError: it does not start.
    """
    switches = ("--port", "0", "--list-lag", "30s", "--stopping", "300ms", "--seed", DATA / "seed.json")
    with subprocess.Popen(
        [sys.executable, "-m", "fc_emulator", *map(str, switches)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_clean_environment(),
    ) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                why = process.communicate()[1].strip().splitlines()
                raise CommandError(f"the emulator did not start: {why[-1] if why else 'no output'}")
            yield json.loads(ready)["endpoint"]
        finally:
            process.terminate()
            process.communicate()


def _clean_environment() -> dict[str, str]:
    """The environment of this process without anything that could lead to a real account or a proxy."""
    return {name: value for name, value in os.environ.items() if not _PRIVATE.match(name)}


def _admin(endpoint: str, path: str, body: object = None) -> dict[str, Any]:
    """Send a request to the emulator's admin API: POST with a *body*, else GET."""
    data = None if body is None else json.dumps(body).encode()
    with _OPENER.open(f"{endpoint}/_emulator/{path}", data, timeout=10) as answer:
        value: dict[str, Any] = json.load(answer)
        return value


# The two reapers


class Attempt(NamedTuple):
    """What one reaper did: the tasks before it came, at the moment *began*, and the journal after it.

    `lost` is the task for which the answer to a stop got lost, None where that did not happen. `claims` are
    the tasks that the cron says it stopped, `log` has fc-reaper's last log line about each task.
    """

    began: Millis
    tasks: list[dict[str, Any]]
    journal: list[dict[str, Any]]
    lost: str | None
    claims: tuple[str, ...] = ()
    log: Mapping[str, TaskLine] = {}

    def stops(self, task: Record) -> Stops:
        """What was done to one task."""
        return stops_in(self.journal).get(task["invocationId"], Stops())


Reaper = Callable[[str], dict[str, Any]]
"""Works at an endpoint, and returns what it says of that: the fields `claims` or `log` of an attempt."""


def _attempt(endpoint: str, reaper: Reaper, *, lose_answer: bool = True) -> Attempt:
    """Reset the account, let *reaper* work on it, and collect what happened."""
    _admin(endpoint, "reset", {})
    if lose_answer:
        fault = {
            "operation": "StopStatefulAsyncInvocation",
            "drop": "after",
            "match": {"invocationId": _LOST},
        }
        _admin(endpoint, "faults", fault)
    began, tasks = SYSTEM_CLOCK.now(), _admin(endpoint, "tasks")["tasks"]
    _admin(endpoint, "clock", {"advance": _ENDS})
    said = reaper(endpoint)
    was_lost = lose_answer and not _admin(endpoint, "faults")["faults"]
    _admin(endpoint, "clock", {"advance": _SETTLED})
    journal = _admin(endpoint, "journal")["journal"]
    return Attempt(began, tasks, journal, _LOST if was_lost else None, **said)


def _run_cron(endpoint: str) -> dict[str, Any]:
    # A default entry in a .netrc would replace fc2's signature.
    settings = {"ENDPOINT": endpoint, "KEY": _KEYS[0], "SECRET": _KEYS[1], "NETRC": os.devnull}
    command = [sys.executable, str(DATA / "careless_cron.py")]
    env = {**_clean_environment(), **settings}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return {"claims": tuple(re.findall(r"^stopped (\S+)$", ran.stdout, re.MULTILINE))}


def _run_reaper(mode: str) -> Reaper:
    def run(endpoint: str) -> dict[str, Any]:
        env = {
            "REAPER_ENDPOINT": endpoint,
            "REAPER_POLICY": str(DATA / "policy.yaml"),
            "REAPER_MODE": mode,
            "REAPER_RATE": "1000/s",
            "REAPER_LOG_LEVEL": "DEBUG",  # with a line for every task that is kept
            "ALIBABA_CLOUD_ACCESS_KEY_ID": _KEYS[0],
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": _KEYS[1],
        }
        log = Lines(*_LINES)
        run_local((DATA / "event.json").read_bytes(), env, timeout=60.0, listener=log)
        # A stuck task is kept, too: what kept it counts only where nothing else is said of a task.
        lines = sorted(log, key=lambda line: line.event not in _KEPT)
        return {"log": {line.invocation_id: line for line in lines}}

    return run


# The score, by the records and the journal of the emulator


class Stops(NamedTuple):
    """Stop requests for one task: how many, and whether one took effect."""

    requests: int = 0
    took_effect: bool = False


class Score(NamedTuple):
    """The stop requests of one reaper, each counted once, and the tasks it failed to stop."""

    right: int
    wrong: int
    for_nothing: int
    missed: int


def stops_in(journal: Iterable[Record]) -> dict[str, Stops]:
    """The stop requests in *journal*, by invocation id."""
    found: dict[str, Stops] = {}
    for entry in journal:
        if "answer" in entry:
            requests, took_effect = found.get(entry["invocationId"], Stops())
            found[entry["invocationId"]] = Stops(requests + 1, took_effect or entry["from"] != entry["to"])
    return found


def score_of(tasks: Iterable[Record], journal: Iterable[Record]) -> Score:
    """Compare the stops in *journal* with what the owner of each task wants."""
    stops = stops_in(journal)
    took = [(_is_unwanted(task), stops.get(task["invocationId"], Stops()).took_effect) for task in tasks]
    right, wrong = took.count((True, True)), took.count((False, True))
    requests = sum(one.requests for one in stops.values())
    return Score(right, wrong, requests - right - wrong, took.count((True, False)))


def _is_unwanted(task: Record) -> bool:
    """Whether its owner wants it stopped; the payload says so, which neither reaper reads."""
    return bool(json.loads(task["invocationPayload"])["owner"] == "stop")


# What is shown


def _heading(number: int, what: str, how: str) -> Text:
    return Text.assemble(f"{number}  ", (what, STRONG), f": {how} ...")


def _dry_run_sentence(attempt: Attempt) -> str:
    would = sum(line.event == "would_stop" for line in attempt.log.values())
    nothing = "something was touched" if stops_in(attempt.journal) else "nothing was touched"
    return f"   {counted(would, 'task')} would be stopped; {nothing}."


def _story(task: Record, attempt: Attempt) -> str:
    """The truth about one task in a few words."""
    since = {event["status"]: attempt.began - event["timestamp"] for event in task["events"]}
    alive, running = attempt.began - task["events"][0]["timestamp"], since.get("Running", 0)
    journal = (entry for entry in attempt.journal if entry["invocationId"] == task["invocationId"])
    if any(entry["cause"] != "stop" and entry["to"] in FINISHED for entry in journal):
        return "ended while we looked"
    if task["status"] == "Stopping":
        return f"Stopping for {_minutes(since['Stopping'])}"
    if task["invocationId"] == attempt.lost:
        return f"running {_minutes(alive)}, answer lost"
    if task["alreadyRetriedTimes"]:
        return f"alive {_minutes(alive)}, {task['alreadyRetriedTimes'] + 1} attempts"
    queued = f"queued {_minutes(alive - running)}, " if alive - running > 60_000 else ""
    return f"{queued}running {_minutes(running)}"


def _minutes(length: Millis) -> str:
    """A duration in whole minutes, the same on fast and slow machines."""
    return format_duration(length - length % 60_000)


def _cron_cell(task: Record, cron: Attempt) -> Text:
    stops, unwanted = cron.stops(task), _is_unwanted(task)
    if stops.took_effect and not unwanted:
        return Text("STOPPED wrong", BAD)
    if stops.took_effect:
        return Text("stopped" if stops.requests == 1 else "stops it twice")
    if stops.requests == 0:
        return Text("left running" if unwanted else "kept")
    return Text('"stopped"' if task["invocationId"] in cron.claims else "error", BAD)


def _reaper_cell(task: Record, reaper: Attempt) -> Text:
    stops, unwanted, line = reaper.stops(task), _is_unwanted(task), reaper.log.get(task["invocationId"])
    event = "not listed" if line is None else line.event
    if stops.took_effect and not unwanted:
        return Text("STOPPED wrong", BAD)
    if line is not None and event == "confirmed" and stops.took_effect:
        over = f"; {format_seconds(line.over_s)} over"
        return Text("stopped, confirmed by reading" if line.detail else f"stopped, confirmed{over}", GOOD)
    if event == "ended":
        return Text("ended: not an error")
    if event == "stuck":
        return Text("STUCK: somebody is told", BAD)
    if line is not None and event in _KEPT and not unwanted:
        return Text(f"kept: {_why_kept(line)}")
    return Text(f"{event}, which is wrong", BAD)


def _why_kept(line: TaskLine) -> str:
    if line.event == "exempt":
        text = (DATA / "policy.yaml").read_text("utf-8")
        (exemption,) = load_policy(text, source="policy.yaml").exempt
        return f"exempt, policy.yaml:{exemption.line}"
    age = _minutes(round((line.age_s or 0) * 1000))
    return f"{line.rule} {age} of {format_seconds(line.limit_s)}"


def _total(who: str, score: Score) -> Text:
    requests = counted(sum(score) - score.missed, "stop request")
    return Text.assemble(
        f"{who:<15}{requests}: ",
        (f"{score.right} right", GOOD),
        ", ",
        (f"{score.wrong} {'WRONG' if score.wrong else 'wrong'}", BAD if score.wrong else ""),
        f", {score.for_nothing} for nothing, {score.missed} missed",
    )


def wrapped_json(line: Record, width: int) -> str:
    """*line* as JSON in rows of at most *width* columns, broken only between its fields."""
    fields = (f"{json.dumps(key)}: {json.dumps(value)}".replace(" ", "\0") for key, value in line.items())
    whole = f"{{{', '.join(fields)}}}"
    rows = textwrap.wrap(whole, width, subsequent_indent=" ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(rows).replace("\0", " ")
