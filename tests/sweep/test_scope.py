"""The scope of a run, and what an event can take away from it."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from fc_reaper.clock import SYSTEM_CLOCK, Pool
from fc_reaper.errors import CloudError
from fc_reaper.events import Request, Selector
from fc_reaper.models import Function
from fc_reaper.policy import load_policy
from fc_reaper.rules.fields import parse_target
from fc_reaper.sweep.scope import is_own, list_functions, resolve, scope_of

ANYTHING = Selector()


EXISTING = [
    Function(*parse_target(name))
    for name in ("media/a", "media/a@prod", "y/a", "a", "media$a", "media$b@7", "b")
]


@pytest.mark.parametrize(
    ("targets", "selector", "left"),
    [
        ("[media/a@prod, b]", ANYTHING, {"media/a@prod", "b@LATEST"}),
        ("[media/a@prod, b]", Selector(function="a"), {"media/a@prod"}),
        # A bare name is every function of that name among the targets.
        ("[x/a, y/a, a]", Selector(function="a"), {"x/a@LATEST", "y/a@LATEST", "a@LATEST"}),
        ("[x/a, y/a, a]", Selector("y", "a"), {"y/a@LATEST"}),
        ("[media/a]", Selector(function="b"), set()),
        # A name that only a pattern allows must exist.
        ("['media/*@*']", Selector("media", "a", "prod"), {"media/a@prod"}),
        ("['media/*@*']", Selector("media", "a", "7"), set()),
        ("['media/*@prod']", Selector("media", "a", "LATEST"), set()),
        ("['media/a*']", Selector(function="A1"), set()),
        ("['*/*@*', '*@*']", Selector("y", "a"), {"y/a@LATEST"}),
        # A function of a 2.0 service has a second name in 3.0.
        ("[media/a]", Selector(function="media$a"), {"media/a@LATEST"}),
        ("[media$a]", Selector("media", "a"), {"media$a@LATEST"}),
        ("[media$a]", Selector(function="a"), {"media$a@LATEST"}),
        ("['*@*']", Selector(function="a"), {"a@LATEST", "media$a@LATEST"}),
        ("['*@*']", Selector(service="media"), {"media$a@LATEST", "media$b@7"}),
        ("['media$?@7']", Selector(service="media"), {"media$b@7"}),
    ],
)  # fmt: skip
def test_a_selector_only_takes_away(targets: str, selector: Selector, left: set[str]) -> None:
    """What remains is a part of the targets, in either spelling of a function's name."""
    keys = f"name: p, targets: {targets}, match: {{running_for: 1h}}, stop: x"
    policies = load_policy(f"version: 1\npolicies: [{{{keys}}}]\n", source="p.yaml").policies
    scope = scope_of([Request("command", None, selector, "")], policies)
    found, _ = resolve(
        scope.targets, lambda services: [one for one in EXISTING if bool(one.service) == services]
    )
    assert {str(one) for one in found if any(area.fits(one) for area in scope.areas)} == left
    assert bool(scope.areas) or not left


TWO = load_policy(
    """
version: 1
policies:
  - {name: hourly, targets: [media/a], match: {running_for: 1h}, triggers: ['timer:hourly'], stop: slow}
  - {name: any, targets: ['media/*', other/b], match: {running_for: 2h}, stop: slow}
""",
    source="p.yaml",
)


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (Request("timer", "hourly", ANYTHING, ""), ["hourly", "any"]),
        (Request("timer", "daily", ANYTHING, ""), ["any"]),
        (Request("alert", None, ANYTHING, ""), ["any"]),
        (Request("timer", "hourly", Selector(function="b"), ""), ["any"]),
    ],
)
def test_a_policy_runs_only_on_its_triggers(request_: Request, names: list[str]) -> None:
    """A trigger may be one timer's name."""
    scope = scope_of([request_], TWO.policies)
    assert [area.policy.name for area in scope.areas] == names


def test_what_is_outside_is_refused_and_what_nobody_runs_is_ignored() -> None:
    """To name an unknown function is a mistake; a trigger that runs no policy is not."""
    (one, _) = TWO.policies
    refused = scope_of([Request("command", None, Selector("zzz", "a"), "[1]")], TWO.policies)
    ignored = scope_of([Request("alert", None, Selector(function="a"), "")], [one])
    assert [(note.event, note.part) for note in refused.notes] == [("trigger_refused", "[1]")]
    assert [note.event for note in ignored.notes] == ["trigger_ignored"]


def test_each_request_keeps_its_own_selector() -> None:
    """Two commands in one event are about two functions, each by itself."""
    requests = [Request("command", None, Selector(function=name), "") for name in ("a", "b")]
    scope = scope_of(requests, TWO.policies)
    existing = [Function("media", name, "LATEST") for name in ("a", "b", "c")]
    found, unmatched = resolve(scope.targets, lambda services: existing)
    assert unmatched == []
    meant = {str(one) for one in found if any(area.fits(one) for area in scope.areas)}
    assert meant == {"media/a@LATEST", "media/b@LATEST", "other/b@LATEST"}


@pytest.mark.parametrize(
    ("ourselves", "function", "same"),
    [
        ("ops/reaper", Function("ops", "reaper", "prod"), True),
        ("ops/reaper", Function(None, "ops$reaper", "LATEST"), True),
        ("ops$reaper", Function("ops", "reaper", "1"), True),
        ("reaper", Function(None, "reaper", "LATEST"), True),
        ("reaper", Function("ops", "reaper", "LATEST"), False),
        ("ops/reaper", Function("ops", "reaper2", "LATEST"), False),
    ],
)
def test_the_reaper_knows_itself_in_both_spellings(ourselves: str, function: Function, same: bool) -> None:
    """Under any qualifier, by its 2.0 or its 3.0 name."""
    assert is_own(function, parse_target(ourselves)) is same


def test_a_list_of_functions_that_has_no_end_is_an_error() -> None:
    """What it holds is let go of long before the time is up."""

    class Endless:
        numbers = count()

        def functions_page(self, **_asked: Any) -> tuple[list[Function], str]:
            found = [Function("media", f"f{next(self.numbers)}", "LATEST") for _ in range(4000)]
            return found, f"after-{found[-1].name}"

    cloud: Any = Endless()
    pool, until = Pool(1, SYSTEM_CLOCK, lambda: False), SYSTEM_CLOCK.monotonic() + 60
    with pytest.raises(CloudError, match="more than 20000 functions"):
        list_functions(cloud, pool, services=True, until=until)
    assert next(cloud.numbers) == 24_000
