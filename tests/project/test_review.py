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
from fc_reaper.policy import load_policy
from fc_reaper.policy.lock import dump_lock, lock_of
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

    def merge_request(self, history: Path | str, **env: str) -> tuple[int, str]:
        """Run what GitLab's job does after `check`; the exit code and the report."""
        answer = f'#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\ncp "{history}" "$2"\n'
        self.program("curl", answer)
        job, variables = GITLAB["fc-reaper-review"], GITLAB[".fc-reaper"]["variables"]
        given = {**variables, "CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD^1", **env}
        code = self.run("\n".join(job["script"][1:]), ("sh", "-e"), **given).code
        report = self.folder / job["artifacts"]["paths"][0]
        return code, report.read_text("utf-8") if report.exists() else ""


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
    assert "### What after/policy.yaml changes against before/policy.yaml" in done.summary
    assert re.search(SPARED, done.summary)
    assert "before/policy.yaml would have stopped 2 tasks, 1 of which succeeded in the end." in done.summary
    assert "to be approved anew, where there is a lock: 1 (runaway)." in done.summary
    head, *lines, end = done.output.splitlines()
    assert (head, "\n".join(lines)) == (f"report<<{end}", done.summary.strip())
    assert re.fullmatch("[0-9a-f]{32}", end)
    assert done.printed == ""


def test_a_wrong_policy_fails_at_its_line(project: Project) -> None:
    project.commit(AFTER.replace("5h", "5"))
    done = project.run(ACTION["Check"]["run"], POLICY="policy.yaml")
    assert done.code == 2
    assert done.printed.startswith("::error file=policy.yaml,line=5,title=policies[0].match.alive_for::")


def test_the_lock_of_the_pull_request_is_that_of_its_policy(project: Project, history: Path) -> None:
    """One that does not approve the change is said so, and so is one that is gone."""
    lock = project.folder / "policy.lock"
    lock.write_text(dump_lock(lock_of(load_policy(BEFORE, source="policy.yaml"), "2026-11-01")), "utf-8")
    for policy in (BEFORE, AFTER):
        project.commit(policy)
    says = "The lock beside after/policy.yaml does not approve runaway: it was changed since"
    for report in (project.compare(HISTORY=str(history)).output, project.merge_request(history)[1]):
        assert (says in report, "is gone" in report) == (True, False)
    lock.unlink()
    project.commit(AFTER.replace("5h", "6h"))
    for report in (project.compare(HISTORY="").output, project.merge_request("/none")[1]):
        assert "\npolicy.lock is gone: " in report


def test_no_module_of_the_checkout_is_run(project: Project) -> None:
    """Python finds `venv` and `pip` in the folder where it runs, unless it is isolated."""
    for name in ("venv", "pip", "fc_reaper"):
        (project.folder / f"{name}.py").write_text("raise SystemExit('executed')")
    found = "import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).origin)"
    flags = 'flags=; while [ "$1" != -m ]; do flags="$flags $1"; shift; done'
    for place, name in ((project.programs, "python3"), (project.temporary / "fc-reaper" / "bin", "python")):
        project.program(name, f"#!/bin/sh\n{flags}\nexec '{sys.executable}' $flags -c '{found}' $2\n", place)
    for step in (ACTION["Install"], next(one for one in HISTORY["steps"] if one.get("name") == "Install")):
        done = project.run(step["run"], PYTHON="python3", ACTION=".")
        assert (done.code, str(project.folder) in done.printed) == (0, False), done.printed
        assert [Path(line).parent.name for line in done.printed.splitlines()] == ["venv", "pip"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"HISTORY": ""}, "There is no history"),
        ({"HISTORY": "none.jsonl"}, "There is no history"),
        ({"HISTORY": "empty.jsonl"}, "There is no history"),
        ({"HISTORY": "empty.jsonl", "POLICY": "new.yaml"}, "There is no history"),
        ({"POLICY": "new.yaml"}, "The policy is new"),
        ({"BASE": "0" * 40}, "::error::There is no commit"),
    ],
)
def test_what_cannot_be_compared_is_said(changes: dict[str, str], says: str, project: Project) -> None:
    """The first pull request has neither; a missing commit is a mistake of the workflow."""
    (project.folder / "history.jsonl").write_text("{}")
    (project.folder / "empty.jsonl").touch()
    (project.folder / "new.yaml").write_text(AFTER)
    done = project.compare(**changes)
    assert (done.code, says in done.summary + done.printed) == (int("BASE" in changes), True)
    assert ("report<<" in done.output) == (done.code == 0)


def test_a_report_is_cut_between_lines_and_no_text_of_a_policy_is_a_command(project: Project) -> None:
    """A comment of GitHub holds 65,536 characters; what a failing comparison prints is from outside."""
    (project.folder / "history.jsonl").write_text("{}")
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
    project.program("fc-reaper", "#!/bin/sh\necho Traceback >&2\nexit 1\n", ours)
    assert "could not be compared" in project.compare().output


def test_the_comment_is_written_once_and_then_replaced(project: Project) -> None:
    """The job has no checkout; of several comments of its own it takes the first."""
    (step,) = REVIEW["comment"]["steps"]
    assert "!cancelled()" in REVIEW["comment"]["if"]  # also where the review failed
    project.program(
        "gh",
        '#!/bin/sh\nprintf "%s\\n" "$*" >> "$RUNNER_TEMP/calls"\n[ "$2" != --paginate ] || printf "$OWN"\n',
    )
    given = {"GITHUB_REPOSITORY": "a/b", "NUMBER": "7", "COMMIT": "0e4", "REPORT": "a\n`$(date)`"}
    assert [project.run(step["run"], OWN=own, **given).code for own in ("", r"41\n42\n")] == [0, 0]
    _, first, _, second = (project.temporary / "calls").read_text().splitlines()
    body = f"-F body=@{project.temporary}/comment.md"
    assert first == f"api --silent --method POST repos/a/b/issues/7/comments {body}"
    assert second == f"api --silent --method PATCH repos/a/b/issues/comments/41 {body}"
    assert (project.temporary / "comment.md").read_text().endswith("-->\na\n`$(date)`\n\nCommit 0e4.\n")
    assert project.run(step["run"], OWN="", **{**given, "REPORT": ""}).code == 0
    assert "The policy is refused, or the review has failed" in (project.temporary / "comment.md").read_text()


@pytest.mark.parametrize(
    ("runs", "left", "calls"), [("7 11", "0", 3), ("7 11", "1", 3), ("7", "0", 3), ("", "0", 2)]
)
def test_the_history_is_that_of_the_last_run_of_the_job_with_keys(
    runs: str, left: str, calls: int, project: Project
) -> None:
    """Not of a run for a pull request; without a run, or where its artifact is gone, the review goes on."""
    (step,) = [one for one in REVIEW["review"]["steps"] if one.get("name") == "Fetch the history"]
    answers = (
        'case "$*" in *dispatch*) echo "${RUNS#* }";; *list*) echo "${RUNS%% *}";; *) exit "$LEFT"; esac'
    )
    project.program("gh", f'#!/bin/sh\necho "$*" >> "$RUNNER_TEMP/calls"\n{answers}\n')
    done = project.run(step["run"], GITHUB_REPOSITORY="a/b", BRANCH="main", RUNS=runs, LEFT=left)
    made = (project.temporary / "calls").read_text().splitlines()
    assert (done.code, len(made)) == (0, calls)
    asked = "run list --repo a/b --workflow policy-history.yml --branch main --event"
    for call, event in zip(made, load("deploy/github/policy-history.yml")["on"], strict=False):
        assert call.startswith(f"{asked} {event} --status success ")
    folder = Path(REVIEW["review"]["steps"][-1]["with"]["history"]).parent.name
    name = HISTORY["steps"][-1]["with"]["name"]
    into = f"--repo a/b --name {name} --dir {project.temporary}/{folder}"
    assert made[2:] == [f"run download {one} {into}" for one in runs.split()[-1:]]
    assert ("::notice::" in done.printed) is (not runs or left == "1")


def test_a_merge_request_of_gitlab_shows_the_same(project: Project, history: Path) -> None:
    """By the script of the job, with the history from the artifact of the other one."""
    assert GITLAB["fc-reaper-review"]["script"][0] == 'fc-reaper check "$POLICY"'  # as in the step of GitHub
    (project.folder / "policy-review").write_text("of the merge request")
    (project.folder / "new.yaml").write_text(AFTER)
    code, report = project.merge_request(history)
    assert (code, bool(re.search(SPARED, report))) == (0, True)
    merged = {"CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "HEAD^1", "CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD"}
    assert project.merge_request(history, **merged) == (0, report)
    for past in ("/dev/null", "/none"):
        assert project.merge_request(past)[1].startswith("There is no history")
    assert project.merge_request(history, POLICY="new.yaml")[1].startswith("The policy is new")
    assert project.merge_request(history, CI_MERGE_REQUEST_DIFF_BASE_SHA="0" * 40)[0] != 0
    project.program("fc-reaper", "#!/bin/sh\nexit 1\n")
    assert "could not be compared" in project.merge_request(history)[1]
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


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        (f"v{__version__}", ""),
        ("v9.9.9", "::error::src/fc_reaper/__init__.py has another version than the tag v9.9.9."),
        ("v0.0.1", "::error::CHANGELOG.md has no section [0.0.1]."),
    ],
)
def test_a_tag_is_released_only_with_its_version_and_its_changes(
    tag: str, says: str, project: Project
) -> None:
    """The notes of the release are the section of the changelog; they link to the files of the tag."""
    (step,) = [
        one
        for one in load(".github/workflows/release.yml")["jobs"]["build"]["steps"]
        if "grep" in one.get("run", "")
    ]
    version = "0.0.1" if tag == "v0.0.1" else __version__
    init = project.folder / "src" / "fc_reaper" / "__init__.py"
    init.parent.mkdir(parents=True)
    init.write_text(f'__version__ = "{version}"\n', "utf-8")
    shutil.copy(ROOT / "CHANGELOG.md", project.folder)
    where = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r", "GITHUB_REF_NAME": tag}
    done = project.run(step["run"], **where)
    assert (done.code, done.printed.strip()) == (1 if says else 0, says)
    if not says:
        notes = (project.folder / "build" / "release" / "notes.md").read_text("utf-8")
        assert "### Added" in notes
        assert f"](https://github.com/o/r/blob/{tag}/docs/policy.md)" in notes
        assert not re.search(r"\]\((?!https://)", notes)
