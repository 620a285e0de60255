"""A lock beside the policy: what is not approved by it only reports, in every way of running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fc_reaper.models import Exit
from fc_reaper.policy import load_policy
from fc_reaper.policy.lock import dump_lock, lock_of
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import Reaped, reap
from tests.run.account import POLICY, policy, seeded, stopped

OVER = {"over-1", "over-2", "over-3"}
TWO = POLICY + POLICY.partition("policies:\n")[2].replace("name: runaway", "name: waiting").replace(
    "running_for: 2h", "queued_for: 2h"
)
QUEUE = {"queue-1", "queue-2"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the policy and its lock lie."""
    return tmp_path


def approved(folder: Path, text: str, *, only: set[str] | None = None) -> Path:
    """Write a policy and the lock that approves it, or those of its policies; answer where the policy is."""
    path = folder / "policy.yaml"
    path.write_text(text)
    lock = lock_of(load_policy(text, source="policy.yaml"), "2026-11-20", only=only)
    (folder / "policy.lock").write_text(dump_lock(lock))
    return path


def changed(path: Path, old: str, new: str) -> Path:
    """Edit a file; what is replaced must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def refused(reaped: Reaped) -> dict[str, str]:
    """What the run says is not approved, and why."""
    return {line["policy"]: line["why"] for line in reaped.logged("not_approved")}


def test_without_a_lock_nothing_changes(cloud: Emulator, folder: Path) -> None:
    """A policy in a folder by itself stops, and nothing is logged about locks."""
    path = folder / "policy.yaml"
    path.write_text(POLICY)
    reaped = reap(cloud.endpoint, path, enforce=True)
    assert reaped.ids("confirmed") == stopped(cloud) == OVER
    assert refused(reaped) == {}


def test_what_the_lock_arms_stops(cloud: Emulator, folder: Path) -> None:
    """As if there were none."""
    reaped = reap(cloud.endpoint, approved(folder, POLICY), enforce=True)
    assert reaped.ids("confirmed") == stopped(cloud) == OVER
    assert refused(reaped) == {}


def test_a_link_to_the_policy_is_no_way_around_its_lock(cloud: Emulator, folder: Path) -> None:
    """Neither is one to the lock itself."""
    path = approved(folder, TWO, only={"waiting"})
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "policy.yaml"
    link.symlink_to(path)
    assert reap(cloud.endpoint, link).ids("would_stop") == QUEUE
    (elsewhere / "policy.lock").symlink_to(folder / "policy.lock")
    assert reap(cloud.endpoint, link).ids("would_stop") == QUEUE


@pytest.mark.parametrize("enforce", [False, True])
def test_a_policy_that_is_not_in_the_lock_only_reports(cloud: Emulator, folder: Path, enforce: bool) -> None:
    """The approved one beside it is not touched by that; a dry run says the same as an enforcement."""
    reaped = reap(cloud.endpoint, approved(folder, TWO, only={"waiting"}), enforce=enforce)
    assert reaped.ids("reported") == OVER
    assert reaped.ids("confirmed" if enforce else "would_stop") == QUEUE
    assert stopped(cloud) == (QUEUE if enforce else set())
    (line,) = reaped.logged("not_approved")
    assert (line["policy"], line["level"]) == ("runaway", "WARNING")
    assert "it is not in " in line["why"]
    assert reaped.finished.exit is Exit.ATTENTION  # for the stuck one, as without a lock


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("running_for: 2h", "running_for: 1h"),
        ("running_for: 2h", "running_for: 3h"),
        ("[vip-*]", "[]"),
        ("@prod", "@*"),
        ("    stop:", "    budget: 30/run\n    stop:"),
        ("    stop:", "    budget: 20/run, 100/day\n    stop:"),
        ("    stop:", "    triggers: [timer]\n    stop:"),
        ("    stop:", "    holdout: 1%\n    stop:"),
        ("name: runaway", "name: runaways"),
    ],
)
def test_a_policy_that_was_changed_in_meaning_only_reports(
    cloud: Emulator, folder: Path, old: str, new: str
) -> None:
    """In whatever direction; a person has to review it again."""
    reaped = reap(cloud.endpoint, changed(approved(folder, POLICY), old, new), enforce=True)
    assert stopped(cloud) == set()
    assert len(refused(reaped)) == 1
    assert "due" not in reaped.counts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("policies:", "# a comment\npolicies:"),
        ("A transcode takes forty minutes", "A transcode takes half an hour"),
        ("running_for: 2h", "running_for: 120m"),
        ("[vip-*]", "[{id: vip-*}]"),
        ("    stop:", "    budget: 20/run\n    stop:"),
        ("    stop:", "    examples: [{given: {running_for: 3h}, expect: stop}]\n    stop:"),
        ("exempt: [keep-*]", "exempt: [keep-*, more-*]"),
        (
            "  - name: runaway\n    targets: [media/transcode@prod]\n",
            "  - targets: [media/transcode@prod]\n    name: runaway\n",
        ),
    ],
)
def test_comments_words_order_and_spellings_do_not_matter(
    cloud: Emulator, folder: Path, old: str, new: str
) -> None:
    """Nor an exemption more."""
    reaped = reap(cloud.endpoint, changed(approved(folder, POLICY), old, new), enforce=True)
    assert stopped(cloud) == OVER
    assert refused(reaped) == {}


@pytest.mark.parametrize("new", ["", "exempt: [keep-1]", "exempt: [keep-1, ke*]"])
def test_while_an_exemption_is_gone_nothing_is_approved(cloud: Emulator, folder: Path, new: str) -> None:
    """Whoever approved the file relied on it; that another is wider, no fingerprint shows."""
    reaped = reap(cloud.endpoint, changed(approved(folder, TWO), "exempt: [keep-*]", new), enforce=True)
    assert stopped(cloud) == set()
    assert refused(reaped).keys() == {"runaway", "waiting"}
    assert all("the exemption keep-* is gone" in why for why in refused(reaped).values())


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        (b"", "the lock is empty"),
        (b"\xff", "byte 0 is not UTF-8"),
        (b"version: 2\nexempt: []\npolicies: []\n", "version"),
        (b"version: 1\npolicies: []\n", "exempt: it is not as"),
        (b"version: 1\nexempt: []\npolicies: [{name: runaway}]\n", "fingerprint: it is not as"),
        (b"hello", "lock: it is not as"),
        (b"<<<<<<< HEAD\nversion: 1\n", ""),
    ],
)
def test_a_lock_that_cannot_be_read_arms_nothing(
    cloud: Emulator, folder: Path, lock: bytes, words: str
) -> None:
    """Whatever is wrong with it, the run goes on and only reports."""
    path = approved(folder, TWO)
    (folder / "policy.lock").write_bytes(lock)
    reaped = reap(cloud.endpoint, path, enforce=True)
    assert stopped(cloud) == set()
    assert refused(reaped).keys() == {"runaway", "waiting"}
    assert all("the lock cannot be used: " in why and words in why for why in refused(reaped).values())
    assert reaped.ids("reported") == OVER | QUEUE


def test_a_lock_that_is_no_file_arms_nothing(cloud: Emulator, folder: Path) -> None:
    """A folder of that name, or a link into nothing, is no sign that all is well."""
    path = approved(folder, POLICY)
    lock = folder / "policy.lock"
    lock.unlink()
    lock.symlink_to(folder / "nowhere")
    assert refused(reap(cloud.endpoint, path, enforce=True)).keys() == {"runaway"}
    lock.unlink()
    lock.mkdir()
    assert refused(reap(cloud.endpoint, path, enforce=True)).keys() == {"runaway"}
    assert stopped(cloud) == set()


def test_an_edited_lock_arms_nothing_more(cloud: Emulator, folder: Path) -> None:
    """Its budget is for the reader, and must be the one of the policy."""
    path = approved(folder, POLICY)
    changed(folder / "policy.lock", "20/run", "10/run")
    assert refused(reap(cloud.endpoint, path, enforce=True)).keys() == {"runaway"}
    assert stopped(cloud) == set()


@pytest.mark.parametrize(
    "event", [{"invocationId": "over-1"}, {"functionName": "transcode"}, {"alerts": [{"status": "firing"}]}]
)
def test_no_event_goes_past_the_lock(cloud: Emulator, folder: Path, event: object) -> None:
    """Not even one that names the task."""
    reaped = reap(cloud.endpoint, approved(folder, POLICY, only=set()), event, enforce=True)
    assert stopped(cloud) == set()
    assert refused(reaped).keys() == {"runaway"}


def test_a_policy_that_reports_needs_no_lock(cloud: Emulator, folder: Path) -> None:
    """It never stops anything."""
    text = policy().replace("    stop:", "    report:")
    reaped = reap(cloud.endpoint, approved(folder, text), enforce=True)
    assert reaped.ids("reported") == OVER
    assert refused(reaped) == {}


def test_a_lock_names_no_payload_and_fits_a_review(folder: Path) -> None:
    """One line for each exemption, four for each policy."""
    text = policy(unless="[{where: payload.vip}]").replace(
        "[keep-*]", "[keep-*, {where: payload.a == 'b c'}]"
    )
    approved(folder, text)
    lines = (folder / "policy.lock").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "version: 1",
        "exempt:",
        "- keep-*",
        "- '{\"where\": \"payload.a == ''b c''\"}'",
        "policies:",
        "- name: runaway",
        f"  fingerprint: {json.dumps(lines[-3].split(': ')[1])[1:-1]}",
        "  approved: '2026-11-20'",
        "  budget: 20/run",
    ]


MANY = {
    "invocations": [
        seeded("old-{n}", "Running", count=2, enqueued="-5h", started="-5h"),
        seeded("new-{n}", "Running", count=3, enqueued="-10m", started="-10m"),
    ]
}
FEW = """\
  - name: few
    targets: [media/transcode@prod]
    match: {status: Running}
    keep: {at_most: 3}
    stop: Three are enough.
"""


@pytest.mark.parametrize(
    "edit",
    [
        ("running_for: 2h", "running_for: 150m"),
        ("running_for: 2h", "running_for: 20h"),
        ("targets: [", "targets: [media/a, "),
        ("targets: [media/transcode@prod]", "targets: [media/a]"),
        ("unless: [", "unless: [old-*, "),
        ("    stop: ", "    triggers: [alert]\n    stop: "),
        ("    stop: ", "    report: "),
        ("  - name: runaway", "  - name: another"),
    ],
)
def test_what_lost_its_arms_makes_no_other_policy_stop_more(folder: Path, edit: tuple[str, str]) -> None:
    """What it took may count for a `keep` policy now, so that one only reports as well."""
    with running_emulator(seed=MANY) as emulator:
        path = approved(folder, POLICY + FEW)
        assert reap(emulator.endpoint, path).ids("would_stop") == {"old-1", "old-2"}
        path.write_text(path.read_text().replace(*edit, 1))
        reaped = reap(emulator.endpoint, path, enforce=True)
        assert "few" in refused(reaped)
        assert stopped(emulator) == set()
