"""What commands write, files whole or not at all, and what signals do meanwhile."""

from __future__ import annotations

import io
import os
import signal
import stat
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from fc_reaper.cli.output import (
    BAD,
    CommandError,
    check_writable,
    interruptible,
    on_signals,
    table,
    write_file,
)


@pytest.mark.parametrize("cell", [Text("odd\x1b[2J", BAD), Text.assemble(("odd\x1b[2J", BAD))])
def test_a_cell_keeps_its_style_and_nothing_that_steers_a_terminal(cell: Text) -> None:
    """However it was made."""
    shown = io.StringIO()
    Console(file=shown, force_terminal=True, color_system="standard").print(table(("task",), [(cell,)]))
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
    with on_signals(signal.default_int_handler):
        try:
            signal.raise_signal(how)
        finally:
            left.append("tidied up")
