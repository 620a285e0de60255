"""What a policy file says, and what it means when it says nothing."""

from __future__ import annotations

import pytest

from fc_reaper.policy import Matcher, Policy, PolicyFile, load_policy
from fc_reaper.target import Target
from tests.policy.builders import a_file, loaded, match, policy, spared

HOUR = 3_600_000

WHOLE = """\
version: 1
exempt: [keep-*]
policies:
  - name: runaway-transcodes
    targets: [media/transcode@prod, resize@*]
    match: {alive_for: 2h}
    unless:
      - vip-*
      - {target: media/transcode@prod, status: Retrying}
    stop: A transcode takes 40 minutes at worst, all retries together.
    triggers: [timer:nightly, alert]
    budget: 5/run
    halt_over: 100
"""


def test_everything_that_is_written_arrives() -> None:
    """Every key of the format, in one file, with the lines where things stand."""
    prod = Target("media", "transcode", "prod")
    assert load_policy(WHOLE, source="policy.yaml") == PolicyFile(
        version=1,
        exempt=(Matcher(ids=("keep-*",), line=2),),
        policies=(
            Policy(
                name="runaway-transcodes",
                targets=(prod, Target(None, "resize", "*")),
                match=Matcher(alive_for=2 * HOUR, line=6),
                stops=True,
                reason="A transcode takes 40 minutes at worst, all retries together.",
                unless=(
                    Matcher(ids=("vip-*",), line=8),
                    Matcher(target=(prod,), statuses=("Retrying",), line=9),
                ),
                triggers=("timer:nightly", "alert"),
                per_run=5,
                halt_over=100,
                line=4,
            ),
        ),
        source="policy.yaml",
    )


def test_what_is_left_out_has_its_default() -> None:
    """Nothing is exempt or spared, any trigger runs it, twenty a run, and no number halts it."""
    file = loaded(a_file())
    read = file.policies[0]
    assert (file.exempt, read.unless, read.triggers, read.per_run, read.halt_over) == ((), (), (), 20, None)


def test_a_report_does_not_stop() -> None:
    """`report` carries its reason as `stop` does."""
    read = policy(report="is that normal?")
    assert (read.stops, read.reason) == (False, "is that normal?")


@pytest.mark.parametrize("written", ["[]", "\n      []"])
def test_an_empty_list_of_mercies_spares_nobody(written: str) -> None:
    """Unlike a key with nothing under it, `[]` cannot be an accident."""
    assert spared(written) == ()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("transcode", Target(None, "transcode", "LATEST")),
        ("media/transcode", Target("media", "transcode", "LATEST")),
        ("media/transcode@3", Target("media", "transcode", "3")),
        ("media/*@*", Target("media", "*", "*")),
        ("'*/*@*'", Target("*", "*", "*")),
        ("'?esize'", Target(None, "?esize", "LATEST")),
    ],
)
def test_a_target_without_a_qualifier_means_latest(written: str, meant: Target) -> None:
    """In `targets` and in a matcher alike; all qualifiers must be asked for."""
    assert policy(targets=f"[{written}]").targets == (meant,)
    assert spared(f"[{{target: {written}}}]")[0].target == (meant,)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{status: Running}", {"statuses": ("Running",)}),
        ("{status: [Running, Stopping]}", {"statuses": ("Running", "Stopping")}),
        ("{id: 'job-?'}", {"ids": ("job-?",)}),
        ("{id: ['*-a', b]}", {"ids": ("*-a", "b")}),
        ("{queued_for: 90m}", {"queued_for": 90 * 60_000}),
        ("{running_for: 90s}", {"running_for": 90_000}),
        ("{alive_for: 1d12h}", {"alive_for": 36 * HOUR}),
        ("{stopping_for: PT3M}", {"stopping_for": 180_000}),
        ("{retries_over: 0}", {"retries_over": 0}),
    ],
)
def test_every_key_of_a_match(written: str, meant: dict[str, object]) -> None:
    """Each key alone; what is not written asks nothing."""
    assert match(written) == Matcher(**meant, line=6)  # type: ignore[arg-type]


def test_what_is_written_twice_in_a_list_counts_once() -> None:
    """So no function is looked at twice for one policy."""
    assert policy(targets="[f, f@LATEST, g]").targets == policy(targets="[f, g]").targets
    assert policy(triggers="[task, task]", match="{status: Running}").triggers == ("task",)


def test_a_reason_over_several_lines_becomes_one() -> None:
    """A log line and a table row hold one line."""
    assert policy(stop="|\n      It takes\n      forty  minutes.\n").reason == "It takes forty minutes."


def test_two_policies_on_one_line_keep_their_order() -> None:
    """JSON is YAML too: the place in the file is kept where lines cannot tell."""
    one = '{"name": "%s", "targets": ["f"], "match": {"alive_for": "2h"}, "stop": "why"}'
    file = loaded(f'{{"version": 1, "policies": [{one % "b"}, {one % "a"}]}}')
    assert [(read.name, read.line, read.index) for read in file.policies] == [("b", 1, 0), ("a", 1, 1)]


def test_an_anchor_may_be_repeated() -> None:
    """Aliases save typing; they stand for what they name."""
    text = a_file(top="exempt: &spared [keep-*]", unless="*spared")
    assert loaded(text).policies[0].unless == loaded(text).exempt


@pytest.mark.parametrize("text", [a_file().replace("\n", "\r\n"), "\ufeff" + a_file(), "---\n" + a_file()])
def test_line_ends_byte_order_mark_and_document_start_are_fine(text: str) -> None:
    """As editors on other systems write them."""
    assert loaded(text).policies[0].name == "runaway"


@pytest.mark.parametrize(
    ("triggers", "kind", "name", "fits"),
    [
        ("", "alert", None, True),
        ("[alert, command]", "alert", None, True),
        ("[alert, command]", "task", None, False),
        ("[timer]", "timer", "nightly", True),
        ("[timer:nightly]", "timer", "nightly", True),
        ("[timer:nightly]", "timer", "hourly", False),
        ("[timer:nightly]", "timer", None, False),
        ("[timer:nightly]", "alert", "nightly", False),
    ],
)
def test_triggers_say_what_runs_a_policy(triggers: str, kind: str, name: str | None, fits: bool) -> None:
    """No triggers mean all; a timer may be named, nothing else may."""
    read = policy(triggers=triggers) if triggers else policy()
    assert read.fits_trigger(kind, name) is fits
