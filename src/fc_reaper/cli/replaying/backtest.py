"""`fc-reaper backtest`: what the policy would have done in the history that is kept. Never stops anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.backtest.stats import Replay, Suggestion, suggest
from fc_reaper.cli.output import CommandError, check_writable, print_line, show, write_file
from fc_reaper.cli.replaying.backtest_view import (
    about,
    overview,
    policy_as_json,
    suggestion_as_json,
    suggestions,
)
from fc_reaper.cli.replaying.history import (
    Given,
    Loaded,
    counting,
    load_history,
    read_terms,
    refuse_outside,
)
from fc_reaper.cli.replaying.history_view import (
    headline,
    history_as_json,
    remarks,
    replay_as_json,
    tell_refusals,
)
from fc_reaper.cli.replaying.picture import draw, drawn_policy
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy
from fc_reaper.settings import Context, Settings, read_settings


class Wanted(NamedTuple):
    """What is to come of it. *memory* is the function's, in MB; *svg* a file, *drawn* the policy to draw.

    *force* lets the picture take the place of another file.
    """

    json: bool = False
    memory: int | None = None
    suggest: bool = False
    svg: str | None = None
    drawn: str | None = None
    force: bool = False


def backtest(env: Mapping[str, str], given: Given, wanted: Wanted) -> int:
    """Replay the history under the policy that the settings name, and say what would have come of it."""
    _refuse_no_place(wanted)
    settings = read_settings(env, Context())
    terms = read_terms(given, settings)
    file = _policy(settings, env, given, wanted)
    if wanted.svg is not None and file is not None:
        drawn_policy(file, wanted.drawn)
    loaded = load_history(given, [] if file is None else [file], settings, env)
    result = None if file is None else run(file, loaded, terms)
    found = _suggested(loaded, file) if wanted.suggest else []
    if wanted.svg is not None and file is not None and result is not None:
        picture = draw(loaded.history, result, drawn_policy(file, wanted.drawn), loaded.source)
        write_file(wanted.svg, picture, force=wanted.force)
    if wanted.json:
        print_line(json.dumps(_as_json(loaded, file, result, found, wanted)))
    else:
        _show(loaded, result, found, wanted)
    tell_refusals(loaded)
    return int(loaded.exit)


def _refuse_no_place(wanted: Wanted) -> None:
    """Refuse, before anything is replayed, a picture that there is no place for."""
    if wanted.svg is not None:
        check_writable(wanted.svg, force=wanted.force)
    elif wanted.drawn is not None:
        raise CommandError("--draw names the policy of the picture; add --svg FILE, or leave it out")
    elif wanted.force:
        raise CommandError("--force makes sense with --svg FILE only; leave it out")


def run(file: PolicyFile, loaded: Loaded, terms: ReplayOptions) -> Replay:
    """Replay a history, with a bar where there is a terminal.

    Raises:
        CommandError: the moments of *terms* lie outside the history.
    """
    refuse_outside(terms, loaded.history)
    with counting("Replaying", len(loaded.history.tasks)) as more:
        return replay(loaded.history, file, terms, more)


def _policy(settings: Settings, env: Mapping[str, str], given: Given, wanted: Wanted) -> PolicyFile | None:
    """The policy; None where only suggestions are wanted, and nobody named one that is not there."""
    missing = "\n" not in settings.policy and not (settings.folder / settings.policy).exists()
    if not (missing and wanted.suggest and not env.get("REAPER_POLICY")):
        return read_policy(settings)
    if given.history is None:
        raise CommandError(
            f"{settings.policy}: there is no such file; name a policy, or a history with --history"
        )
    if wanted.svg is not None:
        raise CommandError(
            f"{settings.policy}: there is no such file, and --svg draws a policy's limit; name one"
        )
    return None


def _suggested(loaded: Loaded, file: PolicyFile | None) -> list[Suggestion]:
    """For the functions that the policies watch, whatever runs them; for all without a policy."""
    tasks = loaded.history.tasks
    if file is None:
        return suggest(tasks)
    targets = {target for policy in file.policies for target in policy.targets}
    watched = {function: any(t.fits(function) for t in targets) for function in {t.function for t in tasks}}
    return suggest(task for task in tasks if watched[task.function])


def _show(loaded: Loaded, result: Replay | None, found: list[Suggestion], wanted: Wanted) -> None:
    show(*headline(loaded, result))
    if result is not None and result.policies:
        show("", overview(result, wanted.memory), "")
        for one in result.policies:
            show(*about(one))
    if wanted.suggest:
        show("", *suggestions(found))
    left_out = list(remarks(loaded, [] if result is None else [("", result)]))
    if left_out:
        show("", *left_out)
    if wanted.svg is not None:
        show(f"{wanted.svg}: the picture.")
    if result is not None:
        show("Replayed, not run: what a stop would have changed for others is not in it.")


def _as_json(
    loaded: Loaded,
    file: PolicyFile | None,
    result: Replay | None,
    found: list[Suggestion],
    wanted: Wanted,
) -> dict[str, Any]:
    whole: dict[str, Any] = {"history": history_as_json(loaded)}
    if file is not None and result is not None:
        whole["policy"] = file.source
        whole["replay"] = replay_as_json(result)
        whole["policies"] = [policy_as_json(one, wanted.memory) for one in result.policies]
    if wanted.suggest:
        whole["suggestions"] = [suggestion_as_json(one) for one in found]
    return whole
