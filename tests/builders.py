"""Values with good defaults: a test says only what matters to it."""

from __future__ import annotations

from typing import Any

from fc_reaper.evaluator.evaluate import FunctionPolicies, compile_policies
from fc_reaper.models import Function, Millis, Moment, Task, TaskEvent
from fc_reaper.policy import PolicyFile, load_policy
from fc_reaper.rules.duration import parse_duration

NOON: Millis = 1_795_000_000_000
AT_NOON = Moment.exactly(NOON)
TRANSCODE = Function("media", "transcode", "prod")


def ms(text: str) -> Millis:
    """A length of time as people write it; `-` in front looks back, `0s` is none."""
    if text.startswith("-"):
        return -ms(text[1:])
    return 0 if text == "0s" else parse_duration(text)


def ago(text: str) -> Millis:
    """The moment so long before noon."""
    return NOON - ms(text)


def a_task(status: str = "Running", *events: tuple[str, str], **fields: Any) -> Task:
    """A task with dated events such as `("Running", "3h")`: what happened, and how long before noon."""
    dated = sorted(TaskEvent(ago(when), number, name) for number, (name, when) in enumerate(events, 1))
    values = {"function": TRANSCODE, "invocation_id": "job-1", "retries": 0, **fields}
    return Task(status=status, events=tuple(dated), **values)


def running_for(text: str, **fields: Any) -> Task:
    """A task that was enqueued and has been running for so long."""
    return a_task("Running", ("Enqueued", text), ("Dequeued", text), ("Running", text), **fields)


def a_policy(match: str = "{running_for: 2h}", *, exempt: str = "", **keys: str) -> PolicyFile:
    """A file with one policy that stops what matches; *keys* are further YAML values, as text."""
    lines = ["version: 1"]
    if exempt:
        lines.append(f"exempt: {exempt}")
    lines += ["policies:", "  - name: runaway", "    targets: ['media/*@*']", f"    match: {match}"]
    lines += [f"    {key}: {value}" for key, value in keys.items()]
    if "report" not in keys and "stop" not in keys:
        lines.append("    stop: it takes forty minutes at worst")
    return load_policy("\n".join(lines), source="policy.yaml")


def compiled(file: PolicyFile, **options: Any) -> FunctionPolicies:
    """The policies of *file* for the tasks of media/transcode@prod."""
    return compile_policies(TRANSCODE, file.policies, file.exempt, **options)
