"""Writes tests/deploy/alicloud.json: what the Terraform provider aliyun/alicloud takes, of resources we use.

    pip download --no-deps pulumi-alicloud==4.0.0
    python -m scripts.provider_schema pulumi_alicloud-4.0.0-py3-none-any.whl

The classes of pulumi-alicloud are generated from the schema of the provider: arguments, their types, and
which of them are required. Deprecated ones are left out. The classes write the names of lists in the plural;
SINGULAR has the provider's own spelling, as in
https://github.com/aliyun/terraform-provider-alicloud/tree/master/website/docs/r
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent.parent / "tests/deploy/alicloud.json"

CLASSES = {
    "alicloud_fcv3_async_invoke_config": ("fc", "V3AsyncInvokeConfig"),
    "alicloud_fcv3_concurrency_config": ("fc", "V3ConcurrencyConfig"),
    "alicloud_fcv3_function": ("fc", "V3Function"),
    "alicloud_fcv3_trigger": ("fc", "V3Trigger"),
    "alicloud_log_dashboard": ("log", "Dashboard"),
    "alicloud_log_project": ("log", "Project"),
    "alicloud_log_store": ("log", "Store"),
    "alicloud_ram_policy": ("ram", "Policy"),
    "alicloud_ram_role": ("ram", "Role"),
    "alicloud_ram_role_policy_attachment": ("ram", "RolePolicyAttachment"),
    "alicloud_sls_alert": ("sls", "Alert"),
    "alicloud_sls_index": ("sls", "Index"),
}

SINGULAR = {
    "log_reduce_black_lists": "log_reduce_black_list",
    "log_reduce_white_lists": "log_reduce_white_list",
    "query_lists": "query_list",
    "tokens": "token",
}

TYPES = {"str": "string", "int": "number", "float": "number", "bool": "bool"}

Class = dict[str, tuple[str, bool]]
"""For each argument its annotation and whether it must be given."""


class Wheel:
    """The classes of the arguments that a wheel of pulumi-alicloud has."""

    def __init__(self, path: Path) -> None:
        self._wheel = zipfile.ZipFile(path)
        self._classes: dict[str, dict[str, Class]] = {}

    def classes(self, module: str) -> dict[str, Class]:
        if module not in self._classes:
            tree = ast.parse(self._wheel.read(f"pulumi_alicloud/{module}.py"))
            self._classes[module] = {
                one.name: arguments(one) for one in tree.body if isinstance(one, ast.ClassDef)
            }
        return self._classes[module]

    def resource(self, folder: str, name: str) -> dict[str, Any]:
        """The arguments of a resource, and the attributes that only the provider sets."""
        file = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
        classes = self.classes(f"{folder}/{file}")
        taken = classes[f"{name}Args"]
        return {
            "arguments": self.block(folder, taken),
            "computed": sorted(classes[f"_{name}State"].keys() - taken.keys()),
        }

    def block(self, folder: str, taken: Class) -> dict[str, Any]:
        """For each argument its type; a `!` after its name says that it must be given."""
        return {
            (SINGULAR.get(name, name) if "Sequence[" in annotation else name) + "!" * required: self.type(
                folder, annotation
            )
            for name, (annotation, required) in sorted(taken.items())
        }

    def type(self, folder: str, annotation: str) -> Any:
        many = "Sequence[" in annotation
        nested = re.search(r"'(\w+Args)'", annotation)
        if nested:
            block = self.block(folder, self.classes(f"{folder}/_inputs")[nested[1]])
            return [block] if many else block
        (leaf,) = re.findall(r"_builtins\.(\w+)", annotation)
        return "map" if "Mapping[" in annotation else "list" if many else TYPES[leaf]


def arguments(found: ast.ClassDef) -> Class:
    """What the constructor of a class takes and is not deprecated; none where it takes nothing by name."""
    functions = [one for one in found.body if isinstance(one, ast.FunctionDef)]
    gone = {
        one.name for one in functions if any("deprecated(" in ast.unparse(of) for of in one.decorator_list)
    }
    for one in functions:
        if one.name == "__init__":
            pairs = zip(one.args.kwonlyargs, one.args.kw_defaults, strict=True)
            return {
                arg.arg: (ast.unparse(arg.annotation), not value)
                for arg, value in pairs
                if arg.annotation and arg.arg not in gone
            }
    return {}


def main(path: Path) -> None:
    wheel = Wheel(path)
    document = {
        "source": f"{path.name.split('-py3')[0].replace('_', '-')} of PyPI",
        "resources": {name: wheel.resource(*place) for name, place in CLASSES.items()},
    }
    OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
