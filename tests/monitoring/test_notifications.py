"""docs/notifications.md: alerts, template and pattern say of real runs what an owner needs to know."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from tests.cli.command import a_policy_file, at, fc_reaper
from tests.emulator_server import running_emulator
from tests.monitoring.documents import ALERTS, alert_query
from tests.monitoring.history import LATE, OWNER, POLICY, TIMER, History
from tests.monitoring.published import DOCS
from tests.monitoring.sls import answer
from tests.project.markdown import fences, sections
from tests.reaping import reap
from tests.run.account import SEED, policy, seeded, stopped

Row = dict[str, str]
TEXT = (DOCS / "notifications.md").read_text("utf-8")
TEMPLATES: dict[str, dict[str, Any]] = json.loads((DOCS / "monitoring/template.json").read_text("utf-8"))[
    "templates"
]
PATTERN = json.loads((DOCS / "monitoring/eventbridge-pattern.json").read_text("utf-8"))
OF_TASKS = sorted(
    name for name, one in ALERTS.items() if "owner" in one["configuration"]["groupConfiguration"]["fields"]
)
EVENTS = {"stopped": "confirmed", "stop-failed": "stop_failed", "stuck": "stuck", "reported": "reported",
          "halted": "skipped", "would-stop": "would_stop"}  # fmt: skip
SHOWN = OWNER.replace("`", "'").replace("<", "(")


def alerts_of(name: str, history: History, status: str = "firing") -> list[dict[str, Any]]:
    """The alerts that a rule makes of lines: one for each group, all values of rows as text."""
    configuration = ALERTS[name]["configuration"]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in answer(alert_query(ALERTS[name])["query"], history.records):
        texts = {column: str(value) for column, value in row.items()}
        key = tuple(texts[field] for field in configuration["groupConfiguration"]["fields"])
        groups.setdefault(key, []).append(texts)
    found = []
    for key, rows in groups.items():
        notes = {
            one["key"]: re.sub(r"\$\{(\w+)\}", lambda name: rows[0][name[1]], one["value"])  # noqa: B023
            for one in configuration["annotations"]
        }
        labels = dict(zip(configuration["groupConfiguration"]["fields"], key, strict=True))
        group = {"labels": labels, "annotations": notes, "fire_results": rows}
        found.append({"alert_id": ALERTS[name]["name"], "status": status, **group})
    return found


def rendered(text: str, alert: dict[str, Any]) -> str:
    """By the statements, and the two functions of the service that the template uses."""
    jinja = Environment(autoescape=False)
    jinja.filters |= {"quote": json.dumps, "to_json": json.dumps}
    return jinja.from_string(text).render(alert=alert)


def test_the_rules_about_tasks_are_those_of_the_document() -> None:
    """Each with the event that it is about."""
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| `(\w+)`", TEXT, re.MULTILINE))
    assert rows == EVENTS
    assert sorted(EVENTS) == OF_TASKS
    for name, event in EVENTS.items():
        assert alert_query(ALERTS[name])["query"].startswith(f"message.event: {event}")


@pytest.mark.parametrize("name", OF_TASKS)
def test_an_alert_is_about_one_function_and_owner_and_names_every_task(history: History, name: str) -> None:
    """As the lines have it; one whose owner is unknown has a dash."""
    lines = history.lines(EVENTS[name])
    lines = [line for line in lines if name != "reported" or line["new"]]
    lines = [line for line in lines if name != "halted" or line["why"] == "halted"]
    expected: dict[tuple[str, str], set[str]] = {}
    for line in lines:
        owner = "-" if line["owner"] is None else SHOWN
        key = f"{line['service']}/{line['function']}@{line['qualifier']}", owner
        expected.setdefault(key, set()).add(line["invocation_id"])
    found = {
        (one["labels"]["function_name"], one["labels"]["owner"]): {row["task"] for row in one["fire_results"]}
        for one in alerts_of(name, history)
    }
    assert found == expected != {}
    for one in alerts_of(name, history):
        first = one["fire_results"][0]
        assert f"fc-reaper explain '{first['function_name']}' {first['task']}" in one["annotations"]["desc"]
        assert one["labels"]["owner"] in one["annotations"]["title"]


@pytest.mark.parametrize("channel", [one for one in TEMPLATES if one != "webhook"])
@pytest.mark.parametrize("name", sorted(ALERTS))
def test_a_message_says_which_tasks_how_old_why_and_what_to_type(
    history: History, name: str, channel: str
) -> None:
    """For every rule and channel; the rules that are about no task say what their annotation says."""
    for alert in alerts_of(name, history) if name in OF_TASKS else [plain(name, history)]:
        template: dict[str, str] = TEMPLATES[channel]
        text = rendered(template["content"], alert)
        heading = rendered(template.get("title") or template["subject"], alert)
        assert heading == alert["annotations"]["title"]
        assert "${" not in text
        assert "{{" not in text
        if name not in OF_TASKS:
            assert alert["annotations"]["desc"] in text
        else:
            assert f"(owner `{alert['labels']['owner']}`)" in text, "a link or a name would act in other text"
            for row in alert["fire_results"]:
                assert [row[field] for field in ("task", "minutes", "reason") if row[field] not in text] == []
                assert f"fc-reaper explain '{row['function_name']}' {row['task']}" in text


def test_no_owner_is_left_out_because_another_has_many_tasks() -> None:
    """The oldest ones come first, and are more than one message can have."""
    old, young = (
        SEED["invocations"][0],
        {**SEED["invocations"][0], "functionName": "other", "started": "-130m"},
    )
    text = policy(targets="[media/transcode@prod, media/other@prod]", budget="200/run")
    many = History()
    with running_emulator(seed={"invocations": [{**old, "count": 95}, {**young, "count": 9}]}) as cloud:
        for name, ids in (("a", "over-?"), ("b", "over-??")):
            its = text.replace("{running_for: 2h}", f"{{running_for: 2h, id: '{ids}'}}")
            many.add(0, reap(cloud.endpoint, its.replace("runaway", name), TIMER))
    told = {one["labels"]["function_name"]: len(one["fire_results"]) for one in alerts_of("would-stop", many)}
    assert told == {"media/transcode@prod": 95, "media/other@prod": 9}


@pytest.mark.parametrize(("name", "bound"), [("halted", "halt_over: 1"), ("budget-spent", "budget: 1/run")])
def test_each_policy_that_stops_fewer_than_are_due_is_told(name: str, bound: str) -> None:
    """A message is about one of them, and has no row for the others."""
    text, both = policy() + f"    {bound}\n", History()
    second = text[text.index("  - name") :].replace("runaway", "waits").replace("running_for", "queued_for")
    with running_emulator(seed=SEED) as cloud:
        both.add(0, reap(cloud.endpoint, text + second, TIMER))
    assert sorted(alert["labels"]["policy"] for alert in alerts_of(name, both)) == ["runaway", "waits"]


def plain(name: str, history: History) -> dict[str, Any]:
    row = {
        key: str(value)
        for key, value in answer(alert_query(ALERTS[name])["query"], history.records)[0].items()
    }
    notes = {
        one["key"]: re.sub(r"\$\{(\w+)\}", lambda found: row[found[1]], one["value"])
        for one in ALERTS[name]["configuration"]["annotations"]
    }
    return {"alert_id": name, "status": "firing", "labels": {}, "annotations": notes, "fire_results": [row]}


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_a_webhook_gets_json(history: History, status: str) -> None:
    """Whatever an owner or a reason contains."""
    for name in OF_TASKS:
        for alert in alerts_of(name, history, status):
            sent = json.loads(rendered(TEMPLATES["webhook"]["content"], alert))
            assert (sent["status"], sent["labels"]) == (status, alert["labels"])
            assert sent["tasks"] == alert["fire_results"]
    text = rendered(TEMPLATES["slack"]["content"], alerts_of("stuck", history, status)[0])
    assert text.endswith("Resolved.") is (status == "resolved")


def test_the_command_of_a_message_works_as_typed(history: History, tmp_path: Path) -> None:
    """By a shell's reading, for a function of either generation."""
    a_policy_file(tmp_path, POLICY)
    (alert,) = [one for one in alerts_of("stopped", history) if one["labels"]["owner"] == SHOWN]
    text = rendered(TEMPLATES["dingtalk"]["content"], alert)
    commands = re.findall(r"`(fc-reaper explain [^`]+)`", text)
    assert len(commands) == len(alert["fire_results"])
    odd = {**seeded("odd-1", "Running", enqueued="-5h", started="-3h"), "functionName": "media$resize"}
    odd = {key: value for key, value in odd.items() if key != "serviceName"}
    with running_emulator(seed={"invocations": [*SEED["invocations"], odd]}) as cloud:
        for command in (*commands, "fc-reaper explain 'media$resize@prod' odd-1"):
            ran = fc_reaper(*shlex.split(command)[1:], env=at(cloud), cwd=tmp_path)
            assert (ran.code, ran.err) == (0, ""), command


def test_the_message_in_the_document_is_what_the_template_makes() -> None:
    """For a team with a name."""
    owned = History()
    with running_emulator(
        "--stopping", "5ms", seed={"invocations": [{**SEED["invocations"][0], "count": 1}]}
    ) as cloud:
        cloud.advance("5s")
        owned.add(0, reap(cloud.endpoint, policy(owner="media-team"), TIMER, enforce=True))
    (alert,) = alerts_of("stopped", owned)
    (shown,) = re.findall(r"```text\n(.+?)```", TEXT, re.DOTALL)
    assert rendered(TEMPLATES["dingtalk"]["content"], alert) == shown


# The destination


def matches(pattern: Any, event: Any) -> bool:
    """Whether EventBridge passes an event: all keys of the pattern, and any entry of each list.

    https://www.alibabacloud.com/help/en/eventbridge/user-guide/event-patterns
    """
    if isinstance(pattern, dict):
        return isinstance(event, dict) and all(
            key in event and matches(it, event[key]) for key, it in pattern.items()
        )
    tests = {"contains": lambda want, got: isinstance(got, str) and want in got}
    return any(
        all(tests[name](want, event) for name, want in one.items()) if isinstance(one, dict) else one == event
        for one in pattern
    )


def event_of(result: dict[str, Any]) -> dict[str, Any]:
    """What a bus receives of a run, as far as it is documented."""
    context = {"requestId": "r", "functionArn": "acs:fc:::functions/fc-reaper", "condition": ""}
    sent = {
        "timestamp": "2026-11-27T10:00:00.000Z",
        "requestContext": {**context, "approximateInvokeCount": 1},
        "requestPayload": TIMER.decode(),
        "responseContext": {"statusCode": 200, "functionError": ""},
        "responsePayload": json.dumps(result),
    }
    return {"specversion": "1.0", "source": "acs.fc", "type": "x", "data": sent}


def test_the_pattern_picks_out_the_runs_that_stopped_or_failed_to() -> None:
    """Real results; a dry run, an idle run, and a reason that quotes our own words are left out."""
    assert json.loads(re.findall(r"```json\n(.+?)```", TEXT, re.DOTALL)[0]) == PATTERN
    quoting = policy(stop='\'is "event": "confirmed" a word?\'')
    refused = [
        {"operation": "StopStatefulAsyncInvocation", "times": 99, "status": 403, "code": "AccessDenied"}
    ]
    passed: list[bool] = []
    result: dict[str, Any] = {}
    for text, enforce, faults in (
        (POLICY, False, []), (quoting, False, []), (policy(match="{running_for: 20h}"), True, []),
        (POLICY, True, []), (POLICY, True, refused),
    ):  # fmt: skip
        with running_emulator("--stopping", "5ms", seed=LATE) as cloud:
            cloud.faults(faults)
            result = reap(cloud.endpoint, text, TIMER, enforce=enforce).finished.fields
        passed.append(matches(PATTERN, event_of(result)))
    assert passed == [False, False, False, True, True]
    failed = event_of(result)
    failed["data"]["requestContext"]["condition"] = "UnhandledInvocationError"
    assert not matches(PATTERN, failed)


@pytest.mark.parametrize(("reason", "fits"), [("It takes forty minutes.", True), ("x" * 200, False)])
def test_a_full_result_may_be_too_large_for_an_event(reason: str, fits: bool) -> None:
    """The 100 tasks of a result are about 60 KB, and more where reasons and names are long."""
    with running_emulator(seed={"invocations": [{**SEED["invocations"][0], "count": 100}]}) as cloud:
        text = policy(owner="media-team", budget="100/run", stop=reason)
        result = reap(cloud.endpoint, text, TIMER).finished.fields
    assert len(result["tasks"]) == 100
    assert (len(json.dumps(event_of(result)["data"])) < 64 * 1024) is fits


def test_the_owner_is_told_before_the_stop_and_the_answer_spares_the_task(tmp_path: Path) -> None:
    """The recipe of the cookbook: shown and reported while there is time, exempt for a while, or stopped."""
    recipe = sections((DOCS / "cookbook.md").read_text("utf-8"))["17. Warn the owner before the stop"]
    (text,) = (fence.text.replace("until: 2026", "until: 2099") for fence in fences(recipe, "yaml"))
    ages = {"soon-1": "-91m", "late-1": "-121m", "catalogue-7": "-121m", "young-1": "-80m"}
    tasks = [
        seeded(name, "Running", enqueued=age, started=age, payload={"team": "media"})
        for name, age in ages.items()
    ]
    told = History()
    with running_emulator("--stopping", "5ms", seed={"invocations": tasks}) as cloud:
        a_policy_file(tmp_path, text)
        soon = fc_reaper("plan", "--json", env=at(cloud), cwd=tmp_path).json["next"]
        assert [(one["invocation_id"], one["owner"]) for one in soon] == [
            ("soon-1", "media"),
            ("young-1", "media"),
        ]
        assert (
            "only reported, owner media" in fc_reaper("plan", env=at(cloud, COLUMNS="120"), cwd=tmp_path).text
        )
        told.add(0, reap(cloud.endpoint, text, TIMER, enforce=True))
        assert {one["invocation_id"] for one in told.lines("confirmed")} == stopped(cloud) == {"late-1"}
    (warning,), (stop,) = alerts_of("reported", told), alerts_of("stopped", told)
    for alert, task, reason in (
        (warning, "soon-1", "It will be stopped when it is two hours old."),
        (stop, "late-1", "Its owner was told half an hour ago."),
    ):
        message = rendered(TEMPLATES["lark"]["content"], alert)
        assert alert["labels"] == {"function_name": "media/transcode@prod", "owner": "media"}
        assert [word for word in (task, reason, "(owner `media`)") if word not in message] == []
