"""Faults that the referee must catch, each one edit of the product; `python -m tests.referee.planted` plants all.

A fault is a text that stands once in `src/fc_reaper`, in whatever module, and what stands in its place. Where
the text is gone the product was rewritten: write the same fault anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SRC = Path(__file__).parents[2] / "src"


class Planted(NamedTuple):
    """One fault: what it does, the text that is replaced, and by what."""

    what: str
    text: str
    by: str


FAULTS = (
    # Whether a task is due
    Planted("exactly at the limit is over it", "moment.earliest - self.latest > limit", "moment.earliest - self.latest >= limit"),
    Planted("now is the later of two clocks", "if self.latest is not None and moment.earliest - self.latest", "if self.latest is not None and moment.latest - self.latest"),
    Planted("a young task loses its exemption by the earlier clock", "moment.latest - self.earliest <= limit", "moment.earliest - self.earliest <= limit"),
    Planted("unknown passes for over", "            return FALSE\n        return UNKNOWN\n\n\ndef flaw", "            return FALSE\n        return TRUE\n\n\ndef flaw"),
    Planted("a date in the future is a date", "or events[-1].at > latest", "or False"),
    Planted("an event without a date is left out", "if task.undated or (events", "if (events"),
    Planted("a status may contradict the latest event", "if events[-1].status != status:", "if False:"),
    Planted("a record may say that the task ended", "if any(event.status in FINISHED for event in events):", "if False:"),
    Planted("startedTime may come after the latest event", "if task.started_at is not None and task.started_at > events[-1].at + _LATE:", "if False:"),
    Planted("a record that lacks restarts is complete", '>= task.retries\n', '>= 0\n'),
    Planted("a record without its head is complete", 'task.events[0].status != "Enqueued":', "False:"),
    Planted("startedTime is when the attempt began", "(clock == \"alive_for\" or task.retries == 0)", "True"),
    Planted("the first Running event counts, not the latest", "for event in reversed(events) if event.status == name", "for event in events if event.status == name"),
    Planted("exempt tasks are stopped", "if exemption is not None and exemption.result.holds is TRUE:", "if False:"),
    Planted("a task that may be exempt is stopped", "        if exemption is not None and verdict.kind in CLAIMS:\n            verdict =", "        if False:\n            verdict ="),
    Planted("an exemption is void by the later clock", "Truth(reading.moment.earliest <= self.wanted)", "Truth(reading.moment.latest <= self.wanted)"),
    Planted("an exemption never ends", "Truth(reading.moment.earliest <= self.wanted)", "Truth(True)"),
    Planted("an exemption that ends earlier needs no approval", "if until > ends.get(rest, \"\")]", "if rest not in ends]"),
    Planted("unless is not evaluated", "    unless = _first_exemption(compiled.unless, reading)\n", "    unless = None\n"),
    Planted("a task that unless may spare is stopped", "kind, reason = Kind.UNKNOWN, f\"cannot tell whether it is spared", "kind, reason = kind, f\"cannot tell whether it is spared"),
    Planted("one key of a matcher suffices", "        whole &= result.holds\n        if whole is FALSE:\n            return result\n", "        if result.holds is not FALSE:\n            whole &= result.holds\n"),
    Planted("the reaper may stop itself", "own_function=is_own(function, self._context.settings.ourselves)", "own_function=False"),
    Planted("report stops", "    kind = Kind.DUE if policy.stops else Kind.REPORTED\n    if unless", "    kind = Kind.DUE\n    if unless"),
    Planted("a longer limit of the task counts", "if carried > limit.at_most:", "if False:"),
    Planted("a task that carries no limit is within it", "return limit.otherwise, \"else\"", "return limit.at_most, \"else\""),
    # Which of the due tasks
    Planted("one too many in a group of keep", "more = len(group) - keep.at_most\n", "more = len(group) - keep.at_most + 1\n"),
    Planted("one too few in a group of keep", "more = len(group) - keep.at_most\n", "more = len(group) - keep.at_most - 1\n"),
    Planted("keep stops the other end of a group", "group.sort(key=lambda one: by_age(*one), reverse=keep.stop_first == \"newest\")", "group.sort(key=lambda one: by_age(*one), reverse=keep.stop_first == \"oldest\")"),
    Planted("keep chooses spared tasks", "going = [one for one in group if one[0].selectable][:more]", "going = group[:more]"),
    Planted("strangers share a group", "    if blank or value in (None, [], {}):\n        raise Undecided", "    if False:\n        raise Undecided"),
    Planted("holdout spares nobody", "number * 10_000 < share * 2**64", "False"),
    Planted("halt_over halts one too late", "    if due is not None and due > most:", "    if due is not None and due > most + 1:"),
    Planted("halt_over counts only what an event names", "        if policy.name in self._whole:\n            return len(due)", "        if True:\n            return len(due)"),
    Planted("a failed listing halts nobody", "return unseen or not self._finder.is_known(policy.targets)", "return False"),
    Planted("the least overdue first", 'attrgetter("order") if keep', "(lambda one: tuple(-x if type(x) in (int, float) else x for x in one.order)) if keep"),
    Planted("one more than the budget", "room = min(one.allowed.most, len(one.first))", "room = min(one.allowed.most + 1, len(one.first))"),
    Planted("one less than the budget", "room = min(one.allowed.most, len(one.first))", "room = min(max(0, one.allowed.most - 1), len(one.first))"),
    Planted("what was stopped today does not count", "max(0, policy.budget.per_day - stopped - granted)", "max(0, policy.budget.per_day - granted)"),
    Planted("the day has twelve hours", "DAY: Millis = 86_400_000", "DAY: Millis = 43_200_000"),
    Planted("other policies of the run do not count", "max(0, policy.budget.per_day - stopped - granted)", "max(0, policy.budget.per_day - stopped)"),
    Planted("tasks that are held out count for halt_over", "selection.due - selection.held_out + selection.counted", "selection.due + selection.counted"),
    Planted("what another policy stops counts for keep", "or verdict.kind is Kind.DUE or task.status", "or task.status"),
    Planted("what another keep policy stops counts for keep", "                    other.exclude(task)", "                    pass"),
    Planted("a listing that the time cut off is complete", "        if late or task is not None:\n", "        if task is not None:\n"),
    Planted("a group is complete without a task that could not be read", "        if late or task is not None:\n", "        if late:\n"),
    Planted("a task that never ran takes no place of the day", "    yield Query(function, STOPPED, started_before=YEAR_2017)\n", ""),
    # How it is stopped
    Planted("a dry run stops", "enforces = settings.mode == \"enforce\" and trigger.dry_run_asked_at is None", "enforces = settings.mode == \"enforce\""),
    Planted("nothing is read again", "        if not is_same(due.task, task):\n            return Outcome(\"skipped\", due, \"spared\", REPLACED)\n", "        return Outcome(\"would_stop\", Evaluation(task, due.verdict))\n"),
    Planted("a record of another task is as good", "    if asked is not None and found != asked:", "    if False:"),
    Planted("no rate bounds the calls", "turn = max(turn, self._begun[0] + self._period)", "pass"),
    Planted("clocks may differ", "if skew is None or max(skew, context.cloud.skew_ms) > TRUSTED_SKEW:", "if False:"),
    Planted("an answer without a date will do", "if skew is None or max(skew", "if skew is not None and max(skew"),
    Planted("a lost answer gives its place back", "return self.is_stop or self.unclear or self.spent", "return self.is_stop or self.spent"),
    Planted("accepted is confirmed", "return outcome._replace(name=\"accepted\")", "return outcome._replace(name=\"confirmed\")"),
    Planted("nobody reads what became of a stop", "    if unverified:\n            self._verify(unverified)", "    if False:\n            self._verify(unverified)"),
    Planted("everything is kept", "        return Outcome(\"would_stop\", now)\n", "        return Outcome(\"skipped\", now, \"spared\", \"no\")\n"),
    Planted("a place that brought no stop is lost", "        if not outcome.is_spent:\n            self._take(name, -1)", "        if False:\n            self._take(name, -1)"),
    Planted("the recheck of keep is left out", "if policy.keep is not None and sum(counts) < policy.keep.at_most:", "if False:"),
    Planted("a task that is Stopping is confirmed", "if task.status == STOPPED and (stop.accepted", "if task.status in (STOPPED, STOPPING) and (stop.accepted"),
    Planted("one refusal denies a whole function", "_DENIALS = 3", "_DENIALS = 1"),
    Planted("a run takes the time that is kept free", "settings.timeout - settings.margin / 1000", "settings.timeout"),
    # What is sent and read
    Planted("any answer but a 2xx is a refusal", "        unclear=not typed,", "        unclear=False,"),
    Planted("a broken connection is a refusal", "code, retryable, unclear = \"ConnectionFailed\", True, True", "code, retryable, unclear = \"ConnectionFailed\", True, False"),
    Planted("a list ends with its first page", "return items, token or None", "return items, None"),
    Planted("a list without its key is empty on any page", "if items is None and (asked or foreign):", "if items is None and foreign:"),
    Planted("an error ends a list like its end", "        elif not late:\n            report.not_listed(query.function, query.status, error)", "        elif not late:\n            pass"),
    Planted("a stop is sent twice", "            cloud.stop(function, invocation_id, deadline=until)\n", "            cloud.stop(function, invocation_id, deadline=until)\n            cloud.stop(function, invocation_id, deadline=until)\n"),
    Planted("the local clock alone is now", "moment = Moment(min(sent, date), max(received, date + 1000), skew)", "moment = Moment(sent, received, 0)"),
    Planted("the filter by startedTime is an hour too early", "return PushDown(now - self.wanted + SLACK)", "return PushDown(now - self.wanted - 3_600_000)"),
    Planted("everything is asked for under LATEST", "{\"qualifier\": qualifier}", "{\"qualifier\": \"LATEST\"}"),
    Planted("seconds are milliseconds", "if millis is not None and millis < _SECONDS_BELOW:", "if False:"),
    # What an event may do
    Planted("a wish is heard at the top only", "        found = wish_in(one, quoting", "        found = None and wish_in(one, quoting"),
    Planted("triggers are not asked for", "return not self.triggers or kind in self.triggers or named", "return True"),
    Planted("what an event names is not asked for", "fits = fits and (not self.request.selector.names_functions or names(self.request.selector, function))", "fits = fits"),
    Planted("a function is in no shard", "% self._shards == self._number - 1", "% (self._shards + 1) == self._number - 1"),
    Planted("keep and halt_over are counted by share", "                return self.owns(policy)\n", "                return self._has(str(function))\n"),
    Planted("a lock approves everything", "        if name not in approved:\n", "        continue\n        if name not in approved:\n"),
    # Who is told
    Planted("nobody owns what is stopped", "named = owner_of(owner, reading) or stop.due.verdict.owner", "named = None"),
    Planted("nobody owns what is stuck", "by=stuck, owner=owner)", "by=stuck, owner=None)"),
)  # fmt: skip
"""In the order of a run."""


class CannotPlant(Exception):
    """The text of a fault does not stand once in the product."""


@contextmanager
def planted(fault: Planted) -> Iterator[Path]:
    """A copy of the sources with *fault* in it.

    Raises:
        CannotPlant: the product was rewritten where the fault was.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(SRC, copy, ignore=shutil.ignore_patterns("__pycache__"))
        found = [path for path in copy.glob("fc_reaper/**/*.py") if fault.text in path.read_text("utf-8")]
        if len(found) != 1 or found[0].read_text("utf-8").count(fault.text) != 1:
            raise CannotPlant(f"{fault.what}: the text stands in {len(found)} modules: {fault.text!r}")
        found[0].write_text(found[0].read_text("utf-8").replace(fault.text, fault.by), "utf-8")
        yield copy


def caught_by(fault: Planted, worlds: int) -> str | None:
    """The first breach that the referee finds within so many worlds, None if it finds none."""
    with planted(fault) as sources:
        command = [sys.executable, "-m", "tests.referee", "--worlds", "0", str(worlds), "--first"]
        path = os.pathsep.join([str(sources), str(SRC.parent)])
        env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=env, cwd=SRC.parent, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        return f"it does not run: {done.stderr.strip().splitlines()[-1][:300]}"
    return done.stdout.splitlines()[0] if done.returncode else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.referee.planted", description=__doc__)
    parser.add_argument("--worlds", type=int, default=2000, help="in how many worlds each is looked for")
    parser.add_argument("words", nargs="*", help="only faults whose description has one of these")
    options = parser.parse_args()
    missed = 0
    for fault in FAULTS:
        if options.words and not any(word in fault.what for word in options.words):
            continue
        try:
            breach = caught_by(fault, options.worlds)
        except CannotPlant as error:
            breach, missed = f"cannot be planted; {error}", missed + 1
        missed += breach is None
        print(f"{fault.what}: {breach or 'NOT CAUGHT'}"[:240], flush=True)
    print(f"{len(FAULTS)} faults, {missed} not caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
