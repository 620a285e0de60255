"""The code of the function `fc-reaper-probe`, which deploy/s-probe.yaml deploys; it needs nothing else."""

import json
from threading import Event

_stopped = Event()


def handler(event: bytes, context: object = None) -> None:
    """Sleep as a payload such as `{"sleep_s": 20, "fail": true}` says, for 90 s at most, then fail or not."""
    asked = json.loads(event)
    _stopped.wait(min(float(asked["sleep_s"]), 90.0))
    if asked.get("fail"):
        raise RuntimeError("it fails as its payload says")


def pre_stop(context: object = None) -> None:
    """The PreStop hook of the instance: end the sleep at once."""
    _stopped.set()
