"""What commands write, files whole or not at all, and what signals do meanwhile."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import stat
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fc_reaper.cli import output
from fc_reaper.cli.output import CommandError, check_writable, interruptible, write_file
from fc_reaper.models import Exit


@pytest.mark.parametrize("cell", [Text("odd\x1b[2J", output.BAD), Text.assemble(("odd\x1b[2J", output.BAD))])
def test_a_cell_keeps_its_style_and_nothing_that_steers_a_terminal(cell: Text) -> None:
    """However it was made."""
    shown, table = io.StringIO(), output.table(("task",), [(cell,)])
    Console(file=shown, force_terminal=True, color_system="standard").print(table)
    assert "\x1b[1;31modd" in shown.getvalue()
    assert "\x1b[2J" not in shown.getvalue()


def test_a_file_is_written_whole_and_over_another_one_only_by_force(tmp_path: Path) -> None:
    """Nothing is left beside it."""
    path = tmp_path / "plan.json"
    write_file(str(path), "one", force=False)
    with pytest.raises(CommandError) as ended:
        write_file(str(path), "two", force=False)
    assert str(ended.value) == f"{path}: the file exists; choose another name, or add --force"
    assert path.read_text("utf-8") == "one"
    write_file(str(path), "two", force=True)
    assert path.read_text("utf-8") == "two"
    assert list(tmp_path.iterdir()) == [path]


def test_what_an_earlier_process_left_behind_is_not_in_the_way(tmp_path: Path) -> None:
    """In a container every process has the same number."""
    left = tmp_path / f".policy.lock.{os.getpid()}.tmp"
    left.write_text("half")
    write_file(str(tmp_path / "policy.lock"), "whole", force=True)
    assert (tmp_path / "policy.lock").read_text() == "whole"


@pytest.mark.parametrize("text", ["two", "\udc80"], ids=["good", "not to be encoded"])
def test_a_link_is_followed_and_rights_stay(text: str, tmp_path: Path) -> None:
    """What cannot be written leaves everything as it was."""
    there = tmp_path / "there"
    there.mkdir()
    path, link = there / "policy.lock", tmp_path / "policy.lock"
    path.write_text("one")
    path.chmod(0o640)
    link.symlink_to(path)
    if text == "two":
        write_file(str(link), text, force=True)
    else:
        with pytest.raises(CommandError, match="it cannot be written"):
            write_file(str(link), text, force=True)
    assert link.is_symlink()
    assert path.read_text() == ("two" if text == "two" else "one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(there.iterdir()) == [path]


def test_a_link_to_nothing_is_followed_by_force_only(tmp_path: Path) -> None:
    """The name is taken."""
    link = tmp_path / "plan.json"
    link.symlink_to("target.json")
    with pytest.raises(CommandError, match="the file exists"):
        write_file(str(link), "one", force=False)
    write_file(str(link), "one", force=True)
    assert (link.is_symlink(), (tmp_path / "target.json").read_text()) == (True, "one")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "it cannot be written: this is not a regular file"),
        ("pipe", "it cannot be written: this is not a regular file"),
        ("no/such", "there is no folder "),
        ("x" * 300, "it cannot be written: "),
    ],
    ids=["folder", "pipe", "no folder", "long name"],
)
def test_what_cannot_be_a_file_is_refused_in_one_line(name: str, said: str, tmp_path: Path) -> None:
    """Also by force: a device must not become a file. The message does not suggest what would not help."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CommandError) as ended:
        write_file(str(tmp_path / name), "text", force=True)
    assert str(ended.value).startswith(f"{tmp_path / name}: {said}")
    assert "--force" not in str(ended.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["", "-"])
def test_a_file_without_a_name_is_refused(name: str) -> None:
    """`-` is no standard output here: a file of that name would surprise."""
    with pytest.raises(CommandError, match=f"^'{name}' names no file; write one, such as ./"):
        check_writable(name, force=True)


def test_what_is_written_is_its_owner_s_alone(tmp_path: Path) -> None:
    """But for what belongs in the repository; a file that exists keeps its permissions."""
    mask = os.umask(0o022)
    try:
        for name, private, mode in (("plan.json", True, 0o600), ("policy.lock", False, 0o644)):
            write_file(str(tmp_path / name), "text", private=private)
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode
    finally:
        os.umask(mask)


def test_a_disk_that_is_full_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    """Exit 1: nothing is wrong with the usage."""
    full = OSError(28, "No space left on device")
    with patch.object(os, "fsync", side_effect=full), pytest.raises(CommandError) as ended:
        write_file(str(tmp_path / "plan.json"), "text")
    assert str(ended.value).endswith("plan.json: it cannot be written: No space left on device")
    assert (ended.value.exit, list(tmp_path.iterdir())) == (Exit.ATTENTION, [])


# What an id, a reason, a header or a file could hold.
NASTY = ["\x1b[2J", "\x9b31m", "\u202egpj.exe", "a\nfc-reaper: b", "\r", "\x07", "\u2066", "\x85", "\x00"]
texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=20), min_size=1).map("".join)


def printed(*things: Table | Text | str, lines: bool = False) -> str:
    """What is printed of them, on standard output."""
    stream = io.StringIO()
    with patch.object(sys, "stdout", stream):
        output.print_line("".join(map(str, things))) if lines else output.show(*things)
    return stream.getvalue()


@given(texts)
def test_no_text_steers_a_terminal(text: str) -> None:
    """Law: whatever is shown, in whatever way, is printable, and takes no line that is not its own."""
    table = output.table(("task", "why"), [(text, Text.assemble((text, output.BAD), text))])
    for shown in (printed(text), printed(Text(text, output.STRONG)), printed(table)):
        assert shown.replace("\n", "").isprintable()
    whole = text.replace("\n", "")
    assert printed(whole, lines=True).count("\n") == 1
    assert printed(text, lines=True).replace("\n", "").isprintable()
    error = io.StringIO()
    with patch.object(sys, "stderr", error):
        output.print_error(text)
    assert error.getvalue().replace("\n", "").isprintable()
    assert all(line.startswith("fc-reaper: ") for line in error.getvalue().splitlines())


@given(texts)
def test_json_keeps_its_meaning_without_steering_a_terminal(text: str) -> None:
    """Law: log lines on standard error, and plans on standard output."""
    stream = io.StringIO()
    line = json.dumps({text: text}, ensure_ascii=False)
    output.LogStream(stream).write(f"{line}\n")
    assert json.loads(stream.getvalue()) == {text: text}
    assert stream.getvalue().replace("\n", "").isprintable()


def test_no_command_writes_to_a_terminal_by_itself() -> None:
    """All that is shown passes the one module that makes it printable."""
    for path in Path(output.__file__).parent.glob("*.py"):
        if path.name not in ("output.py", "careless_cron.py"):
            text = path.read_text("utf-8")
            found = re.findall(r"sys\.std\w+\.write|\bConsole\b|typer\.echo|\binput\(", text)
            assert found == [], path.name


@pytest.mark.parametrize(
    ("started", "on_path", "typed"),
    [
        ("/usr/bin/fc-reaper", "/usr/bin/fc-reaper", "fc-reaper apply 'my plan.json'"),
        (".venv/bin/fc-reaper", None, ".venv/bin/fc-reaper apply 'my plan.json'"),
        (".venv/bin/fc-reaper", "/usr/bin/fc-reaper", ".venv/bin/fc-reaper apply 'my plan.json'"),
        ("/lib/fc_reaper/__main__.py", None, ".venv/bin/python -m fc_reaper apply 'my plan.json'"),
        ("/usr/bin/pytest", None, "fc-reaper apply 'my plan.json'"),
    ],
)
def test_a_command_is_named_as_it_works_from_here(started: str, on_path: str | None, typed: str) -> None:
    """As this process was started."""
    python = str(Path.cwd() / ".venv" / "bin" / "python")
    with (
        patch.object(sys, "argv", [started]),
        patch.object(sys, "executable", python),
        patch.object(shutil, "which", return_value=on_path),
    ):
        assert output.as_typed("apply", "my plan.json") == typed


def test_a_name_that_is_free_is_fine(tmp_path: Path) -> None:
    """Asking does not take it."""
    check_writable(str(tmp_path / "plan.json"))
    assert list(tmp_path.iterdir()) == []


SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_the_first_signal_is_remembered_and_the_second_one_raises(
    first: signal.Signals, second: signal.Signals
) -> None:
    """Whichever they are; afterwards signals do what they did before."""
    before = [signal.getsignal(signum) for signum in SIGNALS]
    with interruptible() as interrupted:
        assert not interrupted.is_set()
        signal.raise_signal(first)
        assert interrupted.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


@pytest.mark.parametrize("how", SIGNALS)
def test_what_must_be_tidied_up_is_ended_by_signals_at_once(how: signal.Signals) -> None:
    """By an exception, so that blocks are left in their order."""
    left: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        _signalled(how, left)
    assert left == ["tidied up"]


def _signalled(how: signal.Signals, left: list[str]) -> None:
    with interruptible(at_once=True):
        try:
            signal.raise_signal(how)
        finally:
            left.append("tidied up")
