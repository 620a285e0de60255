"""The plan file: what is written can be read, and what could not have been written is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cli.output import CommandError
from fc_reaper.cli.planning.plancheck import refuse_elsewhere, refuse_out_of_date, whereabouts
from fc_reaper.cli.planning.planfile import FATES, Basis, Plan, Planned, Whereabouts, dump_plan
from fc_reaper.cli.planning.planreading import NoPlan, load_plan, read_plan
from fc_reaper.models import UNFINISHED, Function, TaskEvent
from fc_reaper.settings import Context, read_settings
from tests.builders import NOON, ms

TASK = Planned(
    function=Function("media", "transcode", "prod"),
    invocation_id="job-1",
    request_id="r-1",
    first_enqueue=NOON - ms("3h"),
    status="Running",
    policy="runaway",
    rule="running_for",
    age_s=9000.5,
    limit_s=7200.0,
    over_s=1800.5,
    clock="events",
    reason="It takes forty minutes at worst.",
    fate="would_stop",
)
PLAN = Plan(
    NOON,
    Whereabouts("123", "cn-hangzhou", "https://123.cn-hangzhou.fc.aliyuncs.com"),
    Basis("policy.yaml", "sha256:00", {"runaway": "sha256:01"}),
    True,
    {"listed": 7, "due": 1},
    (TASK,),
)


def test_it_reads_well_and_names_each_task_with_its_evidence() -> None:
    """One key a line, the head first, then the tasks; moments are UTC; no payload."""
    lines = dump_plan(PLAN).splitlines()
    assert lines[1:5] == [
        '  "format": "fc-reaper plan",',
        '  "version": 1,',
        '  "time": "2026-11-18T11:06:40.000Z",',
        '  "account": "123",',
    ]
    (task,) = json.loads(dump_plan(PLAN))["tasks"]
    assert task == {
        "service": "media",
        "function": "transcode",
        "qualifier": "prod",
        "invocation_id": "job-1",
        "request_id": "r-1",
        "first_enqueue": "2026-11-18T08:06:40.000Z",
        "status": "Running",
        "policy": "runaway",
        "rule": "running_for",
        "age_s": 9000.5,
        "limit_s": 7200.0,
        "over_s": 1800.5,
        "clock": "events",
        "reason": "It takes forty minutes at worst.",
        "fate": "would_stop",
    }


_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", fullmatch=True)
_seconds = st.none() | st.floats(-1e9, 1e9).map(lambda number: round(number, 3))
_tasks = st.builds(
    Planned,
    function=st.builds(Function, st.none() | _names, _names, _names),
    invocation_id=_names,
    request_id=st.none() | _names,
    first_enqueue=st.none() | st.integers(10**12, 2 * 10**12),
    status=st.sampled_from(UNFINISHED),
    policy=st.sampled_from(["one", "zwei: 2"]),
    rule=st.sampled_from(["alive_for", "keep", "where"]),
    age_s=_seconds,
    limit_s=_seconds,
    over_s=_seconds,
    clock=st.sampled_from([None, "events", "started_time"]),
    reason=st.text(min_size=1).filter(str.strip),
    fate=st.sampled_from(FATES),
)
_basis: dict[str, st.SearchStrategy[Any]] = {
    "source": _names,
    "fingerprint": _names,
    "policies": st.just({"one": "sha256:01", "zwei: 2": "sha256:02"}),
    "halted": st.lists(st.sampled_from(["one", "zwei: 2"]), unique=True).map(tuple),
}
_plans = st.builds(
    Plan,
    time=st.integers(10**12, 2 * 10**12),
    where=st.builds(Whereabouts, st.none() | _names, st.none() | _names, st.none() | _names),
    basis=st.builds(Basis, **_basis, text=st.none(), exempt_from=st.none())
    | st.builds(Basis, **_basis, text=st.text(), exempt_from=st.none() | _names),
    complete=st.booleans(),
    counts=st.dictionaries(_names, st.integers(0, 10**6), max_size=3),
    tasks=st.lists(_tasks, max_size=4, unique_by=lambda one: (one.function, one.invocation_id)).map(tuple),
)


@given(_plans)
def test_what_is_written_is_read_again(plan: Plan) -> None:
    """Law: reading the text of a plan gives the plan."""
    assert load_plan(dump_plan(plan)) == plan


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_a_plan_or_refused(text: str) -> None:
    """Law: never anything but an answer or a reason."""
    with pytest.raises(NoPlan):
        load_plan(text)


_values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({})
)


@given(st.data())
def test_a_plan_with_one_value_of_another_kind_is_refused_or_still_harmless(data: st.DataObject) -> None:
    """Law: whatever one value is replaced by, the answer is a reason, or a plan of values of their kinds."""
    whole = json.loads(dump_plan(PLAN))
    where = data.draw(st.sampled_from([whole, whole["tasks"][0], whole["policy"]]))
    where[data.draw(st.sampled_from(list(where)))] = data.draw(_values)
    try:
        plan = load_plan(json.dumps(whole))
    except NoPlan:
        return
    assert type(plan.time) is int
    for task in plan.tasks:
        assert task.function.service is None or type(task.function.service) is str
        assert type(task.invocation_id) is str
        assert type(task.first_enqueue) in (int, type(None))


def _task(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda plan: plan["tasks"][0].update(changes)


REFUSED: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("another format", lambda plan: plan.update(format="terraform"), "this is not a plan of fc-reaper"),
    ("a newer version", lambda plan: plan.update(version=2), "the plan has version 2, and this fc-reaper"),
    ("a true version", lambda plan: plan.update(version=True), "the plan has version true"),
    ("no tasks", lambda plan: plan.pop("tasks"), "the plan has no tasks"),
    ("a key too many", lambda plan: plan.update(extra=1), 'the plan has a key "extra" that no plan has'),
    ("a task in words", lambda plan: plan.update(tasks=["job-1"]), "tasks[0] is not an object in braces"),
    ("a payload", _task(payload="secret"), 'tasks[0] has a key "payload" that no plan has'),
    ("a number as an id", _task(invocation_id=17), "tasks[0].invocation_id is 17; a text belongs there"),
    ("an id that none can be", _task(invocation_id="../x"), "tasks[0]: '../x' cannot be an invocation id"),
    ("a path as a function", _task(function="a/b"), "tasks[0]: 'a/b' cannot be the name of a function"),
    ("a pattern as a qualifier", _task(qualifier="*"), "tasks[0]: '*' cannot be a qualifier"),
    ("a finished task", _task(status="Succeeded"), 'tasks[0].status is "Succeeded"; one of Enqueued'),
    ("an age in words", _task(age_s="2h"), 'tasks[0].age_s is "2h"; a number of seconds belongs there'),
    ("an age without end", _task(age_s=10**400), "a number of seconds belongs there"),
    ("an age that is true", _task(age_s=True), "tasks[0].age_s is true; a number of seconds"),
    ("a moment in seconds", _task(first_enqueue=1795000000), "a moment such as 2026-07-01T12:00:00.000Z"),
    ("a moment without zone", _task(first_enqueue="2026-07-01T12:00:00"), "a moment such as"),
    ("another fate", _task(fate="stop"), 'tasks[0].fate is "stop"; one of would_stop, budget'),
    ("a rule in words", _task(rule="it is old"), "a rule such as alive_for belongs there"),
    ("another policy", _task(policy="other"), 'tasks[0].policy: "other" is none of the policies'),
    (
        "another halted policy",
        lambda plan: plan["policy"].update(halted=["other"]),
        'policy.halted: "other" is none of the policies',
    ),
    (
        "a halted policy in words",
        lambda plan: plan["policy"].update(halted="runaway"),
        'policy.halted is "runaway"; a list of policies belongs there',
    ),
    ("no word of a halt", lambda plan: plan["policy"].pop("halted"), "policy has no halted"),
    (
        "half an incident",
        lambda plan: plan["policy"].update(exempt_from=None),
        "policy has exempt_from and no text; an incident has both, a policy file neither",
    ),
    ("a count below zero", lambda plan: plan.update(counts={"due": -1}), "an object of counts belongs there"),
    (
        "a task twice",
        lambda plan: plan["tasks"].append(plan["tasks"][0]),
        "tasks[1] is tasks[0] once more; delete one of them",
    ),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_could_not_have_been_written_is_refused_with_its_place(
    change: Callable[[dict[str, Any]], object], said: str
) -> None:
    """A line that names the key, what stands there, and what belongs there."""
    whole = json.loads(dump_plan(PLAN))
    change(whole)
    with pytest.raises(NoPlan) as refused:
        load_plan(json.dumps(whole))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "this is not JSON"),
        ("version: 1\npolicies: []\n", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ('{"format": "fc-reaper plan", "format": "x"}', 'the key "format" stands twice in one object'),
        ('{"format": NaN}', "NaN is no number"),
        ("{}", "this is not a plan of fc-reaper"),
        ("null", "this is not a plan of fc-reaper"),
    ],
)
def test_other_texts_are_refused_in_plain_words(text: str, said: str) -> None:
    """Among them a policy, and JSON that no two readers read alike."""
    with pytest.raises(NoPlan) as refused:
        load_plan(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no such file"), (b"\xff\xfe", "byte 0 is not UTF-8"), (b"{}", "this is not a plan")],
    ids=["missing", "binary", "another JSON"],
)
def test_a_file_that_is_no_plan_says_how_to_make_one(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    """One line with the name of the file first."""
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError) as ended:
        read_plan(str(path))
    line = str(ended.value)
    assert line.startswith(f"{path}: {said}")
    assert line.endswith("; make a plan with: fc-reaper plan --out FILE")


@pytest.mark.parametrize(
    ("age", "said"),
    [
        ("1h", None),
        ("0s", None),
        (ms("1h") + 1, "the plan is 1h old, more than 1h; make a new one, or allow it by --max-age"),
        (ms("2d"), "the plan is 2d old, more than 1h"),
        ("-30s", None),
        (-30_001, "the plan was made 30s from now; check the clocks"),
    ],
    ids=str,
)
def test_a_plan_keeps_for_an_hour(age: str | int, said: str | None) -> None:
    """Exactly an hour is fine; the future is not, but for the seconds by which two clocks may differ."""
    now = PLAN.time + (age if isinstance(age, int) else -ms(age[1:]) if age[0] == "-" else ms(age))
    if said is None:
        refuse_out_of_date(PLAN, now, ms("1h"))
        return
    with pytest.raises(CommandError) as ended:
        refuse_out_of_date(PLAN, now, ms("1h"))
    assert str(ended.value).startswith(said)


HERE = Whereabouts("1", "cn-x", "https://one")


@pytest.mark.parametrize(
    ("planned", "here", "fits"),
    [
        (HERE, HERE, True),
        (HERE, HERE._replace(endpoint="https://other"), True),
        (HERE, HERE._replace(account="2"), False),
        (HERE, HERE._replace(region="cn-y"), False),
        (HERE, Whereabouts(None, None, "https://one"), True),
        (HERE, Whereabouts(None, None, "https://other"), False),
        (Whereabouts(None, "cn-x", "https://one"), HERE, True),
        (Whereabouts(None, "cn-x", "https://one"), HERE._replace(endpoint="https://other"), False),
        (Whereabouts(None, "cn-y", "https://one"), HERE, False),
        (Whereabouts(None, None, None), HERE, False),
    ],
)
def test_a_plan_is_for_one_account_and_region(planned: Whereabouts, here: Whereabouts, fits: bool) -> None:
    """Where one of them is unknown, on either side, the endpoint must be the same."""
    plan = PLAN._replace(where=planned)
    if fits:
        refuse_elsewhere(plan, here)
        return
    with pytest.raises(CommandError):
        refuse_elsewhere(plan, here)


@pytest.mark.parametrize(
    ("env", "where"),
    [
        (
            {"REAPER_ENDPOINT": "https://123.cn-hangzhou.fc.aliyuncs.com"},
            Whereabouts("123", "cn-hangzhou", "https://123.cn-hangzhou.fc.aliyuncs.com"),
        ),
        (
            {"REAPER_ENDPOINT": "123.us-west-1-internal.fc.aliyuncs.com/"},
            Whereabouts("123", "us-west-1", "https://123.us-west-1-internal.fc.aliyuncs.com"),
        ),
        (
            {
                "REAPER_ENDPOINT": "https://123.cn-x-vpc.fc.aliyuncs.com",
                "FC_ACCOUNT_ID": "9",
                "FC_REGION": "y",
            },
            Whereabouts("123", "cn-x", "https://123.cn-x-vpc.fc.aliyuncs.com"),
        ),
        (
            {"FC_ACCOUNT_ID": "9", "FC_REGION": "cn-y"},
            Whereabouts("9", "cn-y", "https://9.cn-y.fc.aliyuncs.com"),
        ),
        (
            {"REAPER_ENDPOINT": "http://127.0.0.1:8080", "FC_ACCOUNT_ID": "9"},
            Whereabouts("9", None, "http://127.0.0.1:8080"),
        ),
    ],
)
def test_where_calls_go_is_read_from_the_endpoint_first(env: dict[str, str], where: Whereabouts) -> None:
    """Its host names account and region, in the public, internal and VPC form; else the settings do."""
    assert whereabouts(read_settings(env, Context())) == where


def test_a_claim_knows_who_the_task_was_and_why_it_was_due() -> None:
    """With the policy's own words, whatever the plan says."""
    claim = TASK.claim("The policy's words.")
    assert claim.task.events == (TaskEvent(NOON - ms("3h"), 0, "Enqueued"),)
    assert (claim.task.request_id, claim.verdict.rule) == ("r-1", "running_for")
    assert (claim.verdict.over, claim.verdict.reason) == (1_800_500, "The policy's words.")
    assert TASK._replace(first_enqueue=None).claim("x").task.events == ()
