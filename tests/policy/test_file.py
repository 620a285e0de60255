"""What a policy file says, and what it means when it says nothing."""

from __future__ import annotations

import pytest

from fc_reaper.models import Target
from fc_reaper.policy import Keep, Matcher, load_policy
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.interpreter import parse_expression
from tests.policy.builders import a_file, loaded, match, policy, spared

HOUR = 3_600_000


def keep_of(**values: object) -> Keep:
    return Keep.model_validate(values)


def stated(matcher: Matcher) -> dict[str, object]:
    """What a matcher states, by its keys."""
    return {rule.key: rule.wanted for rule in matcher.rules}


WHOLE = """\
version: 1
exempt: [keep-*]
policies:
  - name: runaway-transcodes
    targets: [media/transcode@prod, resize@*]
    match: {alive_for: {from: payload.max_run, at_most: 6h, else: 2h}}
    unless:
      - vip-*
      - {target: media/transcode@prod, status: Retrying, where: payload.tier == 'gold'}
    stop: A transcode takes 40 minutes at worst, all retries together.
    triggers: [timer:nightly, alert]
    keep: {at_most: 3, stop_first: oldest, per: payload.order_id}
    budget: 5/run, 50/day
    halt_over: 100
    holdout: 2.5%
    examples:
      - given: {id: job-1, target: media/transcode@prod, alive_for: 3h, retries: 2, payload: {tier: tin}}
        expect: stop
"""


def test_everything_that_is_written_arrives() -> None:
    """Every key of the format, in one file."""
    prod = Target("media", "transcode", "prod")
    file = load_policy(WHOLE, source="policy.yaml")
    (read,) = file.policies
    limit = CarriedLimit.model_validate({"from": "payload.max_run", "at_most": "6h", "else": "2h"})
    assert (file.version, file.source, [one.ids for one in file.exempt]) == (1, "policy.yaml", [("keep-*",)])
    assert (read.name, read.targets) == ("runaway-transcodes", (prod, Target(None, "resize", "*")))
    assert read.match.limits == (("alive_for", limit),)
    assert (limit.at_most, limit.otherwise) == (6 * HOUR, 2 * HOUR)
    assert [stated(one) for one in read.unless] == [
        {"id": ("vip-*",)},
        {"target": (prod,), "status": ("Retrying",), "where": parse_expression("payload.tier == 'gold'")},
    ]
    assert (read.stops, read.reason) == (True, "A transcode takes 40 minutes at worst, all retries together.")
    assert read.triggers == ("timer:nightly", "alert")
    assert read.keep == keep_of(at_most=3, stop_first="oldest", per="payload.order_id")
    assert (read.budget.per_run, read.budget.per_day, read.halt_over, read.holdout) == (5, 50, 100, 250)
    (example,) = read.examples
    assert (example.expect, example.given.id, example.given.target) == ("stop", "job-1", prod)
    assert (example.given.ages, example.given.retries) == ({"alive_for": 3 * HOUR}, 2)
    assert example.given.payload == '{"tier":"tin"}'


def test_everything_remembers_its_line() -> None:
    """So that a verdict can point at it."""
    file = loaded(WHOLE)
    read = file.policies[0]
    assert (file.exempt[0].line, read.line, read.match.line) == (2, 4, 6)
    assert [one.line for one in read.unless] == [8, 9]
    assert [one.line for one in read.examples] == [17]


def test_what_is_left_out_has_its_default() -> None:
    """Nothing is exempt or spared, any trigger runs it, twenty a run, and nothing else holds it back."""
    file = loaded(a_file())
    read = file.policies[0]
    assert (file.exempt, read.unless, read.triggers, read.budget.per_run) == ((), (), (), 20)
    assert (read.keep, read.budget.per_day, read.halt_over, read.holdout) == (None, None, None, None)
    assert read.examples == ()


@pytest.mark.parametrize(
    ("written", "per_run", "per_day"),
    [
        ("5/run", 5, None),
        ("5/run, 50/day", 5, 50),
        ("5/run,50/day", 5, 50),
        ("50/day, 5/run", 5, 50),
        ("50/day", 20, 50),
        ("20/run, 10/day", 20, 10),
    ],
)
def test_a_budget_is_a_number_a_run_and_perhaps_a_day(
    written: str, per_run: int, per_day: int | None
) -> None:
    """In either order; without the one a run has twenty, without the other a day has no limit."""
    read = policy(budget=written)
    assert (read.budget.per_run, read.budget.per_day) == (per_run, per_day)


@pytest.mark.parametrize(
    ("written", "hundredths"),
    [("2%", 200), ("0.01%", 1), ("0.5%", 50), ("2.50%", 250), ("99.99%", 9999), ("10%", 1000)],
)
def test_a_holdout_is_a_share_down_to_a_hundredth_of_a_percent(written: str, hundredths: int) -> None:
    """Between nothing and everything, neither of which is a share."""
    assert policy(holdout=written).holdout == hundredths


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{at_most: 1}", keep_of(at_most=1)),
        ("{at_most: 10, stop_first: oldest}", keep_of(at_most=10, stop_first="oldest")),
        ("{at_most: 10, per: function}", keep_of(at_most=10, per="function")),
        ("{at_most: 10, per: qualifier}", keep_of(at_most=10, per="qualifier")),
        ("{at_most: 10, per: functionName}", keep_of(at_most=10, per="functionName")),
        ("{at_most: 1, per: payload.order_id}", keep_of(at_most=1, per="payload.order_id")),
    ],
)
def test_keep_says_how_many_who_goes_first_and_in_which_groups(written: str, meant: Keep) -> None:
    """Where nothing is said the newest go first, out of one group of all."""
    assert policy(keep=written).keep == meant


@pytest.mark.parametrize(
    ("written", "json"),
    [
        ("{a: [1, -2.5, 1.0e+3], b: {c: null}}", '{"a":[1,-2.5,1000.0],"b":{"c":null}}'),
        ("[true, on, 12:30, '1e3', 1e3, 0x1f, 017]", '[true,"on","12:30","1e3",1000.0,"0x1f","017"]'),
        ("[2026-05-01, yes, 1_000, ~, {n: }]", '["2026-05-01","yes","1_000",null,{"n":null}]'),
        ("null", "null"),
        ("plain text", '"plain text"'),
        ("{'yes': é}", '{"yes":"\\u00e9"}'),
        ("|\n            two\n            lines\n", '"two\\nlines\\n"'),
    ],
)
def test_a_payload_is_json(written: str, json: str) -> None:
    """Whatever a task may have been invoked with."""
    text = f"\n      - given:\n          payload: {written}\n        expect: keep"
    assert policy(examples=text).examples[0].given.payload == json


def test_an_expression_may_stand_over_several_lines() -> None:
    """As folded text or as it is; blanks around it are none of it."""
    folded = match("\n      where: >\n        payload.a == 'x'\n        && payload.b\n      alive_for: 2h")
    assert stated(folded)["where"] == parse_expression("payload.a == 'x' && payload.b")


def test_a_report_does_not_stop() -> None:
    """`report` carries its reason as `stop` does."""
    read = policy(report="is that normal?")
    assert (read.stops, read.reason) == (False, "is that normal?")


@pytest.mark.parametrize("written", ["[]", "\n      []"])
def test_an_empty_list_of_exemptions_spares_nothing(written: str) -> None:
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
    """In `targets`, where all qualifiers must be asked for; in an exemption it means them all."""
    assert policy(targets=f"[{written}]").targets == (meant,)
    wide = meant if "@" in written else meant._replace(qualifier="*")
    assert stated(spared(f"[{{target: {written}}}]")[0]) == {"target": (wide,)}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{status: Running}", {"status": ("Running",)}),
        ("{status: [Running, Stopping]}", {"status": ("Running", "Stopping")}),
        ("{id: 'job-?'}", {"id": ("job-?",)}),
        ("{id: ['*-a', b]}", {"id": ("*-a", "b")}),
        ("{queued_for: 90m}", {"queued_for": 90 * 60_000}),
        ("{running_for: 90s}", {"running_for": 90_000}),
        ("{alive_for: 1d12h}", {"alive_for": 36 * HOUR}),
        ("{stopping_for: PT3M}", {"stopping_for": 180_000}),
        ("{retries_over: 0}", {"retries_over": 0}),
        ("{where: payload.vip}", {"where": parse_expression("payload.vip")}),
        (
            "{alive_for: {from: payload.max, at_most: 6h}}",
            {"alive_for": CarriedLimit.model_validate({"from": "payload.max", "at_most": "6h"})},
        ),
        (
            "{queued_for: {from: payload.max, at_most: 2h, else: 2h}}",
            {
                "queued_for": CarriedLimit.model_validate(
                    {"from": "payload.max", "at_most": "2h", "else": "2h"}
                )
            },
        ),
    ],
)
def test_every_key_of_a_match(written: str, meant: dict[str, object]) -> None:
    """Each key alone; what is not written asks nothing."""
    assert stated(match(written)) == meant


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
