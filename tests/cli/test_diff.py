"""`fc-reaper diff OLD NEW`: what a change of policy would have changed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from fc_reaper.models import printable
from fc_reaper.policy import load_policy
from fc_reaper.policy.lock import dump_lock, lock_of
from tests.cli.command import at, fc_reaper
from tests.cli.histories import POLICY, RECORDS, a_history, record
from tests.emulator_server import running_emulator
from tests.run.account import seeded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two policies, two hours and three, and a history."""
    a_history(tmp_path)
    (tmp_path / "old.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "new.yaml").write_text(POLICY.replace("2h", "5h"), encoding="utf-8")
    return tmp_path


def test_changes_are_counted_by_kind_and_by_truth(folder: Path) -> None:
    """Five hours instead of two: slow and cut are spared, broken and endless are stopped later."""
    ran = fc_reaper("diff", "old.yaml", "new.yaml", "--history", "history.jsonl", "--json", cwd=folder)
    assert ran.code == 0
    counts = ran.json["counts"]
    assert counts["less"] == {"tasks": 2, "succeeded": 1, "failed": 0, "censored": 1, "open": 0, "unknown": 0}
    assert counts["later"] == {
        "tasks": 2,
        "succeeded": 0,
        "failed": 1,
        "censored": 0,
        "open": 1,
        "unknown": 0,
    }
    assert (counts["more"]["tasks"], counts["earlier"]["tasks"], ran.json["same"]) == (0, 0, 0)
    assert (ran.json["old"]["stops"], ran.json["new"]["stops"]) == (4, 2)
    first = ran.json["changes"][0]
    assert (first["how"], first["invocation_id"], first["outcome"], first["new"]) == (
        "less",
        "slow",
        "succeeded",
        None,
    )
    assert first["old"]["at"] == "2026-11-18T02:05:00.000Z"


def test_it_is_said_in_words_within_80_columns(folder: Path) -> None:
    """The other way round it stops more, and one of them had succeeded."""
    ran = fc_reaper("diff", "new.yaml", "old.yaml", "--history", "history.jsonl", cwd=folder)
    assert (ran.code, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "more 2 1 0 1 0" in ran.text
    assert "earlier 2 0 1 0 1" in ran.text
    assert "slow media/transcode@prod runaway - 11-18 02:05 succeeded" in ran.text
    assert "old.yaml would have stopped 4 tasks, 1 of which succeeded in the end." in ran.text
    assert "12h45m of task time would have been saved by it." in ran.text


def test_a_table_for_a_pull_request_has_at_most_twenty_rows(tmp_path: Path) -> None:
    """The rest is a number, and nothing in a name can break the table."""
    odd = record("over-0", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "6h"))
    records = [{**odd, "invocationId": f"over-{n}", "requestId": f"r-{n}"} for n in range(25)]
    a_history(tmp_path, records)
    (tmp_path / "old.yaml").write_text(POLICY.replace("runaway", "a").replace("2h", "9h"), encoding="utf-8")
    new = POLICY.replace("name: runaway", "name: 'x|`y`'").replace("stop:", "budget: 99/run\n    stop:")
    (tmp_path / "new.yaml").write_text(new, encoding="utf-8")
    ran = fc_reaper("diff", "old.yaml", "new.yaml", "--history", "history.jsonl", "--markdown", cwd=tmp_path)
    rows = [line for line in ran.out.splitlines() if line.startswith("| over-")]
    assert ran.code == 0
    assert len(rows) == 20
    assert rows[0].startswith(
        "| over-0 | <code>media/transcode&#64;prod</code> | <code>x&#124;&#96;y&#96;</code> |"
    )
    assert all(row.count("|") == 7 for row in rows)
    assert "... and 5 more" in ran.out
    assert "| more | 25 | 0 | 25 | 0 | 0 |" in ran.out


def test_no_change_is_said(folder: Path) -> None:
    """Two spellings of one policy; exit 0."""
    (folder / "new.yaml").write_text(POLICY.replace("2h", "120m"), encoding="utf-8")
    ran = fc_reaper("diff", "old.yaml", "new.yaml", "--history", "history.jsonl", cwd=folder)
    assert ran.code == 0
    assert "Stopped at the same run by both: 4 tasks." in ran.text


@pytest.mark.parametrize(("old", "new"), [("wrong.yaml", "new.yaml"), ("old.yaml", "wrong.yaml")])
def test_a_wrong_policy_is_exit_2_with_its_findings(folder: Path, old: str, new: str) -> None:
    """As `FILE:LINE:`, whichever of the two it is."""
    (folder / "wrong.yaml").write_text(POLICY.replace("2h", "2"), encoding="utf-8")
    ran = fc_reaper("diff", old, new, "--history", "history.jsonl", cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert ran.errors[0].startswith("wrong.yaml:6:")


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    """In one line."""
    ran = fc_reaper("diff", "old.yaml", "nope.yaml", "--history", "history.jsonl", cwd=folder)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert ran.errors[0].startswith("nope.yaml: there is no such file")


def test_a_history_with_broken_lines_is_exit_1(folder: Path) -> None:
    """Something of it is missing on both sides."""
    a_history(folder, [RECORDS[0], '{"status": "Running'])
    ran = fc_reaper("diff", "old.yaml", "new.yaml", "--history", "history.jsonl", cwd=folder)
    assert ran.code == 1
    assert "line 2: it is not JSON: Unterminated string" in ran.text


def test_what_neither_could_evaluate_is_said_of_each(folder: Path) -> None:
    """Else a comparison of two policies that read payloads looks like no change."""
    (folder / "new.yaml").write_text(POLICY.replace("2h}", "2h, where: payload.a}"), encoding="utf-8")
    ran = fc_reaper("diff", "old.yaml", "new.yaml", "--history", "history.jsonl", cwd=folder)
    assert "Tasks that new.yaml could not decide: 4 (where: payload is absent)." in ran.text
    shown = fc_reaper("diff", "old.yaml", "new.yaml", "--history", "history.jsonl", "--json", cwd=folder).json
    assert [shown[side]["replay"]["unknown"]["tasks"] for side in ("old", "new")] == [0, 4]


RESIZE = """  - name: sizes
    targets: [media/resize, media/*@prod]
    match: {alive_for: 9h}
    stop: They take a minute.
"""


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (("2h", "120m"), {"anew": "0"}),
        (("It takes forty", "It can take forty"), {"anew": "0"}),
        (("stop:", "owner: media\n    stop:"), {"anew": "0"}),
        (("stop:", "budget: 21/run\n    stop:"), {"anew": "1 (runaway)"}),
        (("stop:", "triggers: [timer]\n    stop:"), {"anew": "1 (runaway)"}),
        (("exempt: [keep-*]\n", ""), {"anew": "1 (runaway)"}),
        (
            ("worst.\n", f"worst.\n{RESIZE}"),
            {
                "anew": "1 (sizes)",
                "alone": "media/*@prod, media/resize@LATEST",
                "unseen": "1 (media/resize@LATEST)",
            },
        ),
        (
            ("code@prod", "codes@prod"),
            {"anew": "1 (runaway)", "alone": "media/transcodes@prod", "unseen": "1 (media/transcodes@prod)"},
        ),
    ],
    ids=["spelling", "reason", "owner", "budget", "triggers", "exempt", "policy", "target"],
)
def test_no_change_in_the_history_is_not_taken_for_no_change(
    new: tuple[str, str], says: dict[str, str], folder: Path
) -> None:
    """It is said what a lock would not approve, and of which targets the history knows nothing."""
    (folder / "new.yaml").write_text(POLICY.replace(*new), encoding="utf-8")
    ran = fc_reaper("diff", "old.yaml", "new.yaml", "--history", "history.jsonl", cwd=folder)
    expected = {
        "anew": f"Stop policies to be approved anew, where there is a lock: {says['anew']}.",
        "alone": f"Targets of new.yaml alone: {says.get('alone')}. A history saved for old.yaml may",
        "unseen": f"Targets of new.yaml without a task in the history: {says.get('unseen')}.",
    }
    assert {one for one, sentence in expected.items() if sentence in ran.text} == says.keys()


def test_a_lock_beside_the_new_file_says_what_only_reports(folder: Path) -> None:
    """The replay stops as if all were approved."""
    approved = lock_of(load_policy(POLICY, source="policy.yaml"), "2026-11-01")
    (folder / "policy.lock").write_text(dump_lock(approved), encoding="utf-8")
    for old, new, lines in (("old.yaml", "new.yaml", 1), ("new.yaml", "old.yaml", 0)):
        ran = fc_reaper("diff", old, new, "--history", "history.jsonl", "--markdown", cwd=folder)
        says = f"- The lock beside {new} does not approve runaway: it was changed since it was approved on "
        assert ran.out.count(says) == lines


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--json", "--markdown"], "exclude each other"),
        (["--since", "2026-11-19"], "no run from --since to --until lies in the history"),
    ],
)
def test_wrong_usage_is_exit_2(folder: Path, options: list[str], why: str) -> None:
    """In one line."""
    ran = fc_reaper("diff", "old.yaml", "new.yaml", "--history", "history.jsonl", *options, cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err


def test_the_cloud_is_asked_once_for_the_targets_of_both(tmp_path: Path) -> None:
    """A policy may have found a new function."""
    seed = {
        "invocations": [
            seeded("a", "Failed", enqueued="-9h", started="-9h", ends="-4h"),
            {**seeded("b", "Failed", enqueued="-9h", started="-9h", ends="-4h"), "functionName": "resize"},
        ]
    }
    (tmp_path / "old.yaml").write_text(POLICY, encoding="utf-8")
    new = POLICY.replace("[media/transcode@prod]", "[media/transcode@prod, media/resize@prod]")
    (tmp_path / "new.yaml").write_text(new, encoding="utf-8")
    with running_emulator(seed=seed) as cloud:
        ran = fc_reaper("diff", "old.yaml", "new.yaml", "--json", env=at(cloud), cwd=tmp_path)
    assert ran.code == 0
    assert [change["invocation_id"] for change in ran.json["changes"]] == ["b"]
    assert (ran.json["same"], ran.json["history"]["records"]) == (1, 2)


HOSTILE = [
    ":white_check_mark:", "0e49c8211f", "GL-1",
    "<img src=x onerror=alert(1)>", "a|b", r"a\|b", "`x`", "``x`|`", "@org/team", "a@org.example", "#1", "!2",
    "GH-3", "~4", "https://evil.example", "www.evil.example", "[x](javascript:alert(1))", "![x](y)", "~~x~~",
    "_x_", "**x**", "$x$", "&lt;b&gt;", "<!-- x", "-->", "</code><b>", "x # y\\n", "\u202ex", "::error::x",
    "|" * 100,
]  # fmt: skip
"""What Markdown, HTML, GitHub or GitLab would make something of."""


class Rendered(HTMLParser):
    """The tags of a comment, the cells of its tables, and its text outside of code."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.loose = ""
        self._in_code = False
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert all(name == "style" for name, _ in attrs), attrs
        self.tags.add(tag)
        self._in_code = self._in_code or tag == "code"
        self.cells += [""] if tag == "td" else []

    def handle_endtag(self, tag: str) -> None:
        self._in_code = self._in_code and tag != "code"

    def handle_data(self, data: str) -> None:
        self.loose += "" if self._in_code else data
        if self.cells:
            self.cells[-1] += data


def test_of_hostile_texts_a_comment_makes_nothing(tmp_path: Path) -> None:
    """Names of policies, and ids where they are reported: each is shown as it is."""
    done = record("x", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "6h"))
    (tmp_path / "old.yaml").write_text(POLICY.replace("2h", "9h"), encoding="utf-8")
    for some in (HOSTILE[:15], HOSTILE[15:]):  # a table has at most twenty rows
        ids = [f"job-{number}" for number in range(len(some))]
        a_history(tmp_path, [{**done, "invocationId": one, "requestId": one} for one in [*ids, *some]])
        named = zip(ids, some, strict=True)
        policies = [{"name": name, "targets": ["media/transcode@prod"], "stop": "why", "budget": "99/run",
                     "match": {"id": one, "alive_for": "2h"}} for one, name in named]  # fmt: skip
        (tmp_path / "new.yaml").write_text(json.dumps({"version": 1, "policies": policies}), "utf-8")
        ran = fc_reaper(
            "diff", "old.yaml", "new.yaml", "--history", "history.jsonl", "--markdown", cwd=tmp_path
        )
        assert ran.code in (0, 1), ran.err
        page = Rendered(ran.out)
        assert page.tags <= {"h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code"}
        assert not re.search(r"[@#!~%$&[*]|//|www\.|G[HL]-|:\w+:|\b[0-9a-f]{7}", page.loose)
        assert {printable(one, 300) for one in some} <= {cell.strip() for cell in page.cells}
