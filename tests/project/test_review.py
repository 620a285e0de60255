"""docs/review.md: the steps for GitHub and GitLab, run as they are, review a change of a policy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from fc_reaper import __version__
from tests.cli.command import at, environment, fc_reaper
from tests.emulator_server import running_emulator
from tests.project.files import ROOT
from tests.run.account import seeded

WORKFLOWS = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("deploy/github/*.yml")]
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""What `shell: bash` means on GitHub."""

BEFORE = """\
version: 1
policies:
  - name: runaway
    targets: [media/transcode@prod]
    match: {alive_for: 2h}
    stop: A transcode takes 40 minutes at worst.
"""
AFTER = BEFORE.replace("2h", "5h")
ACCOUNT = {
    "invocations": [
        seeded("slow-1", "Succeeded", enqueued="-9h", started="-9h", ends="-5h"),
        seeded("lost-1", "Failed", enqueued="-9h", started="-9h", ends="-1h"),
    ]
}


def load(path: Path | str) -> Any:
    """A file of the two services; `on` is a word."""
    return yaml.load((ROOT / path).read_text("utf-8"), yaml.BaseLoader)


ACTION = {step["name"]: step for step in load("action.yml")["runs"]["steps"]}
REVIEW = load("deploy/github/policy-review.yml")["jobs"]
HISTORY = load("deploy/github/policy-history.yml")["jobs"]["history"]
GITLAB = load("deploy/gitlab/policy-review.yml")


class Done(NamedTuple):
    """How a step ended, and what it wrote."""

    code: int
    printed: str
    output: str
    summary: str


class Project:
    """A repository whose checkout is the merge of a pull request into its target, and a runner's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary, self.programs = (folder / name for name in ("here", "temp", "programs"))
        for one in (self.folder, self.programs, self.temporary / "fc-reaper" / "bin"):
            one.mkdir(parents=True)
        # What the step Install installs, and what GitLab's script finds after `pip install`.
        ours = f'#!/bin/sh\nexec "{sys.executable}" -m fc_reaper "$@"\n'
        for place in (self.programs, self.temporary / "fc-reaper" / "bin"):
            self.program("fc-reaper", ours, place)
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=self.folder, check=True)

    def commit(self, policy: str | None) -> None:
        if policy is not None:
            (self.folder / "policy.yaml").write_text(policy, "utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")

    def program(self, name: str, text: str, place: Path | None = None) -> None:
        path = (place or self.programs) / name
        path.write_text(text, "utf-8")
        path.chmod(0o755)

    def run(self, script: str, shell: tuple[str, ...] = BASH, /, **env: str) -> Done:
        """Run *script* as a runner does, with this environment and no keys."""
        written = [self.temporary / name for name in ("output", "summary")]
        for path in written:
            path.write_text("")
        names = {
            "RUNNER_TEMP": self.temporary,
            "GITHUB_OUTPUT": written[0],
            "GITHUB_STEP_SUMMARY": written[1],
        }
        ran = subprocess.run(
            [*shell, "-c", script],
            cwd=self.folder,
            env={
                **environment(PYTHONPATH=os.pathsep.join(sys.path)),
                "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
                **{name: str(path) for name, path in names.items()},
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Done(ran.returncode, ran.stdout, *(path.read_text("utf-8") for path in written))

    def compare(self, **env: str) -> Done:
        usual = {"POLICY": "policy.yaml", "HISTORY": "history.jsonl", "BASE": "HEAD^1"}
        return self.run(ACTION["Compare"]["run"], **{**usual, **env})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A pull request that loosens a limit from two hours to five."""
    project = Project(tmp_path)
    project.commit(BEFORE)
    project.commit(AFTER)
    return project


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the job with keys saves, by the words of its last step."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "policy.yaml").write_text(BEFORE, "utf-8")
    words = re.search(r"bin/fc-reaper\" (backtest .*) \|\|", HISTORY["steps"][-2]["run"])
    assert words is not None
    with running_emulator(seed=ACCOUNT) as cloud:
        assert fc_reaper(*words[1].split(), env=at(cloud), cwd=folder).code == 0
    return folder / "history.jsonl"


SPARED = r"Spared: stopped by the old policy alone:\n\n.*\n.*\n\| slow-1 \|.*\| succeeded \|\n"


def test_a_pull_request_that_loosens_a_limit_shows_who_is_spared(project: Project, history: Path) -> None:
    """In the summary of the run, and as the output that the job `comment` takes."""
    shutil.copy(history, project.folder)
    done = project.compare()
    assert done.code == 0, done.printed
    assert "### What after.yaml changes against before.yaml" in done.summary
    assert re.search(SPARED, done.summary)
    assert "before.yaml would have stopped 2 tasks, 1 of which succeeded in the end." in done.summary
    head, *lines, end = done.output.splitlines()
    assert (head, "\n".join(lines)) == (f"report<<{end}", done.summary.strip())
    assert re.fullmatch("[0-9a-f]{32}", end)
    assert done.printed == ""


def test_a_wrong_policy_fails_at_its_line(project: Project) -> None:
    project.commit(AFTER.replace("5h", "5"))
    done = project.run(ACTION["Check"]["run"], POLICY="policy.yaml")
    assert done.code == 2
    assert done.printed.startswith("::error file=policy.yaml,line=5,title=policies[0].match.alive_for::")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"HISTORY": "none.jsonl"}, "There is no history"),
        ({"POLICY": "new.yaml"}, "The policy is new"),
        ({"BASE": "0" * 40}, "::error::There is no commit"),
    ],
)
def test_what_cannot_be_compared_is_said(changes: dict[str, str], says: str, project: Project) -> None:
    """The first pull request has neither; a missing commit is a mistake of the workflow."""
    (project.folder / "history.jsonl").touch()
    (project.folder / "new.yaml").write_text(AFTER)
    done = project.compare(**changes)
    assert (done.code, says in done.summary + done.printed) == (int("BASE" in changes), True)
    assert ("report<<" in done.output) == (done.code == 0)


def test_a_report_is_cut_between_lines_and_no_text_of_a_policy_is_a_command(project: Project) -> None:
    """A comment of GitHub holds 65,536 characters; what a failing comparison prints is from outside."""
    (project.folder / "history.jsonl").touch()
    says = 'for number in $(seq 3000); do echo "| row $number | 0123456789 |"; done'
    program = f"#!/bin/sh\n{says}\necho '::error::x' >&2\nexit %d\n"
    ours = project.temporary / "fc-reaper" / "bin"
    project.program("fc-reaper", program % 1, ours)
    done = project.compare()
    *rows, _, last, _ = done.output.splitlines()[1:]
    assert (done.code, last) == (0, "... and more in the summary of the run.")
    assert all(re.fullmatch(r"\| row \d+ \| 0123456789 \|", row) for row in rows)
    assert (59_800 < len("\n".join(rows)) <= 59_900, len(done.summary.splitlines())) == (True, 3000)
    first, hostile, end = done.printed.splitlines()
    assert (first, hostile) == (f"::stop-commands::{end.strip(':')}", "::error::x")
    project.program("fc-reaper", program % 2, ours)
    assert "could not be compared" in project.compare().output


def test_the_comment_is_written_once_and_then_replaced(project: Project) -> None:
    """The job has no checkout; of several comments of its own it takes the first."""
    (step,) = REVIEW["comment"]["steps"]
    project.program(
        "gh",
        '#!/bin/sh\nprintf "%s\\n" "$*" >> "$RUNNER_TEMP/calls"\n[ "$2" != --paginate ] || printf "$OWN"\n',
    )
    given = {"GITHUB_REPOSITORY": "a/b", "NUMBER": "7", "REPORT": "a\n`$(date)`"}
    assert [project.run(step["run"], OWN=own, **given).code for own in ("", r"41\n42\n")] == [0, 0]
    _, first, _, second = (project.temporary / "calls").read_text().splitlines()
    body = f"-F body=@{project.temporary}/comment.md"
    assert first == f"api --silent --method POST repos/a/b/issues/7/comments {body}"
    assert second == f"api --silent --method PATCH repos/a/b/issues/comments/41 {body}"
    assert (project.temporary / "comment.md").read_text().endswith("-->\na\n`$(date)`\n")


@pytest.mark.parametrize(("runs", "calls"), [("7", ["run list", "run download"]), ("", ["run list"])])
def test_the_history_is_that_of_the_last_run_of_the_job_with_keys(
    runs: str, calls: list[str], project: Project
) -> None:
    """Where there was none, the review goes on without."""
    (step,) = [one for one in REVIEW["review"]["steps"] if one.get("name") == "Fetch the history"]
    project.program("gh", '#!/bin/sh\necho "$*" >> "$RUNNER_TEMP/calls"\n[ "$2" != list ] || echo "$RUNS"\n')
    done = project.run(step["run"], GITHUB_REPOSITORY="a/b", BRANCH="main", RUNS=runs)
    made = (project.temporary / "calls").read_text().splitlines()
    assert (done.code, [" ".join(call.split()[:2]) for call in made]) == (0, calls)
    assert made[0].startswith(
        "run list --repo a/b --workflow policy-history.yml --branch main --status success "
    )
    artifact = (
        f"run download 7 --repo a/b --name {HISTORY['steps'][-1]['with']['name']} --dir {project.temporary}"
    )
    assert (made[1:] == [artifact]) is bool(runs)
    assert ("::notice::" in done.printed) is not bool(runs)


def test_a_merge_request_of_gitlab_shows_the_same(project: Project, history: Path) -> None:
    """By the script of the job, with the history from the artifact of the other one."""
    job = GITLAB["fc-reaper-review"]
    assert job["script"][0] == 'fc-reaper check "$POLICY"'  # as in the step of GitHub
    project.program("curl", f'#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\ncp "{history}" "$2"\n')
    given = {**GITLAB[".fc-reaper"]["variables"], "CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD^1"}
    done = project.run("\n".join(job["script"][1:]), ("sh", "-e"), **given)
    assert done.code == 0, done.printed
    assert re.search(SPARED, (project.folder / job["artifacts"]["paths"][0]).read_text("utf-8"))
    saves = GITLAB["fc-reaper-history"]["script"][-1].removeprefix("fc-reaper")
    assert saves.replace('"$POLICY"', "policy.yaml") in HISTORY["steps"][-2]["run"]


def test_actions_are_pinned_and_rights_are_few() -> None:
    """A full commit for each action; what may write, and what has keys, are single jobs."""
    write, keys = set(), set()
    for path in WORKFLOWS:
        workflow = load(path)
        assert workflow["permissions"] == {}
        for name, job in workflow["jobs"].items():
            write |= {(path.stem, name, right) for right, how in job["permissions"].items() if how == "write"}
            keys |= {(path.stem, name)} if "secrets." in str(job) else set()
            for step in job["steps"]:
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", "a/b@" + "0" * 40))
                assert "${{" not in step.get("run", ""), step
    assert not [step for step in ACTION.values() if "uses" in step or "${{" in step["run"]]
    assert keys == {("policy-history", "history")}
    assert write == {
        ("policy-review", "comment", "pull-requests"),
        ("release", "attest", "id-token"),
        ("release", "attest", "attestations"),
        ("release", "pypi", "id-token"),
        ("release", "github", "contents"),
    }


@pytest.mark.parametrize(("tag", "code"), [(f"v{__version__}", 0), ("v9.9.9", 1)])
def test_a_tag_is_released_only_with_its_version_and_its_changes(
    tag: str, code: int, project: Project
) -> None:
    """The notes of the release are the section of the changelog."""
    (step,) = [
        one
        for one in load(".github/workflows/release.yml")["jobs"]["build"]["steps"]
        if "grep" in one.get("run", "")
    ]
    (project.folder / "src").symlink_to(ROOT / "src")
    shutil.copy(ROOT / "CHANGELOG.md", project.folder)
    assert project.run(step["run"], GITHUB_REF_NAME=tag).code == code
    notes = project.folder / "release" / "notes.md"
    assert (notes.exists() and "### Added" in notes.read_text("utf-8")) == (code == 0)
