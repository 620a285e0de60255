"""`fc-reaper setup`: prints, and never runs, the commands of `aliyun` that prepare an account.

Each names its operation of RAM or Simple Log Service, as every version of `aliyun` takes it:
https://www.alibabacloud.com/help/en/cli/migrating-from-older-versions-to-plug-in-versions-of-cli
"""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError
from typer import Option

from fc_reaper.cli import output
from fc_reaper.cli.app import Enforce, PolicyFile, environment
from fc_reaper.errors import shown
from fc_reaper.models import Exit, Millis
from fc_reaper.policy import PolicyFile as File
from fc_reaper.rules.duration import parse_duration
from fc_reaper.rules.language import Plain
from fc_reaper.settings import Context, read_policy, read_settings

_INSTALLED = Path(__file__).with_name("setup_files")
_FILES = _INSTALLED if _INSTALLED.exists() else Path(__file__).parents[3]  # that of the clone
_DISCOVERY = ("Functions", "Configs")  # how the actions end that find functions
_NARROW = "the narrow form, which has no effect by the platform's own pages (docs/permissions.md):"
_HEAD = """\
# Makes what fc-reaper needs in an account, for {mode}. Read it, then run it with sh. What exists is left
# as it is, so it may be run again. What is not proven of these commands: docs/permissions.md
# By hand, in the console: the action policy `fc-reaper`, which sends the alerts (docs/monitoring.md).
set -eu
"""

Name = Annotated[str, Field(strict=True, pattern="^[A-Za-z0-9._:/-]+$")]
Template = Annotated[str, Option("--template", "-t", metavar="FILE", help="File of Serverless Devs.")]


class Vars(BaseModel):
    """What is under `vars` in s.yaml. The role may be a whole ARN."""

    region: Name
    role: Name
    project: Name = Field(alias="logProject")
    store: Name = Field(alias="logstore")
    interval: Annotated[Millis, Plain(lambda text: parse_duration(str(text)))] = 300_000
    mode: Literal["dry-run", "enforce"] = "dry-run"


def setup(
    template: Template = "s.yaml",
    policy: PolicyFile = None,
    enforce: Enforce = None,
    ram_policy: Annotated[bool, Option("--ram-policy", help="Print what the role may do, alone.")] = False,
    trust: Annotated[bool, Option("--trust", help="Print who may assume the role, alone.")] = False,
) -> int:
    """Print the commands that prepare an account; run none.

    They make what s.yaml names: the role with its permissions, the logs, a dashboard and alerts. The
    permissions are what the policy needs, those of a dry run unless the file, or --enforce, says otherwise.

    \b
    Examples:
      fc-reaper setup > setup.sh
      fc-reaper setup -t s-prod.yaml --ram-policy
    """
    if trust:
        output.print_line(json.dumps(_json("deploy/trust.json"), indent=2))
        return Exit.DONE
    settings = read_settings(environment(policy=policy, keys=False), Context())
    file, known = read_policy(settings), _vars(template)
    mode = known.mode if enforce is None else "enforce" if enforce else "dry-run"
    actions = needed_actions(file, stops=mode == "enforce")
    account, _, role = known.role.removeprefix("acs:ram::").rpartition(":role/")
    narrow = narrowed(file, actions, f"acs:fc:{known.region}:{account or settings.account_id or '*'}")
    document = _document((actions, "*"))
    if ram_policy:
        output.print_line(json.dumps(document, indent=2))
        output.print_error(f"{_NARROW} {json.dumps(narrow)}")
        return Exit.DONE
    steps = (*_role(role, f"fc-reaper-{mode}", document, narrow), *_logs(known))
    output.print_line("\n".join((_HEAD.format(mode=mode), *steps)).rstrip())
    return Exit.DONE


def needed_actions(file: File, *, stops: bool) -> list[str]:
    """The RAM actions that runs of *file* need; those to stop only where such runs may stop."""

    def needs(action: str) -> bool:
        two = "Stateful" in action  # the actions of 2.0; a target with a service is one of 2.0
        ours = [(one, on) for one in file.policies for on in one.targets if (on.service is not None) == two]
        if action.startswith("fc:Stop"):
            return stops and any(one.stops for one, _ in ours)
        return any(on.needs_discovery or not action.endswith(_DISCOVERY) for _, on in ours)

    return list(filter(needs, _json("deploy/policy-enforce.json")["Statement"][0]["Action"]))


def narrowed(file: File, actions: list[str], place: str) -> dict[str, Any]:
    """A RAM policy of *actions* on the functions of the targets alone; discovery has no narrower resource."""
    on = [target for policy in file.policies for target in policy.targets]
    twos = [f"{one.service}{dot}/functions/{one.name}" for one in on if one.service for dot in ("", ".*")]
    threes = [f"functions/{one.name}{tasks}" for one in on if not one.service for tasks in ("", "/*")]
    every = {*threes, *(f"services/{one}/stateful-async-invocations/*" for one in twos)}
    find, others = ([one for one in actions if one.endswith(_DISCOVERY) is yes] for yes in (True, False))
    return _document((others, [f"{place}:{resource}" for resource in sorted(every)]), (find, "*"))


def _document(*grants: tuple[list[str], Any]) -> dict[str, Any]:
    granted = [{"Effect": "Allow", "Action": actions, "Resource": on} for actions, on in grants if actions]
    return {"Version": "1", "Statement": granted}


def _role(role: str, policy: str, document: Any, narrow: Any) -> Iterator[str]:
    to, custom = ("--RoleName", role), ("--PolicyType", "Custom", "--PolicyName", policy)
    create = ("ram", "CreateRole", *to, "--AssumeRolePolicyDocument", _json("deploy/trust.json"))
    yield _step("The role, which Function Compute may assume", _aliyun("ram", "GetRole", *to), create)
    create = ("ram", "CreatePolicy", "--PolicyName", policy, "--PolicyDocument", document)
    about = f"What the role may do; {_NARROW}\n# {json.dumps(narrow)}"
    yield _step(about, _aliyun("ram", "GetPolicy", *custom), create)
    check = f"""{_aliyun("ram", "ListPoliciesForRole", *to)} | grep -F '"{policy}"'"""
    yield _step("The role gets it", check, ("ram", "AttachPolicyToRole", *custom, *to))


def _logs(known: Vars) -> Iterator[str]:
    project, region = ("--project", known.project), ("--region", known.region)
    store = (*project, "--logstore", known.store)

    def step(about: str, noun: str, named: tuple[str, ...], body: Any, *within: str) -> str:
        check = _aliyun("sls", f"Get{noun}", *named, *region)
        return _step(about, check, ("sls", f"Create{noun}", *within, "--body", body, *region))

    body: Any = {"projectName": known.project, "description": "Logs of fc-reaper"}
    yield step("The log project", "Project", project, body)
    body = {"logstoreName": known.store, "ttl": 90, "shardCount": 2, "autoSplit": True, "maxSplitShard": 64}
    yield step("The logstore, which keeps a line for 90 days", "LogStore", store, body, *project)
    yield step("Its index", "Index", store, _json("docs/monitoring/index.json"), *store)
    body = _json("docs/monitoring/dashboard.json")
    for chart in body["charts"]:
        search = chart["search"]
        query = search["query"].replace("pause_s > 900", f"pause_s > {3 * known.interval // 1000}")
        search.update(logstore=known.store, query=query)
    named = (*project, "--dashboardName", body["dashboardName"])
    yield step("The dashboard", "Dashboard", named, body, *project)
    for path in sorted((_FILES / "docs/monitoring/alerts").glob("*.json")):
        body = _json(path)
        del body["type"], body["state"]  # only aliyunlog knows them
        for query in body["configuration"]["queryList"]:
            query.update(region=known.region, project=known.project, store=known.store)
            if path.stem != "error-rate":  # the others look back some intervals, as of five minutes
                query["start"] = f"{int(query['start'][:-1]) * known.interval // 300_000}s"
        named = (*project, "--alertName", body["name"])
        yield step(f"The alert {path.stem}", "Alert", named, body, *project)


def _step(about: str, check: str, create: tuple[Any, ...]) -> str:
    return f"# {about}\n{check} >/dev/null 2>&1 ||\n  {_aliyun(*create)}\n"


def _aliyun(*words: Any) -> str:
    return shlex.join(["aliyun", *(one if isinstance(one, str) else json.dumps(one) for one in words)])


def _json(path: str | Path) -> Any:
    return json.loads((_FILES / path).read_bytes())


def _vars(template: str) -> Vars:
    """The names in a file of Serverless Devs; CommandError if it cannot be read, or one is wrong."""
    try:
        return Vars.model_validate(_extended(Path(template)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    said = "it is missing" if first["type"] == "missing" else f"{shown(first['input'])} cannot be used"
    raise output.CommandError(f"{template}: vars.{first['loc'][0]}: {said}; write it as fc-reaper's s.yaml")


def _extended(path: Path, depth: int = 0) -> dict[str, Any]:
    """The `vars` of a file, over those of the one that it extends."""
    try:
        tree = yaml.safe_load(output.read_input(str(path), 1_000_000))
        base, own = tree.get("extend"), {**(tree.get("vars") or {})}
    except (yaml.YAMLError, AttributeError, TypeError):
        base, own = path, {}
    if depth > 9 or base == path:
        raise output.CommandError(f"{path}: it is no file of Serverless Devs; name yours by --template")
    return {**(_extended(path.parent / str(base), depth + 1) if base else {}), **own}
