"""`fc-reaper setup`: prints, and never runs, the commands of `aliyun` in setup.sh that prepare an account."""

import json
import re
import shlex
from pathlib import Path
from string import Template as Text
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError
from typer import Option

from fc_reaper.cli import output
from fc_reaper.cli.app import Enforce, PolicyOption, environment
from fc_reaper.models import Exit, Millis
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.duration import parse_duration
from fc_reaper.rules.language import Plain
from fc_reaper.settings import Context, read_policy, read_settings

_INSTALLED = Path(__file__).with_name("setup_files")
_FILES = _INSTALLED if _INSTALLED.exists() else Path(__file__).parents[3]  # that of the clone
_DISCOVERY = ("Functions", "Configs")  # how the actions end that find functions

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
    policy: PolicyOption = None,
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
        output.print_line(_text("deploy/trust.json").rstrip())
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
        why = "which has no effect by the platform's own pages (docs/permissions.md)"
        output.print_error(f"the narrow form, {why}: {json.dumps(narrow)}")
        return Exit.DONE
    *steps, alert = Path(__file__).with_name("setup.sh").read_text("utf-8").rstrip().split("\n\n")
    names = {**known.model_dump(), "role": role, "mode": mode, "narrow": json.dumps(narrow)}
    names |= {name: _word(_monitoring(f"{name}.json", known)) for name in ("index", "dashboard")}
    names |= {"rights": _word(document), "trust": _word(json.loads(_text("deploy/trust.json")))}
    filled = [Text(step).substitute(names) for step in steps]
    for path in sorted((_FILES / "docs/monitoring/alerts").glob("*.json")):
        body = _monitoring(f"alerts/{path.name}", known)
        filled.append(Text(alert).substitute(names, alert=body["name"], body=_word(body)))
    output.print_line("\n\n".join(filled))
    return Exit.DONE


def needed_actions(file: PolicyFile, *, stops: bool) -> list[str]:
    """The RAM actions that runs of *file* need; those to stop only where such runs may stop."""

    def needs(action: str) -> bool:
        two, both = "Stateful" in action, action == "fc:GetFunction"  # a target with a service is one of 2.0
        every = [(one, on) for one in file.policies for on in one.targets]
        ours = [(one, on) for one, on in every if both or (on.service is not None) == two]
        if both or action.startswith("fc:Stop"):
            return stops and any(one.stops for one, _ in ours)
        return any(on.needs_discovery or not action.endswith(_DISCOVERY) for _, on in ours)

    return list(filter(needs, json.loads(_text("deploy/policy-enforce.json"))["Statement"][0]["Action"]))


def narrowed(file: PolicyFile, actions: list[str], place: str) -> dict[str, Any]:
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


def _monitoring(name: str, known: Vars) -> dict[str, Any]:
    """A document of docs/monitoring by the names in the file; what it calls 5 minutes is the interval."""
    text = _text(f"docs/monitoring/{name}")
    places = {"region": known.region, "project": known.project, "store": known.store, "logstore": known.store}
    for key, place in places.items():
        text = re.sub(f'"{key}": "[^"]*"', f'"{key}": "{place}"', text)
    lengths = '(?<=pause_s > )900|(?<="start": "-)[69]00(?=s")'
    text = re.sub(lengths, lambda length: str(int(length[0]) * known.interval // 300_000), text)
    # Only aliyunlog knows type and state.
    return {key: part for key, part in json.loads(text).items() if key not in ("type", "state")}


def _word(document: Any) -> str:
    return shlex.quote(json.dumps(document))


def _text(path: str) -> str:
    return (_FILES / path).read_text("utf-8")


def _vars(template: str) -> Vars:
    """The names in a file of Serverless Devs; CommandError if it cannot be read, or one is wrong."""
    try:
        return Vars.model_validate(_extended(Path(template)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        what = f"vars.{first['loc'][0]}: {first['msg']}; write it as fc-reaper's s.yaml"
    except (yaml.YAMLError, AttributeError, TypeError, RecursionError):
        what = "it, or what it extends, is no file of Serverless Devs; name yours by --template"
    raise output.CommandError(f"{template}: {what}")


def _extended(path: Path) -> dict[str, Any]:
    """The `vars` of a file, over those of the one that it extends."""
    tree = yaml.safe_load(output.read_input(str(path), 1_000_000))
    base = tree.get("extend")
    return {**(_extended(path.parent / base) if base else {}), **(tree.get("vars") or {})}
