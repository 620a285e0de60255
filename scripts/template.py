"""Fills build/template with the application template for `s init`: deploy/s-template, the project as its src.

    make template
    s init fc-reaper -d my-reaper --uri build/template

In s.yaml the values of `vars` that are asked for become placeholders; nothing else of it is different.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "template"

INCLUDED = (
    *("src", "scripts", "constraints", "deploy", "docs", "events", "examples"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "Makefile", "README.md", "README.zh-CN.md"),
    *("SECURITY.md", "action.yml", "pyproject.toml", "s.yaml", "s-prod.yaml", ".gitignore"),
)
"""What `make package`, `make demo` and `s deploy` need, and the documents."""

IGNORED = ("__pycache__", "*.egg-info", ".terraform*", "*.tfstate*", "*.tfvars")
"""What running something leaves behind; a state of Terraform holds secrets."""

ASKED = ("region", "role", "logProject", "interval")
"""The names under `vars` in s.yaml that `s init` asks for."""


def make_template(out: Path) -> None:
    """Empty *out* and fill it."""
    shutil.rmtree(out, ignore_errors=True)
    ignored = shutil.ignore_patterns(*IGNORED)
    shutil.copytree(ROOT / "deploy" / "s-template", out, ignore=ignored)
    for name in INCLUDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, out / "src" / name, ignore=ignored)
        else:
            shutil.copy(source, out / "src" / name)
    (version,) = re.findall(
        '^__version__ = "(.+)"$', (ROOT / "src/fc_reaper/__init__.py").read_text("utf-8"), re.MULTILINE
    )
    for name in ("publish.yaml", "version.md"):
        text = (out / name).read_text("utf-8")
        (out / name).write_text(text.replace("VERSION", version), "utf-8")
    text = (ROOT / "s.yaml").read_text("utf-8")
    (out / "src" / "s.yaml").write_text(with_placeholders(text), "utf-8")


def with_placeholders(text: str) -> str:
    """s.yaml with `{{ NAME }}` for what is asked for, and the alias of the credential, which `s init` adds.

    Raises:
        ValueError: a line that is to be changed is missing, or stands twice.
    """
    lines = {f"  {name}": f"{{{{ {name} }}}}" for name in ASKED}
    # Without -a and without an answer there is no alias.
    lines["access"] = "{{ access || 'default' }}"
    for key, placeholder in lines.items():
        text, found = re.subn(rf"^({key}: )\S+", rf'\g<1>"{placeholder}"', text, flags=re.MULTILINE)
        if found != 1:
            raise ValueError(f"s.yaml has {found} lines {key.strip()}: under vars, not one")
    return text


if __name__ == "__main__":
    make_template(OUT)
    print(f"{OUT.relative_to(ROOT)}: s init fc-reaper -d my-reaper --uri {OUT.relative_to(ROOT)}")
