"""`fc-reaper demo`: a careless cron and fc-reaper on the same small account, and what each did to it."""

import json
import os
import re
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen, run
from typing import Any, NamedTuple

from rich.text import Text

from fc_reaper.cli import output
from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import BAD, GOOD, CommandError, counted, show, table
from fc_reaper.log_lines import Lines, TaskLine
from fc_reaper.models import Exit

HERE = Path(__file__).parent

_TIMER = b'{"triggerTime": "2026-11-20T02:15:00Z", "triggerName": "schedule", "payload": ""}'
_KEYS = ("emulator", "emulator-secret")
_LOST = {"operation": "StopStatefulAsyncInvocation", "drop": "after", "match": {"invocationId": "job-5"}}
_PRIVATE = re.compile("REAPER_|FC_|ALIBABA_|.*_proxy$", re.IGNORECASE)
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Record = Mapping[str, Any]
Log = Mapping[str, TaskLine]


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
    with output.interruptible(at_once=True), _emulator() as endpoint:
        show("1  A careless cron: as people write them ...")
        cron = _attempt(endpoint, _run_cron)
        show("2  fc-reaper on the same account anew: a dry run first ...")
        dry_run = _attempt(endpoint, lambda endpoint: _run_reaper(endpoint, "dry-run"))
        would_stop = [line.event for line in dry_run.log.values()].count("would_stop")
        touched = "something" if dry_run.requests else "nothing"
        show(f"   {counted(would_stop, 'task')} would be stopped; {touched} was touched.")
        show("3  fc-reaper, enforcing: it reads again before and after each stop ...")
        reaper = _attempt(endpoint, lambda endpoint: _run_reaper(endpoint, "enforce"))
    rows = [
        (
            task["invocationId"],
            json.loads(task["invocationPayload"])["story"],
            _cron_cell(task, cron),
            _reaper_cell(task, reaper),
        )
        for task in cron.tasks
    ]
    show("", table(("task", "truth", "careless cron", "fc-reaper"), rows))
    confirmed = [one for one in reaper.log.values() if one.event == "confirmed"]
    for line in confirmed[:1]:
        show("", 'One line of its log answers "why mine?":', json.dumps(line.fields()))
    _, wrong, _, missed = score_of(reaper)
    show("", _total("careless cron", cron), _total("fc-reaper", reaper))
    show("Counted from the journal of the emulator.", "")
    show_next()
    return Exit.ATTENTION if dry_run.requests or wrong or missed else Exit.DONE


def show_next() -> None:
    """The next command, as it works from here."""
    if Path("policy.yaml").exists():
        show("Next: what the policy here means, and what it costs.")
        output.print_line(f"  {output.as_typed('check', 'policy.yaml')}")
    else:
        show("Next: a policy.yaml of your own. With its schema editors complete and check it.")
        output.print_line(f"  {output.as_typed('schema')} > policy.schema.json")


@contextmanager
def _emulator() -> Iterator[str]:
    seed = ("--seed", str(HERE / "demo_seed.json"))
    command = [sys.executable, "-m", "fc_emulator", "--port", "0", "--list-lag", "30s", "--stopping", "300ms"]
    with Popen([*command, *seed], stdout=PIPE, stderr=PIPE, text=True, env=_clean_environment()) as process:
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


def _admin(endpoint: str, path: str, body: object = None) -> Any:
    """Send a request to the emulator's admin API: POST with a *body*, else GET."""
    data = None if body is None else json.dumps(body).encode()
    with _OPENER.open(f"{endpoint}/_emulator/{path}", data, timeout=10) as answer:
        return json.load(answer)


class Attempt(NamedTuple):
    """What one reaper did: the tasks before it came, and its stop requests, which the journal holds after it.

    `log` has fc-reaper's last log line about each task.
    """

    tasks: Sequence[Record]
    requests: Sequence[Record]
    log: Mapping[str, TaskLine] = {}

    def about(self, task: Record) -> list[Record]:
        """The requests about one task."""
        return [one for one in self.requests if one["invocationId"] == task["invocationId"]]

    def stopped(self, task: Record) -> bool:
        """Whether one of them took effect."""
        return any(one["from"] != one["to"] for one in self.about(task))


def _attempt(endpoint: str, reaper: Callable[[str], Log]) -> Attempt:
    _admin(endpoint, "reset", {})
    _admin(endpoint, "faults", _LOST)
    tasks = _admin(endpoint, "tasks")["tasks"]
    _admin(endpoint, "clock", {"advance": "100ms"})  # one task ends, and the lists still show it as running
    log = reaper(endpoint)
    _admin(endpoint, "clock", {"advance": "1m"})  # every accepted stop comes to its end
    return Attempt(tasks, [one for one in _admin(endpoint, "journal")["journal"] if "answer" in one], log)


def _run_cron(endpoint: str) -> Log:
    # A default entry in a .netrc would replace fc2's signature.
    settings = {"ENDPOINT": endpoint, "KEY": _KEYS[0], "SECRET": _KEYS[1], "NETRC": os.devnull}
    env = {**_clean_environment(), **settings}
    run([sys.executable, HERE / "careless_cron.py"], env=env, capture_output=True, check=False)
    return {}


def _run_reaper(endpoint: str, mode: str) -> Log:
    env = {
        "REAPER_ENDPOINT": endpoint,
        "REAPER_POLICY": str(HERE / "demo_policy.yaml"),
        "REAPER_MODE": mode,
        "REAPER_RATE": "1000/s",
        "REAPER_LOG_LEVEL": "DEBUG",  # with a line for every task that is kept
        "ALIBABA_CLOUD_ACCESS_KEY_ID": _KEYS[0],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": _KEYS[1],
    }
    lines = Lines()
    run_local(_TIMER, env, timeout=60.0, listener=lines)
    about_tasks = [line for line in lines if isinstance(line, TaskLine)]
    # A stuck task is kept, too: what kept it counts only where nothing else is said of a task.
    about_tasks.sort(key=lambda line: line.event not in ("kept", "exempt"))
    return {line.invocation_id: line for line in about_tasks}


def score_of(attempt: Attempt) -> tuple[int, int, int, int]:
    """How many stop requests were right, wrong, and for nothing, and how many tasks were missed.

    By the stops in the journal, and what the owner of each task wants.
    """
    took = Counter((_is_unwanted(task), attempt.stopped(task)) for task in attempt.tasks)
    right, wrong, missed = took[True, True], took[False, True], took[True, False]
    return right, wrong, len(attempt.requests) - right - wrong, missed


def _is_unwanted(task: Record) -> bool:
    """What the owner of the task wants; neither reaper reads it."""
    return bool(json.loads(task["invocationPayload"])["owner"] == "stop")


def _cron_cell(task: Record, cron: Attempt) -> Text:
    requests, unwanted = cron.about(task), _is_unwanted(task)
    if cron.stopped(task):
        stopped = "stopped" if len(requests) == 1 else "stops it twice"
        return Text(stopped) if unwanted else Text("STOPPED wrong", BAD)
    if not requests:
        return Text("left alone")
    # It takes every answer without an error for a stop.
    return Text('"stopped"' if requests[-1]["answer"]["status"] < 300 else "error", BAD)


def _reaper_cell(task: Record, reaper: Attempt) -> Text:
    line, stopped = reaper.log.get(task["invocationId"]), reaper.stopped(task)
    if line is None or stopped != _is_unwanted(task):
        return Text("STOPPED wrong" if stopped else "kept, which is wrong", BAD)
    over, limit = map(output.format_seconds, (line.over_s, line.limit_s))
    said = {
        "confirmed": f"stopped, confirmed; {over} over",
        "kept": f"kept: {line.rule} {int(line.age_s or 0) // 60}m of {limit}",
        "exempt": "kept: exempt, policy.yaml:2",
        "ended": "ended: not an error",
        "stuck": "STUCK: reported",
    }
    style = GOOD if stopped else BAD if line.event == "stuck" else ""
    return Text(said.get(line.event, line.event), style)


def _total(who: str, attempt: Attempt) -> Text:
    right, wrong, for_nothing, missed = score_of(attempt)
    requests = counted(right + wrong + for_nothing, "stop request")
    wrongly = f"{wrong} {'WRONG' if wrong else 'wrong'}"
    what = f"{right} right, {wrongly}, {for_nothing} for nothing, {missed} missed"
    return Text.assemble(f"{who:<15}{requests}: ", (what, BAD if wrong else GOOD))
