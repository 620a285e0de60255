"""`fc-reaper setup`: commands that prepare an account, printed, in order, and safe to repeat."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fc_reaper.cli.setup import needed_actions
from fc_reaper.policy import load_policy
from tests.cli.command import Ran, environment, fc_reaper
from tests.project.files import ROOT

FAKE = """\
#!/bin/sh
# Keeps a file for what was made; refuses what exists, or is in nothing that exists.
here=${0%/*}/account
echo "$1 $2" >> "${0%/*}/calls"
operation=$2
while [ $# -gt 1 ]; do
  case $1 in
    --RoleName) role=$2 ;; --PolicyName) policy=$2 ;; --project) project=$2 ;; --body) body=$2 ;;
    --logstore | --dashboardName | --alertName) thing=$2 ;;
  esac
  shift
done
named() { rest=${body#*\\"$1\\": \\"}; echo "${rest%%\\"*}"; }
fails() { echo "$1" >&2; exit 1; }
case $operation in
  ListPoliciesForRole) ls "$here" | sed -n "s/^attached.$role.\\(.*\\)/\\"PolicyName\\": \\"\\1\\"/p"; exit ;;
  AttachPolicyToRole) test -e "$here/Role.$role" || fails EntityNotExist.Role
    test -e "$here/Policy.$policy" || fails EntityNotExist.Policy
    : > "$here/attached.$role.$policy"; exit ;;
  *Role) path=Role.$role ;;
  *Policy) path=Policy.$policy ;;
  *Project) path=Project.${project:-$(named projectName)} ;;
  *LogStore) path=LogStore.$project.${thing:-$(named logstoreName)} ;;
  *Index) path=Index.$project.$thing; test -e "$here/LogStore.$project.$thing" || fails LogStoreNotExist ;;
  *Dashboard) path=Dashboard.$project.${thing:-$(named dashboardName)} ;;
  *Alert) path=Alert.$project.${thing:-$(named name)} ;;
esac
case $operation in
  Get*) test -e "$here/$path" || fails NotExist ;;
  *) test -z "$project" || test -e "$here/Project.$project" || fails ProjectNotExist
    test ! -e "$here/$path" || fails AlreadyExists
    echo "$body" > "$here/$path" ;;
esac
"""
"""Stands for `aliyun`."""


class Account(NamedTuple):
    """An account that the printed commands prepare, in a folder with the stand-in for `aliyun`."""

    folder: Path

    def run(self, script: str) -> tuple[int, str]:
        """Run *script*; answer its exit code and what it wrote."""
        path = os.pathsep.join([str(self.folder), os.defpath])
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(["sh"], input=script, env={"PATH": path}, **output, text=True, check=False)  # type: ignore[call-overload]
        return done.returncode, done.stdout

    def calls(self, script: str) -> list[str]:
        """The operations that *script* calls, which must succeed and write nothing."""
        (self.folder / "calls").write_text("")
        assert self.run(script) == (0, "")
        return (self.folder / "calls").read_text().splitlines()

    @property
    def things(self) -> dict[str, str]:
        """What was made."""
        return {path.name: path.read_text() for path in (self.folder / "account").iterdir()}


@pytest.fixture
def account(tmp_path: Path) -> Account:
    fake = tmp_path / "bin" / "aliyun"
    (fake.parent / "account").mkdir(parents=True)
    fake.write_text(FAKE)
    fake.chmod(0o755)
    return Account(fake.parent)


def created(printed: str) -> list[tuple[str, dict[str, Any]]]:
    """The operations that make something, with their parameters, JSON decoded."""
    lines = [shlex.split(line) for line in printed.splitlines() if line.startswith("  aliyun ")]
    return [
        (
            f"{service} {operation}",
            {name: decoded(value) for name, value in zip(words[::2], words[1::2], strict=True)},
        )
        for _, service, operation, *words in lines
    ]


def decoded(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


def setup(*args: str | Path, cwd: Path = ROOT, **env: str) -> Ran:
    return fc_reaper("setup", *args, env=environment(**env), cwd=cwd)


def script(*args: str | Path, cwd: Path = ROOT, **env: str) -> str:
    ran = setup(*args, cwd=cwd, **env)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


CREATED = [
    "ram CreateRole", "ram CreatePolicy", "ram AttachPolicyToRole", "sls CreateProject", "sls CreateLogStore",
    "sls CreateIndex", "sls CreateDashboard", *["sls CreateAlert"] * 9,
]  # fmt: skip


def made(calls: list[str]) -> list[str]:
    """Those that make something."""
    return [call for call in calls if not call.split()[1].startswith(("Get", "List"))]


def test_a_new_account_gets_everything_in_order_and_a_second_run_changes_nothing(account: Account) -> None:
    printed = script()
    assert made(account.calls(printed)) == CREATED
    before = account.things
    assert len(before) == len(CREATED)
    again = account.calls(printed)
    assert (made(again), len(again)) == ([], len(CREATED))
    assert account.things == before


def test_what_a_run_left_undone_the_next_one_makes(account: Account) -> None:
    whole = script()
    account.calls(whole[: whole.index("# The log project")])
    assert made(account.calls(whole)) == CREATED[3:]


def test_a_step_that_fails_ends_the_script_with_the_answer_of_the_cloud(account: Account) -> None:
    whole = script()
    assert account.run("set -eu\n" + whole[whole.index("# The logstore") :]) == (1, "ProjectNotExist\n")
    assert account.things == {}


def test_enforcing_gets_a_policy_of_its_own_beside_that_of_the_dry_run(account: Account) -> None:
    """So that detaching it is a way back."""
    account.calls(script())
    before = set(account.things)
    assert made(account.calls(script("-t", "s-prod.yaml"))) == CREATED[1:3]
    assert set(account.things) - before == {
        "Policy.fc-reaper-enforce",
        "attached.fc-reaper.fc-reaper-enforce",
    }


def test_everything_is_made_by_the_names_of_the_file(tmp_path: Path) -> None:
    """In the region of the file, and the alerts look back as many of its intervals."""
    text = (ROOT / "s.yaml").read_text("utf-8")
    for old, new in (("cn-hangzhou", "ap-southeast-1"), (": fc-reaper-logs", ": my-logs"),
                     ("logstore: fc-reaper", "logstore: mine"), ("role: fc-reaper", "role: reaper"),
                     ("interval: 5m", "interval: 10m")):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "s.yaml").write_text(text, "utf-8")
    printed = script("--policy", ROOT / "policy.yaml", cwd=tmp_path)
    assert not re.search("cn-hangzhou|fc-reaper-logs|RoleName fc-reaper|logstore fc-reaper", printed)
    steps = created(printed)
    assert {given.get("--region") for name, given in steps if name.startswith("sls")} == {"ap-southeast-1"}
    alerts = [given["--body"] for name, given in steps if name == "sls CreateAlert"]
    queries = {alert["name"]: alert["configuration"]["queryList"][0] for alert in alerts}
    assert {(query["project"], query["store"]) for query in queries.values()} == {("my-logs", "mine")}
    assert {name.removeprefix("fc-reaper-"): query["start"] for name, query in queries.items()} == {
        "missing-runs": "-1800s", "stuck": "-1200s", "halted": "-1200s", "budget-spent": "-1200s",
        "error-rate": "-3600s", "stop-failed": "-1200s", "stopped": "-420s", "reported": "-720s",
        "would-stop": "-86400s",
    }  # fmt: skip
    board = dict(steps)["sls CreateDashboard"]["--body"]
    assert {chart["search"]["logstore"] for chart in board["charts"]} == {"mine"}
    assert re.findall("pause_s > [0-9]+", json.dumps(board)) == ["pause_s > 1800"]


def test_each_document_is_that_of_the_repository() -> None:
    """But for what only another tool sends."""
    steps, folder = dict(created(script())), ROOT / "docs" / "monitoring"
    assert steps["sls CreateIndex"]["--body"] == json.loads((folder / "index.json").read_text("utf-8"))
    assert steps["sls CreateDashboard"]["--body"] == json.loads(
        (folder / "dashboard.json").read_text("utf-8")
    )
    last = json.loads((folder / "alerts" / "would-stop.json").read_text("utf-8"))
    assert steps["sls CreateAlert"]["--body"] == {
        key: last[key] for key in last if key not in ("type", "state")
    }
    trust = json.loads((ROOT / "deploy" / "trust.json").read_text("utf-8"))
    assert steps["ram CreateRole"]["--AssumeRolePolicyDocument"] == trust


@pytest.mark.parametrize("template", ["s.yaml", "s-prod.yaml", "deploy/s-fc2.yaml"])
def test_what_is_printed_is_valid_for_any_shell(template: str) -> None:
    """And no word of it needs more than single quotes."""
    printed = script("-t", template)
    subprocess.run(["sh", "-n"], input=printed, text=True, check=True)
    lines = [line for line in printed.splitlines() if line.strip().startswith("aliyun")]
    for line in lines:
        words = shlex.split(line.removesuffix(" >/dev/null 2>&1 ||"))
        assert words[:2] in (["aliyun", "ram"], ["aliyun", "sls"])


@pytest.mark.parametrize(
    "name", ["$(touch x)", "`touch x`", "a;b", "a b", "a'b", 'a"b', "a\nb", "\x1b[2J", "${env('X')}", ""]
)
@pytest.mark.parametrize("key", ["region", "role", "logProject", "logstore"])
def test_a_name_that_the_platform_could_not_have_is_refused(key: str, name: str, tmp_path: Path) -> None:
    """So none of them reaches a shell, and an expression of `s` is not taken for a name."""
    known = {"region": "r", "role": "x", "logProject": "p", "logstore": "l", key: name}
    (tmp_path / "s.yaml").write_text(json.dumps({"vars": known}), "utf-8")
    ran = setup("--policy", ROOT / "policy.yaml", cwd=tmp_path)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert ran.err.startswith(f"fc-reaper: s.yaml: vars.{key}: ")


def test_no_target_of_a_policy_means_anything_to_a_shell(account: Account, tmp_path: Path) -> None:
    """Names of functions may hold `*`, which a shell would expand."""
    (tmp_path / "policy.yaml").write_text(policy("'*/*'", "'res?ze*@*'"), "utf-8")
    printed = script("-t", ROOT / "s.yaml", "--policy", tmp_path / "policy.yaml")
    assert made(account.calls(printed)) == CREATED


WRONG: dict[str, tuple[str | None, str]] = {
    "no file": (None, "s.yaml: it cannot be read: No such file or directory"),
    "no YAML": ("a: b: c", "s.yaml: it, or what it extends, is no file of Serverless Devs; name"),
    "a list": ("[]", "it extends, is no file of Serverless Devs; name yours by --template"),
    "no vars": ("edition: 3.0.0", "s.yaml: vars.region: Field required; write it as fc-reaper's s.yaml"),
    "vars are no object": ("vars: 5", "s.yaml: it, or what it extends, is no file of Serverless Devs"),
    "a mode": ("vars: {region: r, role: x, logProject: p, logstore: l, mode: yes}",
        "s.yaml: vars.mode: Input should be 'dry-run' or 'enforce'"),
    "an interval": ("vars: {region: r, role: x, logProject: p, logstore: l, interval: 5}",
        "s.yaml: vars.interval: Value error, 5 has no unit"),
    "it extends itself": ("extend: s.yaml", "s.yaml: it, or what it extends, is no file of Serverless Devs"),
    "it extends nothing": ("extend: none.yaml", "none.yaml: it cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    text, message = WRONG[case]
    if text is not None:
        (tmp_path / "s.yaml").write_text(text, "utf-8")
    ran = setup("--policy", ROOT / "policy.yaml", cwd=tmp_path)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert message in ran.err


def test_a_file_without_an_end_is_refused(tmp_path: Path) -> None:
    """No more of it is read than a file of Serverless Devs may have."""
    ran = setup("-t", "/dev/zero", "--policy", ROOT / "policy.yaml", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("fc-reaper: /dev/zero: it, or what it extends, is no file of Serverless Devs")


def test_a_policy_that_is_wrong_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: 2\n", "utf-8")
    ran = setup("-t", ROOT / "s.yaml", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("policy.yaml:1: version: ")


def policy(*targets: str, does: str = "stop") -> str:
    return (
        "version: 1\npolicies:\n"
        f"- {{name: a, targets: [{', '.join(targets)}], match: {{running_for: 1h}}, {does}: slow}}\n"
    )


TWO = ["fc:ListStatefulAsyncInvocations", "fc:GetStatefulAsyncInvocation"]
THREE = ["fc:ListAsyncTasks", "fc:GetAsyncTask"]
FIND_TWO = ["fc:ListStatefulAsyncInvocationFunctions"]
FIND_THREE = ["fc:ListAsyncInvokeConfigs", "fc:ListFunctionAsyncInvokeConfigs"]
SAVED = "fc:GetFunction"
STOP_TWO, STOP_THREE = ["fc:StopStatefulAsyncInvocation", SAVED], ["fc:StopAsyncTask", SAVED]

NEEDED: list[tuple[str, bool, list[str]]] = [
    (policy("a/b"), False, TWO),
    (policy("a/b"), True, [*TWO, *STOP_TWO]),
    (policy("a/b", does="report"), True, TWO),
    (policy("b@prod"), False, THREE),
    (policy("b"), True, [*THREE, *STOP_THREE]),
    (policy("'a/*'"), False, [*TWO, *FIND_TWO]),
    (policy("a/b@*"), False, [*TWO, *FIND_TWO]),
    (policy("'b?'"), True, [*THREE, *FIND_THREE, *STOP_THREE]),
    (policy("'a/*'", "b"), True, [*TWO, *FIND_TWO, *STOP_TWO, *THREE, *STOP_THREE]),
]


@pytest.mark.parametrize(("text", "stops", "actions"), NEEDED, ids=range(len(NEEDED)))
def test_the_role_may_do_what_the_policy_needs_and_no_more(
    text: str, stops: bool, actions: list[str]
) -> None:
    """Discovery where a target is a pattern, stops where some policy may stop; each generation if used."""
    assert set(needed_actions(load_policy(text, source="policy.yaml"), stops=stops)) == set(actions)


@pytest.mark.parametrize("mode", ["dry-run", "enforce"])
def test_no_policy_needs_more_than_the_documents_of_the_repository(mode: str) -> None:
    """And some policy needs all of it."""
    known = json.loads((ROOT / "deploy" / f"policy-{mode}.json").read_text("utf-8"))["Statement"][0]["Action"]
    every = load_policy(policy("'*/*@*'", "'*@*'"), source="policy.yaml")
    assert needed_actions(every, stops=mode == "enforce") == known


@pytest.mark.parametrize(
    ("args", "env", "stops"),
    [
        ((), {}, False),
        (("--enforce",), {}, True),
        (("-t", "s-prod.yaml"), {}, True),
        (("-t", "s-prod.yaml", "--dry-run"), {}, False),
        ((), {"REAPER_MODE": "enforce"}, False),
    ],
)
def test_the_file_says_whether_the_function_stops_unless_an_option_does(
    args: tuple[str, ...], env: Any, stops: bool
) -> None:
    """What this shell is set to says nothing about the function."""
    document = json.loads(setup("--ram-policy", *args, **env).out)
    assert ("fc:StopStatefulAsyncInvocation" in document["Statement"][0]["Action"]) is stops


def test_the_ram_policy_alone_is_one_document_with_the_narrow_form_beside_it(tmp_path: Path) -> None:
    """On standard error, so that the first can be written to a file."""
    (tmp_path / "policy.yaml").write_text(policy("media/transcode@prod", "'resize*'"), "utf-8")
    ran = setup("--ram-policy", "-t", ROOT / "s.yaml", cwd=tmp_path, FC_ACCOUNT_ID="123456789")
    (grant,) = json.loads(ran.out)["Statement"]
    assert grant["Resource"] == "*"
    assert ran.code == 0
    head, _, narrow = ran.err.partition(": {")
    assert "the narrow form, which has no effect by the platform's own pages" in head
    tasks, find = json.loads("{" + narrow)["Statement"]
    place = "acs:fc:cn-hangzhou:123456789"
    assert tasks["Resource"] == [
        f"{place}:functions/resize*",
        f"{place}:functions/resize*/*",
        f"{place}:services/media.*/functions/transcode/stateful-async-invocations/*",
        f"{place}:services/media/functions/transcode/stateful-async-invocations/*",
    ]
    assert (find["Action"], find["Resource"]) == (FIND_THREE, "*")
    assert sorted([*tasks["Action"], *find["Action"]]) == sorted(grant["Action"])


def test_the_account_may_stand_in_the_role() -> None:
    """As in the file for Function Compute 2.0; else it is a star."""
    assert "acs:fc:cn-hangzhou:123456789:" in setup("--ram-policy", "-t", "deploy/s-fc2.yaml").err
    assert "acs:fc:cn-hangzhou:*:" in setup("--ram-policy").err
    assert "--RoleName fc-reaper " in script("-t", "deploy/s-fc2.yaml")


def test_the_trust_policy_alone_is_that_of_the_repository(tmp_path: Path) -> None:
    """It needs neither a file nor a policy."""
    ran = setup("--trust", cwd=tmp_path)
    assert json.loads(ran.out) == json.loads((ROOT / "deploy" / "trust.json").read_text("utf-8"))
    assert (ran.code, ran.err) == (0, "")
