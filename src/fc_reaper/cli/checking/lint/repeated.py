"""What stands twice in one list. A policy no longer shows it, so this is looked for in what is written.

A literal target beside a pattern that covers it is left alone: it is looked at where discovery fails, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from fc_reaper.cli.checking.lint.places import listed
from fc_reaper.cli.checking.lint.said_twice import NAME
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import PolicyFile
from fc_reaper.policy.document import Node
from fc_reaper.rules.target import parse_target


def remarks(file: PolicyFile, root: Node | None) -> Iterator[Remark]:
    """One remark for each target and trigger that an earlier entry of its list means as well."""
    for number, policy in enumerate(file.policies):
        for key in ("targets", "triggers"):
            path = f"policies[{number}].{key}"
            entries = [_meant(key, text) for text in listed(root, path)]
            for at, entry in enumerate(entries):
                if entry in entries[:at]:
                    cause = f"{entry} stands there already"
                    yield Remark(
                        file.source, policy.line, f"{path}[{at}]", cause, "delete one of the two", NAME
                    )


def _meant(key: str, text: str) -> str:
    """Without `@` a target means `@LATEST`."""
    return str(parse_target(text)) if key == "targets" else text
