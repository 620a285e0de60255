"""The observation: tasks in all their states, and what Get, List and Stop say about each."""

import re
from contextlib import suppress
from typing import Any

from fc_reaper.clock import Clock
from fc_reaper.cloud.errors import CallFailed
from fc_reaper.cloud.records import read_moment
from fc_reaper.errors import CloudError
from fc_reaper.models import FINISHED, LATEST, STOPPED, STOPPING, UNFINISHED
from fc_reaper.probing.client import SleeperClient

# All that is submitted: qualifier, payload, delay in seconds. `alias` only where there is such an alias.
TASKS: dict[str, tuple[str, dict[str, Any], int]] = {
    "late": (LATEST, {"sleep_s": 1}, 15), "queued": (LATEST, {"sleep_s": 1}, 300),
    "short": (LATEST, {"sleep_s": 2}, 0), "long": (LATEST, {"sleep_s": 60}, 0),
    "fails": (LATEST, {"sleep_s": 2, "fail": True}, 0), "alias": ("probe", {"sleep_s": 1}, 0),
}  # fmt: skip
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
        self.facts: dict[str, Any] = {}
        self.notes: list[str] = []
        self.left: list[str] = []
        self._stops: dict[str, str] = {}  # what was answered, by the status of the task
        self.observed: dict[str, Any] = {"stops": self._stops}
        self._pairs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}  # a task as by Get, and by List
        self._seen = self._lag = -1.0
        self._submitted = self._first = 0.0  # when all was; and the startedTime of the task that is delayed
        self._kept = False  # whether a retry has the startedTime of the first attempt

    def observe(self) -> None:
        """Submit the tasks and observe them; then stop what is left, also after an error or a signal."""
        parts = [self._unknown, self._queue, self._running, self._stopping, self._finished, self._retrying]
        parts += [self._delayed, self._lists, self._alias]
        try:
            for part in parts:
                try:
                    part()
                except CallFailed as error:
                    self.notes.append(f"not wholly observed ({part.__name__[1:]}): {error}")
        except (CloudError, KeyboardInterrupt) as why:  # that nothing more can be observed
            self.notes.append(getattr(why, "detail", "interrupted"))
        finally:
            pairs = self._pairs.items()
            fields = {of: {"Get": shape(got), "List": shape(listed)} for of, (got, listed) in pairs}
            self.observed["fields"] = fields
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
        names, prefix = self._client.names, self._client.prefix
        page = self._client.ask("List", name, **query).value or {}
        tasks = ({"status": "", names.id_field: "", **task} for task in page.get(names.tasks) or ())
        by_id = ((str(task[names.id_field]), task) for task in tasks)
        return {key.removeprefix(prefix): task for key, task in by_id if key.startswith(prefix)}

    def _until(self, name: str, *statuses: str, since: float = 0.0, listed: bool = False) -> dict[str, Any]:
        """Get or List a task until it has one of *statuses*, two minutes; `_seen` is how long it had none."""
        self._seen, record = -1.0, {"status": ""}
        begun = since or self._now()
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
        self._first = self._started(waiting)
        self.observed["delayed"] = waiting["status"]
        self._pairs["delayed"] = waiting, self._listed("late", *UNFINISHED, *FINISHED)

    def _running(self) -> None:
        record = self._until("long", "Running", "Retrying", *FINISHED)
        if record["status"] != "Running":
            raise CloudError(f"a task that should run is {record['status']}; see concurrency and log")
        listed = self._listed("long", "Running", *FINISHED)
        self._pairs["running"] = record, listed
        self.facts["events"] = "list" if listed.get("events") else "get" if record.get("events") else "no"
        arn = re.search("([:/])functions/", str(record.get("functionArn")))
        self.facts["arn"] = {":": "colon", "/": "slash"}[arn[1]] if arn else None
        said = {verb: self._client.said(verb, "long", "none") for verb in ("Get", "Stop")}
        self.observed["wrong_qualifier"] = said

    def _stopping(self) -> None:
        self._stops["running"] = answer = self._client.said("Stop", "long")
        since = self._now()
        self.facts["stop_answer"] = {"200": 200, "204": 204}.get(answer)
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
        first = self._started(self._get("fails"))
        record = self._until("fails", "Retrying", *FINISHED)
        if record["status"] == "Retrying":
            self._pairs["retrying"] = record, self._until("fails", "Retrying", *FINISHED, listed=True)
        record = self._until("fails", *FINISHED)
        last, retries = self._started(record), record.get("alreadyRetriedTimes")
        self._kept = bool(retries and first and last and abs(first - last) < 1)
        self._pairs["retried"] = record, self._until("fails", *FINISHED, listed=True)

    def _delayed(self) -> None:
        started = self._started(self._until("late", "Running", *FINISHED))
        early = started - self._submitted < TASKS["late"][2] / 2
        waited = self.observed.get("delayed") in ("Enqueued", "Dequeued", "Processed")
        if started and waited and self._client.skew_ms < 3000:
            if not self._first and not early:
                self.facts["started_time"] = "execution"
            elif self._first and early and abs(started - self._first) < 1 and self._kept:
                self.facts["started_time"] = "enqueue"  # which also says that no retry changes it

    def _lists(self) -> None:
        orders = dict[str, object]()
        for way in ("asc", "desc", ""):
            listed = self._list(sortOrderByTime=way).values()
            times = [read_moment(task.get("startedTime")) or 0 for task in listed]
            rises, falls = times == sorted(times), times == sorted(times)[::-1]
            orders[way or "default"] = "asc" if rises else "desc" if falls else "none"
        whole = self._list()
        first = self._client.ask("List", limit="2", sortOrderByTime="asc").value or {}
        follows = [*self._list(limit="2", nextToken=first.get("nextToken") or "")] == [*whole][2:4]
        self.observed["order"] = {**orders, "pages_follow": follows}
        at = read_moment(whole.get("short", {}).get("startedTime")) or 0
        sides = [(f"startedTime{side}", more) for side in ("Begin", "End") for more in (-1, 0, 1)]
        tried = {f"{name} {more:+} ms": (name, str(at + more)) for name, more in sides}
        tried |= {f"status {status}": ("status", status) for status in ("Succeeded", "Failed")}
        found = {what: "short" in self._list(**{name: text}) for what, (name, text) in tried.items()}
        self.observed["filters"] = {**found, "prefix": [*self._list("short")] == ["short"]}

    def _alias(self) -> None:
        if self._client.said("List", "", TASKS["alias"][0])[:3] != "404":
            self._submit("alias")
            shown = str(self._until("alias", *FINISHED).get("qualifier"))
            known = {TASKS["alias"][0]: "asked"} | ({shown: "version"} if shown.isdecimal() else {})
            self.facts["record_qualifier"] = known.get(shown)
            self.observed["alias"] = {"Get by LATEST": self._client.said("Get", "alias")}
