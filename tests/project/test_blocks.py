"""Every command and every printed output in the documents is run by a test, or has its reason here."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import at, fc_reaper
from tests.emulator_server import Emulator, running_emulator
from tests.project.files import ROOT, project_files
from tests.project.markdown import fences
from tests.project.test_cookbook import RECIPES, text_of
from tests.run.account import seeded

ACCOUNT = "it needs an account, and the tool that speaks to it"
MACHINE = "it changes the machine of the person who types it"
NOT_RUN = {
    "s": ACCOUNT,
    "aliyun": ACCOUNT,
    "aliyunlog": ACCOUNT,
    "terraform": f"{ACCOUNT}; tests/deploy compares the files with the schema of the provider",
    "sh": f"{ACCOUNT}; tests/cli/test_setup.py reads the script",
    "fc-reaper probe": f"{ACCOUNT}, and the function that it invokes; tests/probing runs it on the emulator",
    "npm": MACHINE,
    "pip": f"{MACHINE}; tests/package/test_wheel.py installs the wheel",
    "less": "a person reads",
    "vi": "a person writes",
    "cd": "it only goes where the next line is typed",
    "export": "it only sets what `at` sets here",
    ".": "it only finds the commands",
    "cp": "a person edits the copy; test_every_file_that_is_named_exists has the names",
    "sed": "a person writes the own names; tests/monitoring has the files",
    "make": "tests/project/test_makefile.py has the targets; they run the suite and the packages",
    ".venv/bin/python": "it runs the suite, or a search that takes minutes",
}
"""Commands of the blocks of the kind `sh` that are not run here, and why."""

OUTPUTS = {
    "README.md": "tests/project/test_readme.py",
    "docs/deploy.md": "tests/package/test_deploy_document.py; the page says what was seen at the real tool",
    "docs/deploy-variants.md": "it takes minutes, and its numbers are those of one machine",
    "docs/emulator.md": "test_the_first_lines_about_the_emulator_are_printed",
    "docs/real-account.md": "tests/project/test_real_account.py",
    "docs/notifications.md": "tests/monitoring/test_notifications.py",
    "docs/performance.md": "it takes minutes, and its numbers are those of one machine",
    "examples": "tests/project/test_gallery.py",
}
"""Who compares the blocks of the kinds `console` and `text` of a document, or why nobody does."""

ELSEWHERE = {"docs/cost.md": "tests/project/test_cost.py"}
"""Documents whose commands another test runs on an account of its own."""

PAGES = [path for path in project_files() if path.suffix == ".md" and "zh-CN" not in str(path)]
"""tests/project/test_chinese.py holds the blocks of a Chinese page equal to those of the English one."""

LOOP = re.compile(r"^for (\w+) in (.*?); do\n(.*?)^done$", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[str]:
    """Each command line of its blocks of the kind `sh`, loops of the shell written out."""
    for fence in fences((ROOT / page).read_text("utf-8"), "sh"):
        text = LOOP.sub(_written_out, fence.text.replace("\\\n", " "))
        yield from (line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] != "#")


def _written_out(loop: re.Match[str]) -> str:
    values = loop[2].split()
    return "".join(re.sub(rf'"?\${loop[1]}\b"?', value, loop[3]) for value in values)


def reason(command: str) -> str | None:
    """Why it is not run; None if it is."""
    words = command.split()
    return NOT_RUN.get(" ".join(words[:2])) or NOT_RUN.get(words[0])


SHOWN = {page: [*commands(page)] for page in PAGES}
OURS = [page for page in PAGES if str(page) not in ELSEWHERE and not all(map(reason, SHOWN[page]))]


def test_a_command_is_ours_or_has_a_reason_not_to_be_run() -> None:
    """And every reason is needed."""
    everything = [command for found in SHOWN.values() for command in found]
    ours = [command for command in everything if reason(command) is None]
    unknown = [command for command in ours if not command.startswith("fc-reaper ")]
    assert not unknown, f"run it in {Path(__file__).name}, or say in NOT_RUN why nobody does: {unknown}"
    assert len(ours) >= 20
    used = {name for name in NOT_RUN for one in everything if one.startswith(f"{name} ")}
    assert used == set(NOT_RUN)


def test_every_printed_output_has_its_test_or_its_reason() -> None:
    """The tests that are named exist."""
    printed = {
        page.parts[0] if page.parts[0] in OUTPUTS else str(page)
        for page in PAGES
        for fence in fences((ROOT / page).read_text("utf-8"))
        if fence.info in ("console", "text")
    }
    assert printed == set(OUTPUTS), "say in OUTPUTS which test compares it"
    named = [
        one for text in (*OUTPUTS.values(), *ELSEWHERE.values()) for one in re.findall(r"tests/\S+py", text)
    ]
    assert not [path for path in named if not (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Emulator]:
    """The account of the examples, and what the pages name beside it."""
    seed = json.loads((ROOT / "examples" / "account.json").read_text("utf-8"))
    old = {"enqueued": "-5h", "started": "-3h"}
    seed["invocations"] += [
        seeded("job-7", "Running", **old),
        {**seeded("job-8", "Running", **old), "qualifier": "7"},
        {**seeded("done-1", "Succeeded", enqueued="-9h", started="-9h"), "ends": "-8h"},
    ]
    with running_emulator("--stopping", "5ms", seed=seed) as emulator:
        emulator.advance("2s")
        yield emulator


@pytest.mark.parametrize("page", OURS, ids=str)
def test_the_commands_of_a_page_run_one_after_the_other(page: Path, cloud: Emulator, tmp_path: Path) -> None:
    """On the emulator, in a folder with our files; 1 is an exit code that asks for attention, no refusal."""
    cloud.reset()
    for name in ("policy.yaml", "s.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "own.yaml").write_text(text_of(next(iter(RECIPES.values()))), "utf-8")
    for command in SHOWN[page]:
        if reason(command) is None:
            words = shlex.split(command.replace("http://127.0.0.1:9848", cloud.endpoint), comments=True)[1:]
            words = words[: words.index(">")] if ">" in words else words
            ran = fc_reaper(*words, env=at(cloud), cwd=tmp_path)
            assert ran.code in (0, 1), f"{command}\n{ran.out}{ran.err}"


def test_the_first_lines_about_the_emulator_are_printed() -> None:
    """The file that they name is a seed, and the line that says where it serves is its only one."""
    (block,) = fences((ROOT / "docs/emulator.md").read_text("utf-8"), "console")
    command, line = block.text.splitlines()
    words = shlex.split(command.removeprefix("$ fc-emulator "))
    assert words[-2:] == ["--seed", "examples/account.json"]
    assert json.loads(line) == {"event": "ready", "endpoint": f"http://127.0.0.1:{words[1]}"}
