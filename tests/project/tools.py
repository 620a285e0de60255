"""Commands of other programs that documents show: is there such a command, and does it take the options?

The programs themselves are not run: they need an account, the internet, or change the machine of a person.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from fc_reaper.settings import Settings
from tests.project.files import ROOT

OPTIONS: Mapping[str, str] = {
    "s config add": "-a --AccessKeyID --AccessKeySecret --AccountID -f",
    "s init": "-d --uri --parameters",
    "s deploy": "-y -t= -a",
    "s remove": "-y -t=",
    "s invoke": "-f= -t=",
    "s preview": "-t=",
    "s verify": "-t=",
    "s logs": "--tail --search -s -e",
    "s local invoke": "-f=",
    "s alias publish": "--alias-name",
    "s version publish": "",
    "s registry publish": "",
    "s info": "",
    "s plan": "",
    "s ondemand": "",
    "s cli fc invoke": "--region --service-name --function-name --qualifier --invocation-type"
    " --stateful-async-invocation-id --event-file",
    "s cli fc3 invoke": "--region --function-name --qualifier --invocation-type --async-task-id --event-file",
    "aliyun ram CreateRole": "--RoleName --AssumeRolePolicyDocument",
    "aliyun ram CreatePolicy": "--PolicyName --PolicyDocument",
    "aliyun ram AttachPolicyToRole": "--PolicyType --PolicyName --RoleName",
    "aliyun ram DetachPolicyFromRole": "--PolicyType --PolicyName --RoleName",
    "aliyun ram DeletePolicy": "--PolicyName",
    "aliyun ram DeleteRole": "--RoleName",
    "aliyun sls create-resource-record": "--region --resource-name --id --tag --value",
    "aliyun configure": "",
    "aliyun configure set": "--profile --expired-seconds",
    "aliyunlog configure": "",
    "aliyunlog log create_project": "--project_name --project_des",
    "aliyunlog log create_logstore": "--project_name --logstore_name --ttl",
    "aliyunlog log create_index": "--project_name --logstore_name --index_detail",
    "aliyunlog log create_dashboard": "--project --detail",
    "aliyunlog log create_alert": "--project --detail",
    "aliyunlog log delete_project": "--project_name",
    "terraform init": "",
    "terraform plan": "",
    "terraform apply": "-var",
    "terraform destroy": "",
    "terraform import": "",
    "npm install -g @serverless-devs/s": "",
    "less": "",
    "vi": "",
    "sh": "",
    ". .venv/bin/activate": "",
}
"""The options of each, as its own help or its documents have them; `=`: the name of a file follows."""


def refused(command: str, folder: Path) -> str | None:
    """Why the command could not be meant in *folder*, or None; what the next lines need of it is made."""
    words = shlex.split(command, comments=True)
    special = _SPECIAL.get(words[0])
    if special is not None:
        return special(words[1:], folder, command)
    known = [name for name in OPTIONS if words[: len(name.split())] == name.split()]
    if not known:
        return "there is no such command"
    name = max(known, key=len)
    takes, rest = OPTIONS[name].split(), words[len(name.split()) :]
    given = {word.partition("=")[0] for word in rest if word.startswith("-")}
    if wrong := given - {one.rstrip("=") for one in takes}:
        return f"it has no option {wrong.pop()}"
    named = [rest[at + 1] for at, word in enumerate(rest) if f"{word}=" in takes]
    named += re.findall(r"\$\(cat ([^)]+)\)", command) + re.findall(r'file://([^"\s]+)', command)
    named += rest if name in ("less", "vi", "sh") else []
    if absent := [one for one in named if not list(folder.glob(one))]:
        return f"there is no file {absent[0]}"
    if name == "s init" and "-d" in rest:
        made = folder / rest[rest.index("-d") + 1]
        shutil.copytree(folder, made, ignore=shutil.ignore_patterns(made.name))
    return _terraform(rest) if name == "terraform apply" else None


def _terraform(words: list[str]) -> str | None:
    declared = set(re.findall(r'^variable "(\w+)"', source("deploy/terraform/variables.tf"), re.MULTILINE))
    given = dict(word.split("=") for word in words if "=" in word)
    wrong = given.keys() - declared or {given.get("mode", "dry-run")} - {"dry-run", "enforce"}
    return f"variables.tf does not take {wrong}" if wrong else None


def source(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def _make(words: list[str], folder: Path, command: str) -> str | None:
    makefile = source("Makefile")
    for word in words:
        name, sets, _ = word.partition("=")
        if not re.search(rf"^{name} *\?=" if sets else rf"^{name}:", makefile, re.MULTILINE):
            return f"the Makefile has no {name}"
    return None


def _python(words: list[str], folder: Path, command: str) -> str | None:
    """A module of the project, with options of its own, or files."""
    flag, module, *rest = words
    found = find_spec(module) if flag == "-m" else None
    if found is None:
        return f"there is no module {module}"
    main = Path(str(found.origin)).with_name("__main__.py")
    text = main.read_text("utf-8") if module != "pytest" and main.is_file() else ""
    wrong = [word for word in rest if word.startswith("--") and f'"{word}"' not in text]
    wrong += [word for word in rest if "/" in word and not (ROOT / word).exists()]
    return f"it does not take {wrong[0]}" if wrong else None


def _pip(words: list[str], folder: Path, command: str) -> str | None:
    (install, what) = words
    extras = re.fullmatch(r"\.\[(.+)\]", what)
    declared = source("pyproject.toml").partition("[project.optional-dependencies]")[2]
    unknown = [one for one in extras[1].split(",") if f"\n{one} = [" not in declared] if extras else [what]
    return f"there is no extra {unknown}" if unknown or install != "install" else None


def _export(words: list[str], folder: Path, command: str) -> str | None:
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"}
    known = keys | {str(field.alias) for field in Settings.model_fields.values()}
    unknown = {word.partition("=")[0] for word in words} - known
    return f"there is no setting {unknown}" if unknown else None


def _in_a_shell(words: list[str], folder: Path, command: str) -> str | None:
    """It works on files alone: `cp` makes one, and `perl` changes those that there are."""
    before = _files(folder)
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    after = _files(folder)
    if done.returncode or after == before:
        return done.stderr or "it changes nothing"
    made = len(after) - len(before)
    return None if made == command.startswith("cp ") else f"it makes {made} files"


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


_SPECIAL: Mapping[str, Callable[[list[str], Path, str], str | None]] = {
    "make": _make,
    ".venv/bin/python": _python,
    "python": _python,
    "pip": _pip,
    "export": _export,
    "cp": _in_a_shell,
    "perl": _in_a_shell,
}
