"""Every command and every printed output in the documents is run by a test, or looked at word by word."""

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
from tests.project.commands import commands_in, refusal_of, within_sentences
from tests.project.files import ROOT, project_files
from tests.project.markdown import fences
from tests.project.test_cookbook import RECIPES, text_of
from tests.project.tools import refused
from tests.run.account import seeded

NOT_RUN = {"fc-reaper probe": "it asks, and observes for a minute; tests/probing runs it on the emulator"}
"""Commands of ours that are not run here, and why; tools.py looks at those of other programs."""

OUTPUTS = {
    "README.md": "tests/project/test_readme.py",
    "docs/deploy.md": "tests/package/test_deploy_document.py",
    "docs/deploy-variants.md": "tests/project/test_performance.py",
    "docs/emulator.md": "test_the_first_lines_about_the_emulator_are_printed",
    "docs/real-account.md": "tests/project/test_real_account.py",
    "docs/notifications.md": "tests/monitoring/test_notifications.py",
    "docs/performance.md": "tests/project/test_performance.py",
    "examples": "tests/project/test_gallery.py",
}
"""Who compares the blocks of the kinds `console` and `text` of a document."""

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
    return "".join(re.sub(rf"\${loop[1]}\b", value, loop[3]) for value in values)


SHOWN = {page: [*commands(page)] for page in PAGES}
RUN = [page for page in PAGES if str(page) not in ELSEWHERE and SHOWN[page]]


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    everything = [command for found in SHOWN.values() for command in found]
    assert [name for name in NOT_RUN if not any(one.startswith(name) for one in everything)] == []
    assert sum(one.startswith("fc-reaper ") for one in everything) >= 20


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=str)
def test_commands_within_sentences_exist_with_their_options(page: Path) -> None:
    """Of all that is shown now; a command or an option of ours may be named without its arguments."""
    text = (ROOT / page).read_text("utf-8").replace("`fc-reaper COMMAND --help`", "")
    others = [
        one
        for one in within_sentences(text)
        if re.match(r"(s|aliyun|terraform|make|python) \w|python -m", one)
    ]
    refusals = {one: refusal_of(one) or "" for one in commands_in(text)}
    refusals |= {one: refused(one, ROOT) or "" for one in others if "redrive.py" not in one}
    whole = re.compile("Missing argument|requires an argument")
    assert {one: why for one, why in refusals.items() if why and not whole.search(why)} == {}


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


@pytest.mark.parametrize("page", RUN, ids=str)
def test_the_commands_of_a_page_run_one_after_the_other(page: Path, cloud: Emulator, tmp_path: Path) -> None:
    """Ours on the emulator, in a folder with our files; an exit code of 1 asks for attention, no more."""
    cloud.reset()
    folder = with_our_files(tmp_path)
    for fence in fences((ROOT / page).read_text("utf-8"), "yaml"):
        if named := re.match(r"# ([\w-]+\.yaml)\n", fence.text):
            (folder / named[1]).write_text(fence.text, "utf-8")
    for command in SHOWN[page]:
        words = shlex.split(command.replace("http://127.0.0.1:9848", cloud.endpoint), comments=True)
        if words[0] == "cd":
            (name,) = words[1:]
            folder /= name
            assert folder.is_dir(), command
        elif words[0] != "fc-reaper":
            assert refused(command, folder) is None, f"{command}\n{refused(command, folder)}"
        elif " ".join(words[:2]) not in NOT_RUN:
            words, out = (words[:-2], words[-1]) if words[-2] == ">" else (words, "")
            ran = fc_reaper(*words[1:], env=at(cloud), cwd=folder)
            assert ran.code in (0, 1), f"{command}\n{ran.out}{ran.err}"
            if out:
                (folder / out).write_text(ran.out, "utf-8")


def with_our_files(folder: Path) -> Path:
    """What a person who types the commands has, and what the pages say that they make."""
    for name in project_files():
        if name.parts[0] in ("deploy", "events", "examples") or name.parts[:2] == ("docs", "monitoring"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for path in ROOT.glob("*.yaml"):
        shutil.copy(path, folder)
    (folder / "own.yaml").write_text(text_of(next(iter(RECIPES.values()))), "utf-8")
    return folder


def test_the_first_lines_about_the_emulator_are_printed() -> None:
    """The file that they name is a seed, and the line that says where it serves is its only one."""
    (block,) = fences((ROOT / "docs/emulator.md").read_text("utf-8"), "console")
    command, line = block.text.splitlines()
    words = shlex.split(command.removeprefix("$ fc-emulator "))
    assert words[-2:] == ["--seed", "examples/account.json"]
    assert json.loads(line) == {"event": "ready", "endpoint": f"http://127.0.0.1:{words[1]}"}
