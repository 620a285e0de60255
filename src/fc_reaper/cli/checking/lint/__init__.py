"""What is valid in a policy file and yet probably not meant.

A warning must be right: where nobody can tell for certain, nothing is said. To add one: a function from a
`PolicyFile` to remarks, its name in `_LINTS`, and a row in `tests/cli/test_lint.py`.
"""

from __future__ import annotations

from fc_reaper.cli.checking.lint import (
    beaten,
    doubtful,
    groups,
    maxima,
    mercies,
    native,
    never,
    numbers,
    repeated,
    said_twice,
    unanswered,
    unlisted,
)
from fc_reaper.cli.checking.lint.places import document, placed
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import PolicyFile

_LINTS = (
    unanswered.remarks,
    never.remarks,
    beaten.remarks,
    maxima.remarks,
    mercies.remarks,
    native.remarks,
    groups.remarks,
    doubtful.remarks,
    said_twice.remarks,
)


def warnings(file: PolicyFile, text: str = "", api_version: str = unlisted.WITHOUT) -> list[Remark]:
    """Everything odd in *file*, in the order of its lines.

    *text* is what the file was read from: with it each remark names the line of its own key, else that of
    the matcher or the policy around it. *api_version* is the one by which functions of FC 2.0 are asked.
    """
    said = [remark for lint in _LINTS for remark in lint(file)]
    said += unlisted.remarks(file, api_version)
    root = document(text)
    said += numbers.remarks(file, root)
    said += repeated.remarks(file, root)
    return sorted(dict.fromkeys(placed(said, root)), key=lambda remark: remark.line or 0)
