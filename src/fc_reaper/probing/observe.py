"""The observation: tasks in all their states, and what Get, List and Stop say about each."""

import re
from contextlib import suppress
from typing import Any

from fc_reaper.clock import Clock
from fc_reaper.cloud.errors import CallFailed
from fc_reaper.cloud.records import read_moment
from fc_reaper.errors import CloudError
from fc_reaper.models import ALIVE, FINISHED, LATEST, STOPPED, STOPPING, UNFINISHED
from fc_reaper.probing.client import SleeperClient

TASKS: dict[str, tuple[str, dict[str, Any], int]] = {
    "late": (LATEST, {"sleep_s": 1}, 15), "queued": (LATEST, {"sleep_s": 1}, 300),
    "short": (LATEST, {"sleep_s": 2}, 0), "long": (LATEST, {"sleep_s": 60}, 0),
    "fails": (LATEST, {"sleep_s": 2, "fail": True}, 0), "alias": ("probe", {"sleep_s": 1}, 0),
}  # fmt: skip
"""All that is submitted: qualifier, payload, delay in seconds. `alias` only where there is such an alias."""

_PARTS = "unknown", "queue", "running", "stopping", "finished", "retrying", "delayed", "lists", "alias"
LENGTHS = (0, 1, 2, 3, 5, 10, 15, 30, 60, 90, 120)  # rounded up to, so that an account gives one file
_WAITS = (0.5,) * 10 + (2.0,) * 5 + (10.0,) * 11 + (0.0,)  # between two readings: tells these lengths apart


def shape(record: dict[str, Any]) -> dict[str, list[str]]:
    """Which fields a record has, and its times: about so long after the earliest; `durationMs` as it is."""
    named = [(one.get("status"), one.get("timestamp")) for one in record.get("events") or ()]
    named += [(key, record.get(key)) for key in ("startedTime", "endTime")]
    dated = [(name, moment) for name, at in named if (moment := read_moment(at))]
    first = min((moment for _, moment in dated), default=0)
    lengths = [*((name, at - first) for name, at in dated), ("durationMs", record.get("durationMs"))]
    times = [f"{name} {rounded(length / 1000 - 0.5)}" for name, length in lengths if isinstance(length, int)]
    return {"fields": sorted(key if record[key] else f"{key} (empty)" for key in record), "times": times}


def rounded(seen: float) -> str:
    """What was seen to last for more than *seen* seconds, at most two minutes; below 0: it was not seen."""
    return f"{min((length for length in LENGTHS if length > seen), default=LENGTHS[-1])}s"


class Probe:
    """One probe. `notes` say what was not observed, and why, `left` which tasks may still be alive."""

    def __init__(self, client: SleeperClient, clock: Clock) -> None:
        self._client, self._clock, self._now = client, clock, clock.monotonic
        self._stops, self._pairs = dict[str, str](), dict[str, tuple[dict[str, Any], dict[str, Any]]]()
        self.facts, self.notes, self.left = dict[str, Any](), list[str](), list[str]()
        self.observed: dict[str, Any] = {"stops": self._stops}
        self._seen, self._lag, self._submitted, self._first, self._kept = -1.0, -1.0, 0.0, 0.0, False

    def observe(self) -> None:
        """Submit the tasks and observe them; then stop what is left, also after an error or a signal."""
        try:
            for part in _PARTS:
                try:
                    getattr(self, f"_{part}")()
                except CallFailed as error:
                    self.notes.append(f"not wholly observed ({part}): {error}")
        except (CloudError, KeyboardInterrupt) as why:  # that nothing more can be observed
            self.notes.append(getattr(why, "detail", "interrupted"))
        finally:
            pairs = self._pairs.items()
            self.observed["fields"] = {of: {"Get": shape(a), "List": shape(b)} for of, (a, b) in pairs}
            self._client.until = self._now() + 20
            for name in [*self.left]:
                with suppress(CloudError):
                    # Whatever else the answer is, the task is over, or about to be.
                    if self._client.said("Stop", name, TASKS[name][0])[:3] not in ("401", "403"):
                        self.left.remove(name)

    def _submit(self, name: str) -> None:
        self.left.append(name)  # before the call: its answer may be lost
        try:
            self._client.submit(name, *TASKS[name])
        except CallFailed as error:
            if not error.unclear:
                self.left.remove(name)
            raise CloudError(f"no task can be submitted, by fc:InvokeFunction: {error}") from None

    def _get(self, name: str) -> dict[str, Any]:
        record = {"status": "", **(self._client.ask("Get", name, TASKS[name][0]).value or {})}
        if record["status"] in FINISHED and name in self.left:
            self.left.remove(name)
        return record

    def _list(self, name: str = "", **query: str) -> dict[str, dict[str, Any]]:
        """The tasks of a page by their names, in its order."""
        query = {key: value for key, value in {"sortOrderByTime": "asc", **query}.items() if value}
        names, page = self._client.names, self._client.ask("List", name, **query).value or {}
        tasks = ({"status": "", names.id_field: "", **task} for task in page.get(names.tasks) or ())
        own, prefix = ((str(task[names.id_field]), task) for task in tasks), self._client.prefix
        return {key.removeprefix(prefix): task for key, task in own if key.startswith(prefix)}

    def _until(self, name: str, *statuses: str, since: float = 0.0, listed: bool = False) -> dict[str, Any]:
        """Get or List a task until it has one of *statuses*, two minutes; `_seen` is how long it had none."""
        begun, self._seen, record = since or self._now(), -1.0, {"status": ""}
        for wait in _WAITS:
            at = self._now() - begun
            record = self._list().get(name, record) if listed else self._get(name)
            if record["status"] in statuses:
                break
            self._seen = at
            self._clock.sleep(wait)
        return record

    def _listed(self, name: str, *statuses: str) -> dict[str, Any]:
        """A task once a list shows what Get has shown; the longest time that it did not is a fact."""
        record = self._until(name, *statuses, listed=True)
        if record["status"] not in statuses:
            raise CloudError("a list does not show within two minutes what Get shows")
        self._lag = max(self._lag, self._seen)
        self.facts["list_lag"] = rounded(self._lag)
        return record

    def _started(self, record: dict[str, Any]) -> float:
        """A `startedTime` on our own clock, so that a skew is the same in each; 0 where there is none."""
        at, now = read_moment(record.get("startedTime")), self._clock.now()
        return 0.0 if at is None else self._now() - (now - at) / 1000

    # The parts

    def _unknown(self) -> None:
        said = {verb: self._client.said(verb, "none") for verb in ("Get", "Stop")}
        granted = {verb: answer[:3] not in ("401", "403") for verb, answer in said.items()}
        self.observed |= {"unknown_task": said, "rights": {"List": True, **granted}}
        page = self._client.ask("List", "none").value or {}
        self.facts["empty_list"] = "omitted" if page.get(self._client.names.tasks) is None else "key"

    def _queue(self) -> None:
        self._submitted = self._now()
        for name in ("late", "queued", "short", "long"):
            self._submit(name)
        waiting = self._get("late")
        self._first, self.observed["delayed"] = self._started(waiting), waiting["status"]
        self._pairs["delayed"] = waiting, self._listed("late", *UNFINISHED, *FINISHED)

    def _running(self) -> None:
        record = self._until("long", "Running", "Retrying", *FINISHED)
        if record["status"] != "Running":
            raise CloudError(f"a task that should run is {record['status']}; see concurrency and log")
        listed = self._listed("long", "Running", *FINISHED)
        self._pairs["running"] = record, listed
        self.facts["events"] = "list" if listed.get("events") else "get" if record.get("events") else "no"
        arn = re.search("([:/])functions/", str(record.get("functionArn")))
        self.facts["arn"] = arn and {":": "colon", "/": "slash"}[arn[1]]
        self.observed["wrong_qualifier"] = {v: self._client.said(v, "long", "none") for v in ("Get", "Stop")}

    def _stopping(self) -> None:
        self._stops["running"] = answer = self._client.said("Stop", "long")
        since, self.facts["stop_answer"] = self._now(), {"200": 200, "204": 204}.get(answer)
        if self._get("long")["status"] == STOPPING:
            again = self._client.said("Stop", "long")
            if self._get("long")["status"] == STOPPING:
                self._stops["stopping"] = again
                self.facts["stop_stopping"] = 200 if again[0] == "2" else {"412": 412}.get(again[:3])
        self._stops["queued"] = self._client.said("Stop", "queued")
        status = self._until("long", *FINISHED, since=since)["status"]
        self.facts["stopping"] = {STOPPING: "never", STOPPED: rounded(self._seen)}.get(status)
        if status == STOPPED:
            self._stops["stopped"] = self._client.said("Stop", "long")
        self.observed["queued_becomes"] = self._get("queued")["status"]

    def _finished(self) -> None:
        record = self._until("short", *FINISHED)
        self._pairs["finished"] = record, self._listed("short", *FINISHED)
        self._stops["finished"] = answer = self._client.said("Stop", "short")
        self.facts["stop_finished"] = {"400": 400, "412": 412}.get(answer[:3])
        if events := record.get("events"):
            details = "".join(str(event.get("eventDetail") or "") for event in events)
            self.facts["event_detail"] = "log-tail" if "logTail" in details else None if details else "empty"

    def _retrying(self) -> None:
        self._submit("fails")
        first, record = self._started(self._get("fails")), self._until("fails", "Retrying", *FINISHED)
        if record["status"] == "Retrying":
            self._pairs["retrying"] = record, self._until("fails", "Retrying", *FINISHED, listed=True)
        record = self._until("fails", *FINISHED)
        last, retries = self._started(record), record.get("alreadyRetriedTimes")
        self._kept = bool(retries and first and last and abs(first - last) < 1)
        self._pairs["retried"] = record, self._until("fails", *FINISHED, listed=True)

    def _delayed(self) -> None:
        started, first = self._started(self._until("late", "Running", *FINISHED)), self._first
        early = started - self._submitted < TASKS["late"][2] / 2
        if started and self._client.skew_ms < 3000 and self.observed["delayed"] in (*ALIVE[:2], "Processed"):
            if not first and not early:
                self.facts["started_time"] = "execution"
            elif first and early and abs(started - first) < 1 and self._kept:
                self.facts["started_time"] = "enqueue"  # which also says that no retry changes it

    def _lists(self) -> None:
        orders = dict[str, object]()
        for way in ("asc", "desc", ""):
            listed = self._list(sortOrderByTime=way).values()
            times = [read_moment(task.get("startedTime")) or 0 for task in listed]
            rises, falls = times == sorted(times), times == sorted(times)[::-1]
            orders[way or "default"] = "asc" if rises else "desc" if falls else "none"
        whole, first = self._list(), self._client.ask("List", limit="2", sortOrderByTime="asc").value or {}
        follows = [*self._list(limit="2", nextToken=first.get("nextToken") or "")] == [*whole][2:4]
        self.observed["order"] = {**orders, "pages_follow": follows}
        at = read_moment(whole.get("short", {}).get("startedTime")) or 0
        sides = [(f"startedTime{side}", more) for side in ("Begin", "End") for more in (-1, 0, 1)]
        tried = {f"{name} {more:+} ms": (name, str(at + more)) for name, more in sides}
        tried |= {f"status {status}": ("status", status) for status in ("Succeeded", "Failed")}
        found = {what: "short" in self._list(**dict([one])) for what, one in tried.items()}
        self.observed["filters"] = {**found, "prefix": [*self._list("short")] == ["short"]}

    def _alias(self) -> None:
        if self._client.said("List", "", TASKS["alias"][0])[:3] != "404":
            self._submit("alias")
            shown = str(self._until("alias", *FINISHED).get("qualifier"))
            known = {TASKS["alias"][0]: "asked"} | ({shown: "version"} if shown.isdecimal() else {})
            self.facts["record_qualifier"] = known.get(shown)
            self.observed["alias"] = {"Get by LATEST": self._client.said("Get", "alias")}
