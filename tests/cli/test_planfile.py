"""The plan file: what is written can be read, and what could not have been written is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cli.output import CommandError
from fc_reaper.cli.planfile import (
    Plan,
    dump_plan,
    read_plan,
    refuse_unfit,
    whereabouts,
)
from fc_reaper.models import UNFINISHED, TaskEvent
from fc_reaper.policy import load_policy
from fc_reaper.settings import Context, read_settings
from tests.builders import NOON, ms
from tests.policy.strategies import FEWER
from tests.run.account import POLICY

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SCHEMA = json.loads((DOCS / "plan.schema.json").read_text("utf-8"))

TASK: dict[str, Any] = {
    "service": "media",
    "function": "transcode",
    "qualifier": "prod",
    "invocation_id": "job-1",
    "status": "Running",
    "policy": "runaway",
    "rule": "running_for",
    "reason": "It takes forty minutes at worst.",
    "age_s": 9000.5,
    "limit_s": 7200.0,
    "over_s": 1800.5,
    "limit_from": "policy",
    "retries": None,
    "retries_limit": None,
    "clock": "events",
    "request_id": "r-1",
    "first_enqueue": "2026-11-18T08:06:40.000Z",
    "fate": "would_stop",
    "checksum": "0123456789abcdef",
}
PLAN: dict[str, Any] = {
    "format": "fc-reaper plan",
    "version": 1,
    "time": "2026-11-18T11:06:40.000Z",
    "account": "123",
    "region": "cn-hangzhou",
    "endpoint": "https://123.cn-hangzhou.fc.aliyuncs.com",
    "policy": {
        "source": "policy.yaml",
        "fingerprint": "sha256:00",
        "halted": [],
    },
    "complete": True,
    "counts": {"listed": 7, "due": 1},
    "tasks": [TASK],
}


def plan(**changes: Any) -> Plan:
    """PLAN with other values."""
    return Plan.model_validate_json(json.dumps({**PLAN, **changes}))


def test_it_is_written_one_key_a_line_as_it_was_read() -> None:
    """So that it can be reviewed, and a difference between two of them is one of lines."""
    assert dump_plan(plan()) == json.dumps(PLAN, indent=2) + "\n"


def test_its_schema_is_published() -> None:
    """In docs/plan.schema.json, which allows nothing else."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(PLAN, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**PLAN, "tasks": [{**TASK, "payload": "secret"}]}, SCHEMA)


_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", fullmatch=True)
_moments = st.datetimes(datetime(2017, 1, 1)).map(lambda at: at.isoformat(timespec="milliseconds") + "Z")
_seconds = st.none() | st.floats(-1e9, 1e9).map(lambda number: round(number, 3))
_texts = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
_tasks = st.fixed_dictionaries(
    {
        "service": st.none() | _names,
        "function": _names,
        "qualifier": _names,
        "invocation_id": _names,
        "request_id": st.none() | _names,
        "first_enqueue": st.none() | _moments,
        "status": st.sampled_from(UNFINISHED),
        "policy": st.sampled_from(["one", "zwei: 2"]),
        "rule": st.sampled_from(["alive_for", "keep", "where"]),
        "age_s": _seconds,
        "limit_s": _seconds,
        "over_s": _seconds,
        "limit_from": st.sampled_from([None, "policy", "task", "at_most", "else"]),
        "retries": st.none() | st.integers(0, 9),
        "retries_limit": st.none() | st.integers(0, 9),
        "clock": st.sampled_from([None, "events", "started_time"]),
        "reason": _texts,
        "fate": st.sampled_from(["would_stop", "budget", "halted", "spared"]),
        "checksum": _names,
    }
)
_basis = {
    "source": _names,
    "fingerprint": _names,
    "halted": st.lists(st.sampled_from(["one", "zwei: 2"]), unique=True),
}
_incident = {"exempt_from": st.none() | _names, "text": st.lists(st.text(st.characters(codec="utf-8")))}
_plans = st.fixed_dictionaries(
    {
        "format": st.just("fc-reaper plan"),
        "version": st.just(1),
        "time": _moments,
        "account": st.none() | _names,
        "region": st.none() | _names,
        "endpoint": st.none() | _names,
        "policy": st.fixed_dictionaries(_basis) | st.fixed_dictionaries({**_basis, **_incident}),
        "complete": st.booleans(),
        "counts": st.dictionaries(_names, st.integers(0, 10**6), max_size=3),
        "tasks": st.lists(
            _tasks,
            max_size=4,
            unique_by=lambda task: tuple(
                task[key] for key in ("service", "function", "qualifier", "invocation_id")
            ),
        ),
    }
)


@FEWER
@given(_plans)
def test_what_is_read_is_written_again(whole: dict[str, Any]) -> None:
    """Law: reading the text of a plan and writing it changes nothing, and the schema allows it."""
    read = Plan.model_validate_json(json.dumps(whole))
    text = dump_plan(read)
    assert json.loads(text) == whole
    assert text.replace("\n", "").isprintable()
    jsonschema.validate(whole, SCHEMA)


@FEWER
@given(_plans, st.data())
def test_any_change_but_a_deletion_is_told_by_a_checksum(whole: dict[str, Any], data: st.DataObject) -> None:
    """Law: a plan with another value anywhere fits its checksums no more; one that lacks tasks does."""
    made = Plan.model_validate_json(json.dumps(whole)).sealed()
    left = data.draw(st.lists(st.sampled_from(made.tasks), unique_by=id) if made.tasks else st.just([]))
    shorter = made.model_copy(update={"tasks": left})
    assert shorter.sealed() == shorter
    assert len({task.checksum for task in made.tasks}) == len(made.tasks)
    changed = json.loads(dump_plan(made))
    where = data.draw(st.sampled_from([changed, changed["policy"], changed["counts"], *changed["tasks"]]))
    if where and changed["tasks"]:
        key = data.draw(st.sampled_from(sorted(where)))
        where[key] = data.draw(st.sampled_from([1, 2.5, None, True, "x", [], {}, "budget", "spared"]))
        try:
            read = Plan.model_validate_json(json.dumps(changed))
        except ValueError:
            return
        assert (read.sealed() == read) == (read == made) or key == "tasks"


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_are_a_plan_or_refused(raw: bytes) -> None:
    """Law: never anything but an answer or a reason."""
    with pytest.raises(ValueError, match=r"."):
        Plan.model_validate_json(raw)


_values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({})
)


@given(st.data())
def test_a_plan_with_one_value_of_another_kind_is_refused_or_still_harmless(data: st.DataObject) -> None:
    """Law: whatever one value is replaced by, the answer is a reason, or a plan of values of their kinds."""
    whole = json.loads(json.dumps(PLAN))
    where = data.draw(st.sampled_from([whole, whole["tasks"][0], whole["policy"]]))
    where[data.draw(st.sampled_from(list(where)))] = data.draw(_values)
    try:
        read = Plan.model_validate_json(json.dumps(whole))
    except ValueError:
        return
    assert type(read.time) is str
    for task in read.tasks:
        assert task.place.service is None or type(task.place.service) is str
        assert type(task.invocation_id) is str


def _task(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda plan: plan["tasks"][0].update(changes)


def _basis_with(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda plan: plan["policy"].update(changes)


REFUSED: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("another format", lambda plan: plan.update(format="terraform"), "format: "),
    ("a newer version", lambda plan: plan.update(version=2), "version: "),
    ("no tasks", lambda plan: plan.pop("tasks"), "tasks: "),
    ("a key too many", lambda plan: plan.update(extra=1), "extra: "),
    ("a task in words", lambda plan: plan.update(tasks=["job-1"]), "tasks[0]: "),
    ("a payload", _task(payload="secret"), "tasks[0].payload: "),
    ("a number as an id", _task(invocation_id=17), "tasks[0].invocation_id: "),
    ("an age in words", _task(age_s="2h"), "tasks[0].age_s: "),
    ("an age that is no number", _task(age_s=float("nan")), "tasks[0].age_s: "),
    ("an age that is true", _task(age_s=True), "tasks[0].age_s: "),
    ("a moment in seconds", _task(first_enqueue=1795000000), "tasks[0].first_enqueue: "),
    ("another fate", _task(fate="stop"), "tasks[0].fate: "),
    ("a halted policy in words", _basis_with(halted="runaway"), "policy.halted: "),
    ("no word of a halt", lambda plan: plan["policy"].pop("halted"), "policy.halted: "),
    ("no text in an incident", _basis_with(exempt_from=None, text=None), "policy.text: "),
    ("a count that is true", lambda plan: plan.update(counts={"due": True}), "counts.due: "),
]


@pytest.mark.parametrize(("change", "error"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_could_not_have_been_written_is_refused_with_its_path(
    change: Callable[[dict[str, Any]], object], error: str, tmp_path: Path
) -> None:
    """In one line, which begins with the name of the file and ends with what to do."""
    whole = json.loads(json.dumps(PLAN))
    change(whole)
    assert f"is no plan: {error}" in refusal(tmp_path, json.dumps(whole).encode())


def test_an_editor_may_leave_its_mark(tmp_path: Path) -> None:
    """Some editors begin a file with a byte order mark."""
    path = tmp_path / "plan.json"
    path.write_text(dump_plan(plan().sealed()), "utf-8-sig")
    assert read_plan(str(path)) == plan().sealed()


def refusal(folder: Path, content: bytes | None) -> str:
    """Why a file with that content, or without any, is refused."""
    path = folder / "plan.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError) as refused:
        read_plan(str(path))
    line = str(refused.value)
    assert line.startswith(f"{path}")
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "it cannot be read: No such file"),
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"version: 1\npolicies: []\n", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b'{"format": NaN}', "is no plan: format: "),
        (b"{}", "is no plan: format: it is missing; apply takes the file"),
        (b"null", "is no plan: "),
    ],
)
def test_other_files_are_refused_in_plain_words(content: bytes | None, error: str, tmp_path: Path) -> None:
    """With how to make a plan."""
    line = refusal(tmp_path, content)
    assert error in line
    assert content is None or line.endswith(
        "; apply takes the file that this command writes: fc-reaper plan --out FILE"
    )


PLACE = ("account", "region", "endpoint")


def unfit(made: Plan, here: Any, now: int = NOON) -> None:
    """Check a plan of an incident, whose policy stands in it."""
    basis = made.policy.model_copy(update={"text": ["version: 1"]})
    file, where = load_policy(POLICY, source="policy.yaml"), dict(zip(PLACE, here, strict=True))
    refuse_unfit(made.model_copy(update={"policy": basis}), file, where, now=now, max_age=ms("1h"))


@pytest.mark.parametrize(
    ("age", "error"),
    [
        (ms("1h"), None),
        (0, None),
        (ms("1h") + 1, "the plan is 1h old, more than 1h; make a new one, or allow it by --max-age"),
        (ms("2d"), "the plan is 2d old, more than 1h"),
        (-ms("30s"), None),
        (-30_001, "the plan was made 30s from now; check the clocks"),
    ],
    ids=str,
)
def test_a_plan_keeps_for_an_hour(age: int, error: str | None) -> None:
    """Exactly an hour is fine; the future is not, but for the seconds by which two clocks may differ."""
    here = (PLAN["account"], PLAN["region"], None)
    if error is None:
        unfit(plan(), here, NOON + age)
        return
    with pytest.raises(CommandError, match=error):
        unfit(plan(), here, NOON + age)


HERE = ("1", "cn-x", "https://one")


@pytest.mark.parametrize(
    ("planned", "here", "fits"),
    [
        (HERE, HERE, True),
        (HERE, ("1", "cn-x", "https://other"), True),
        (HERE, ("2", "cn-x", "https://one"), False),
        (HERE, ("1", "cn-y", "https://one"), False),
        (HERE, (None, None, "https://one"), True),
        (HERE, (None, None, "https://other"), False),
        ((None, "cn-x", "https://one"), HERE, True),
        ((None, "cn-x", "https://one"), ("1", "cn-x", "https://other"), False),
        ((None, "cn-y", "https://one"), HERE, False),
        ((None, None, None), HERE, False),
    ],
)
def test_a_plan_is_for_one_account_and_region(planned: Any, here: Any, fits: bool) -> None:
    """Where one of them is unknown, on either side, the endpoint must be the same."""
    made = plan(**dict(zip(PLACE, planned, strict=True)))
    if fits:
        unfit(made, here)
        return
    with pytest.raises(CommandError):
        unfit(made, here)


HOST = "123.cn-hangzhou.fc.aliyuncs.com"


@pytest.mark.parametrize(
    ("env", "where"),
    [
        ({"REAPER_ENDPOINT": f"https://{HOST}"}, ("123", "cn-hangzhou", f"https://{HOST}")),
        (
            {"REAPER_ENDPOINT": "123.us-west-1-internal.fc.aliyuncs.com/"},
            ("123", "us-west-1", "https://123.us-west-1-internal.fc.aliyuncs.com"),
        ),
        (
            {
                "REAPER_ENDPOINT": "https://123.cn-x-vpc.fc.aliyuncs.com",
                "FC_ACCOUNT_ID": "9",
                "FC_REGION": "y",
            },
            ("123", "cn-x", "https://123.cn-x-vpc.fc.aliyuncs.com"),
        ),
        (
            {"FC_ACCOUNT_ID": "9", "FC_REGION": "cn-y"},
            ("9", "cn-y", "https://9.cn-y.fc.aliyuncs.com"),
        ),
        (
            {"REAPER_ENDPOINT": "http://127.0.0.1:8080", "FC_ACCOUNT_ID": "9"},
            ("9", None, "http://127.0.0.1:8080"),
        ),
    ],
)
def test_where_calls_go_is_read_from_the_endpoint_first(
    env: dict[str, str], where: tuple[str | None, ...]
) -> None:
    """Its host names account and region, in the public, internal and VPC form; else the settings do."""
    assert whereabouts(read_settings(env, Context())) == dict(zip(PLACE, where, strict=True))


def test_a_planned_task_knows_what_it_was_and_why_it_was_due() -> None:
    """With the policy's own words, whatever the plan says."""
    evaluation = plan().tasks[0].evaluation("The policy's words.")
    assert evaluation.task.events == (TaskEvent(NOON - ms("3h"), 0, "Enqueued"),)
    assert (evaluation.task.request_id, evaluation.verdict.by.rule) == ("r-1", "running_for")
    assert (evaluation.verdict.by.over, evaluation.verdict.reason) == (1_800_500, "The policy's words.")
    undated = plan(tasks=[{**TASK, "first_enqueue": None}]).tasks[0]
    assert undated.evaluation("x").task.events == ()
