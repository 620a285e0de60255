"""`fc-reaper diff OLD NEW`: what a change of policy would have changed in the history. Stops nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fc_reaper.backtest.stats import Comparison, Replay, compare
from fc_reaper.cli.options import environment
from fc_reaper.cli.output import CommandError, print_line, show
from fc_reaper.cli.replaying.backtest import run
from fc_reaper.cli.replaying.diff_view import (
    comparison_as_json,
    details,
    markdown,
    sentences,
    stops_as_json,
    summary,
)
from fc_reaper.cli.replaying.history import Given, Loaded, load_history, read_terms
from fc_reaper.cli.replaying.history_view import (
    headline,
    history_as_json,
    remarks,
    replay_as_json,
    tell_refusals,
)
from fc_reaper.errors import PolicyError
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy
from fc_reaper.settings import Context, read_settings


class Sides(NamedTuple):
    """The two policy files and their replays."""

    names: tuple[str, str]
    old: Replay
    new: Replay


def diff(
    old: str, new: str, env: Mapping[str, str], given: Given, *, as_json: bool, as_markdown: bool
) -> int:
    """Replay one history under both policies, and say whom they treat differently."""
    if as_json and as_markdown:
        raise CommandError("--json and --markdown exclude each other; choose one")
    settings = read_settings(env, Context())
    files = _policies((old, new), env)
    terms = read_terms(given, settings)
    loaded = load_history(given, files, settings, env)
    sides = Sides((old, new), run(files[0], loaded, terms), run(files[1], loaded, terms))
    comparison = compare(sides.old, sides.new)
    if as_json:
        print_line(json.dumps(_as_json(loaded, sides, comparison)))
    elif as_markdown:
        left_out = [*headline(loaded, sides.new), *remarks(loaded, _named(sides))]
        print_line(markdown(comparison, sides.old, sides.new, sides.names, left_out).rstrip("\n"))
    else:
        _show(loaded, sides, comparison)
    tell_refusals(loaded)
    return int(loaded.exit)


def _policies(names: tuple[str, str], env: Mapping[str, str]) -> list[PolicyFile]:
    """Both files.

    Raises:
        PolicyError: every finding in either of them.
    """
    files: list[PolicyFile] = []
    findings: list[str] = []
    for name in names:
        if not name.strip() or "\n" in name:
            raise CommandError("OLD and NEW are files with a policy; name them")
        if not Path(name).exists():
            findings.append(f"{name}: there is no such file; diff compares two policy files, OLD and NEW")
            continue
        try:
            files.append(read_policy(read_settings({**env, **_naming(name)}, Context())))
        except PolicyError as error:
            findings += error.findings
    if findings:
        raise PolicyError(findings)
    return files


def _naming(name: str) -> dict[str, str]:
    """The setting for the policy file *name*, which lies beside the person and not beside the code."""
    return {"REAPER_POLICY": environment(policy=name)["REAPER_POLICY"]}


def _show(loaded: Loaded, sides: Sides, comparison: Comparison) -> None:
    show(*headline(loaded, sides.new), "", summary(comparison), "")
    show(*details(comparison))
    show(*sentences(comparison, sides.old, sides.new, sides.names))
    left_out = list(remarks(loaded, _named(sides)))
    if left_out:
        show("", *left_out)


def _named(sides: Sides) -> list[tuple[str, Replay]]:
    return [(sides.names[0], sides.old), (sides.names[1], sides.new)]


def _as_json(loaded: Loaded, sides: Sides, comparison: Comparison) -> dict[str, Any]:
    return {
        "history": history_as_json(loaded),
        "old": {**stops_as_json(sides.names[0], sides.old), "replay": replay_as_json(sides.old)},
        "new": {**stops_as_json(sides.names[1], sides.new), "replay": replay_as_json(sides.new)},
        **comparison_as_json(comparison),
    }
