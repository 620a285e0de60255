"""docs/redrive.md: what was stopped is submitted again by the official SDKs, as the page does it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import Any

import pytest

from tests.emulator_server import Emulator, running_emulator
from tests.project.files import ROOT
from tests.project.markdown import fences
from tests.reaping import KEYS, reap
from tests.run.account import policy, seeded

# The SDKs themselves still use what Python 3.12 and later advise against.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")

TEXT = (ROOT / "docs" / "redrive.md").read_text("utf-8")
TWO, THREE = (fence.text for fence in fences(TEXT, "python"))
PAYLOAD = {"order": "o-7", "name": "é 媒体"}
STILL = {"sleep_s": 600}
TASK = seeded("job-7", "Running", enqueued="-5h", started="-3h", payload={**PAYLOAD, **STILL})
RESIZE = {"functionName": "resize", "invocationId": "job-7", "status": "Running", "enqueued": "-5h",
          "started": "-3h", "payload": {**PAYLOAD, **STILL}}  # fmt: skip
PLACES = {
    "2.0": (TWO, ("media", "transcode", "prod"), TASK),
    "3.0": (THREE, ("resize", "LATEST"), RESIZE),
}


def redrive(
    cloud: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    place: tuple[str, ...],
    again: str = "job-7-again",
) -> None:
    """Run the script as typed; the emulator speaks plain http."""
    for name, value in {**KEYS, "FC_ENDPOINT": cloud.endpoint.removeprefix("http://")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["redrive.py", *place, "job-7", "job-7-again"])
    assert "        endpoint=" in text
    exec(text.replace("        endpoint=", '        protocol="http",\n        endpoint='), {})


@pytest.mark.parametrize(("text", "place", "seed"), PLACES.values(), ids=PLACES)
def test_a_stopped_task_is_submitted_once_under_a_new_id(
    text: str,
    place: tuple[str, ...],
    seed: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With its payload and its qualifier; not before it is Stopped, and not a second time."""
    with running_emulator("--stopping", "5ms", seed={"invocations": [seed]}) as cloud:
        with pytest.raises(SystemExit, match="job-7 is Running, payload kept: True; nothing was submitted"):
            redrive(cloud, monkeypatch, text, place)
        reap(cloud.endpoint, policy(targets="[media/transcode@prod, resize]"), enforce=True)
        redrive(cloud, monkeypatch, text, place)
        listed = cloud.admin("GET", "tasks")["tasks"]
        with pytest.raises(Exception, match="409"):
            redrive(cloud, monkeypatch, text, place)
    assert capsys.readouterr().out == "job-7-again was submitted\n"
    tasks = {task.get("invocationId") or task["taskId"]: task for task in listed}
    old, new = tasks["job-7"], tasks["job-7-again"]
    assert (old["status"], new["status"] in ("Enqueued", "Running")) == ("Stopped", True)
    assert new["qualifier"] == place[-1]
    name = "invocationPayload" if len(place) == 3 else "taskPayload"
    assert json.loads(new[name]) == json.loads(old[name]) == {**PAYLOAD, **STILL}


@pytest.mark.parametrize("number", [0, 1])
def test_the_command_line_names_the_task_that_the_script_names(number: int) -> None:
    """Function, qualifier and the new id, as an asynchronous invocation."""
    (block,) = fences(TEXT, "sh")
    words = shlex.split(block.text.replace("\\\n", "").splitlines()[number])
    options = dict(zip(words[4::2], words[5::2], strict=True))
    *place, _, again = re.findall(r"`python redrive.py (.+?)`", TEXT)[number].split()
    names = ["service-name", "function-name", "qualifier"][-len(place) :]
    assert [options[f"--{name}"] for name in names] == place
    by_id = {"stateful-async-invocation-id", "async-task-id"}
    assert [value for name, value in options.items() if name[2:] in by_id] == [again]
    assert options["--invocation-type"].lower() == "async"
