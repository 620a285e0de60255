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
    file = loaded(a_file(top="exempt: [keep-*, {target: f, alive_for: 120m}]"))
    lock = lock_of(file, "2026-05-01")
    assert load_lock(dump_lock(lock), "policy.lock") == lock
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
