"""Discovery of the functions that a pattern means: to its last page, and nothing follows where it fails."""

from __future__ import annotations

from typing import Any

import pytest

from fc_reaper.models import Exit
from tests.emulator_server import running_emulator
from tests.reaping import reap
from tests.run.account import operations, policy, seeded, stopped

IDLE = 150
"""Functions without tasks that are due: a page has 100."""


def account(**place: Any) -> dict[str, Any]:
    """Two overdue tasks, of the first and the last function in any order, and many other functions."""
    due = {"enqueued": "-5h", "started": "-3h", **place}
    idle = {"enqueued": "-9h", "started": "-9h", "ends": "-8h", **place}
    return {
        "invocations": [
            seeded("first", "Running", functionName="a-due", **due),
            *(seeded("done", "Succeeded", functionName=f"idle-{n}", **idle) for n in range(IDLE)),
            seeded("last", "Running", functionName="z-due", **due),
        ]
    }


@pytest.mark.parametrize(
    ("place", "target", "operation"),
    [
        ({}, "media/*-due@prod", "ListStatefulAsyncInvocationFunctions"),
        ({"serviceName": None, "qualifier": "LATEST"}, "*-due", "ListAsyncInvokeConfigs"),
    ],
    ids=["2.0", "3.0"],
)
def test_functions_on_every_page_are_found(place: dict[str, Any], target: str, operation: str) -> None:
    with running_emulator("--stopping", "5ms", seed=account(**place)) as cloud:
        reaped = reap(cloud.endpoint, policy(targets=f"['{target}']"), enforce=True, self="ops-reaper")
        assert stopped(cloud) == {"first", "last"}
        assert operations(cloud)[operation] == 2
        assert (reaped.counts["functions"], reaped.finished.exit) == (2, Exit.DONE)


DISCOVERY = "ListStatefulAsyncInvocationFunctions"
DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}
NOT_FOUND: dict[str, Any] = {"status": 404, "code": "ServiceNotFound"}
FIRST_PAGE: dict[str, Any] = {"delay": "1ms", "times": 1}
FAILING: dict[str, list[dict[str, Any]]] = {
    "the first page is denied": [DENIED],
    "the first page is not found": [NOT_FOUND],
    "the second page is denied": [FIRST_PAGE, DENIED],
    "the second page is not found": [FIRST_PAGE, NOT_FOUND],
    "the second page is none": [FIRST_PAGE, {"status": 200, "body": {}}],
}
COUNTING = {
    "keep": ({"match": "{status: Running}", "keep": "{at_most: 1}"}, {"last"}),
    "halt_over": ({"halt_over": "2"}, {"first", "last"}),
    "budget of the day": ({"budget": "2/run, 2/day"}, {"first", "last"}),
}


@pytest.mark.parametrize("keys", COUNTING.values(), ids=COUNTING)
@pytest.mark.parametrize("faults", FAILING.values(), ids=FAILING)
def test_nothing_is_concluded_from_functions_that_could_not_be_listed(
    faults: list[dict[str, Any]], keys: tuple[dict[str, str], set[str]]
) -> None:
    """A pattern may mean more functions than those that are written out, and their tasks count as well."""
    changes, whole = keys
    text = policy(targets="[media/a-due@prod, media/z-due@prod, 'media/*@prod']", **changes)
    with running_emulator("--stopping", "5ms", seed=account()) as cloud:
        cloud.faults([{"operation": DISCOVERY, "times": 99, **fault} for fault in faults])
        reaped = reap(cloud.endpoint, text, enforce=True)
        assert (stopped(cloud), reaped.finished.exit) == (set(), Exit.ATTENTION)
        assert {line["invocation_id"] for line in reaped.logged("skipped")} == whole
        assert [line["service"] for line in reaped.logged("list_failed")] == ["*"]
        cloud.reset()
        text = text.replace("media/*@prod", "media/*-due@prod")
        assert reap(cloud.endpoint, text, enforce=True).finished.exit is Exit.DONE
        assert stopped(cloud) == whole
