"""The text of `policy.lock`: written, read back, and refused where it cannot be used."""

from __future__ import annotations

import pytest

from fc_reaper.errors import PolicyError
from fc_reaper.policy.lock import dump_lock, load_lock, lock_of, spared_by, unapproved
from tests.policy.builders import a_file, loaded

FINGERPRINT = "sha256:" + "0" * 64
ENTRY = f"{{name: a, fingerprint: '{FINGERPRINT}', approved: 2026-05-01, budget: 20/run}}"


def test_a_lock_is_read_as_it_was_written() -> None:
    """And approves what it was made of."""
    ends = "{id: a, until: 2026-12-01T00:00:00Z}, {where: payload.x, until: 2026-12-01T00:00:00Z}"
    file = loaded(a_file(top=f"exempt: [keep-*, {{target: f, alive_for: 120m}}, {ends}]"))
    lock = lock_of(file, "2026-05-01")
    assert load_lock(text := dump_lock(lock), "policy.lock") == lock
    assert load_lock(text, "policy.lock") is load_lock(text, "policy.lock")  # a warm instance reads it once
    assert unapproved(file, lock) == {}
    assert set(spared_by(lock)) == set(file.exempt)


@pytest.mark.parametrize(
    ("text", "line", "path"),
    [
        ("", 1, "lock"),
        ("- a", 1, "lock"),
        ("version: 1\nexempt: []", 1, "policies"),
        ("exempt: []\npolicies: []", 1, "version"),
        ("version: 2\nexempt: []\npolicies: []", 1, "version"),
        ("version: 1\nexempt: []\npolicies: []\nmore: 1", 4, "more"),
        ("version: 1\nexempt:\npolicies: []", 2, "exempt"),
        ("version: 1\nexempt: [3]\npolicies: []", 2, "exempt[0]"),
        ("version: 1\nexempt: []\npolicies: {}", 3, "policies"),
        (f"version: 1\nexempt: []\npolicies: [{ENTRY.replace('a,', '3,')}]", 3, "policies[0].name"),
        (
            f"version: 1\nexempt: []\npolicies: [{ENTRY.replace('sha256', 'md5')}]",
            3,
            "policies[0].fingerprint",
        ),
        (
            f"version: 1\nexempt: []\npolicies: [{ENTRY.replace('2026-05-01', 'may')}]",
            3,
            "policies[0].approved",
        ),
    ],
)
def test_a_lock_that_cannot_be_used_is_refused(text: str, line: int, path: str) -> None:
    """Whoever edits it by hand is told where."""
    with pytest.raises(PolicyError) as caught:
        load_lock(text, "policy.lock")
    assert (line, path) in [(one.line, one.path) for one in caught.value.issues]


@pytest.mark.parametrize("exemption", ["{", '{"when": "2h"}', "a b", "[" * 100_000])
def test_an_exemption_that_cannot_be_read_is_refused(exemption: str) -> None:
    """No task is stopped for a broken exemption."""
    lock = lock_of(loaded(a_file()), "2026-05-01").model_copy(update={"exempt": (exemption,)})
    with pytest.raises(PolicyError):
        spared_by(lock)


def test_of_two_entries_of_one_name_both_must_fit() -> None:
    """A merge that kept both sides approves nothing that only one of them approved."""
    file = loaded(a_file())
    lock = lock_of(file, "2026-05-01")
    other = lock.policies[0].model_copy(update={"fingerprint": FINGERPRINT})
    for policies in ((*lock.policies, other), (other, *lock.policies)):
        assert set(unapproved(file, lock.model_copy(update={"policies": policies}))) == {"runaway"}
    assert unapproved(file, lock.model_copy(update={"policies": lock.policies * 2})) == {}


EARLY, LATE = "until: 2026-12-01T00:00:00+08:00", "until: 2026-12-01T00:00:00Z"


@pytest.mark.parametrize(
    ("before", "after", "narrower"),
    [
        ("{id: a}", "{id: a, because: why}", None),
        (f"{{id: a, {EARLY}}}", f"{{id: a, {EARLY}, because: why}}", None),
        (f"{{id: a, {EARLY}}}", f"{{id: a, {LATE}}}", None),
        (f"{{id: a, {EARLY}}}", "a", None),
        (f"{{id: [a, b], {EARLY}}}", f"{{id: [b, a, c], {LATE}}}", None),
        (f"{{id: [a, b], {EARLY}}}", f"a, {{id: b, {LATE}}}", None),
        (f"{{target: f, {EARLY}}}", "{target: f}", None),
        (f"{{where: \"a == ' until x'\", {EARLY}}}", f"{{where: \"a == ' until x'\", {LATE}}}", None),
        (f"{{id: a, {LATE}}}", f"a, {{id: a, {EARLY}}}", None),
        (f"{{id: a, {LATE}}}", f"{{id: a, {LATE}}}, {{id: [b, a], {EARLY}}}", None),
        ("a", f"{{id: a, {LATE}}}", "a"),
        (f"{{id: a, {LATE}}}", f"{{id: a, {EARLY}}}", "a until 2026-12-01T00:00:00Z"),
        (f"{{id: a, {LATE}}}", f"{{id: b, {LATE}}}", "a until 2026-12-01T00:00:00Z"),
        ("{target: f}", f"{{target: f, {LATE}}}", '{"target": "f@*"}'),
        (f"{{target: f, {LATE}}}", f"{{target: g, {LATE}}}", '{"target": "f@*"} until 2026-12-01T00:00:00Z'),
    ],
)
def test_an_exemption_that_holds_for_longer_needs_no_approval(
    before: str, after: str, narrower: str | None
) -> None:
    """One that ends earlier, or has an end now, un-approves all; `because` decides nothing."""
    lock = lock_of(loaded(a_file(top=f"exempt: [{before}]")), "2026-05-01")
    found = unapproved(loaded(a_file(top=f"exempt: [{after}]")), lock)
    what = f"the exemption {narrower} is gone, or ends earlier, since it was approved; "
    again = "look at the change, then run fc-reaper approve"
    assert found == ({} if narrower is None else {"runaway": what + again})
