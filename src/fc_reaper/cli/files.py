"""Files that a command writes: whole or not at all, and over an existing one only where that is wanted."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from fc_reaper.cli.ending import Ended


def refuse_existing(name: str, *, force: bool = False) -> None:
    """Refuse, before anybody is asked, what `write_whole` would refuse.

    Raises:
        Ended: the file exists and *force* is False, it is no plain file, or there is no folder for it.
    """
    path = _meant(name)
    if os.path.isdir(path):
        raise Ended(f"{name}: it cannot be written: this is a folder")
    if not force and os.path.lexists(name):
        raise Ended(f"{name}: there is such a file already; choose another name, or add --force")
    if os.path.islink(path):
        raise Ended(f"{name}: it cannot be written: symbolic links lead round in a circle")
    if os.path.exists(path) and not os.path.isfile(path):
        raise Ended(f"{name}: it cannot be written: this is no plain file")
    if not os.path.isdir(path.parent):
        raise Ended(f"{name}: there is no folder {path.parent}; make it first")


def write_whole(name: str, text: str, *, force: bool) -> None:
    """Write *text* whole or not at all, and over an existing file only with *force*.

    A symbolic link is followed: what it points to is written. An existing file keeps its rights.

    Raises:
        Ended: the file exists and *force* is False, or it cannot be written.
    """
    refuse_existing(name, force=force)
    path = _meant(name)
    beside = path.with_name(f".fc-reaper-{token_hex(8)}.tmp")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, beside)
        if not force:
            path.open("x").close()  # takes the name; nobody else can have it from here on
        beside.replace(path)
    except (OSError, ValueError) as error:
        raise Ended(f"{name}: it cannot be written: {getattr(error, 'strerror', None) or error}") from None
    finally:
        with suppress(OSError, ValueError):
            beside.unlink(missing_ok=True)


def _meant(name: str) -> Path:
    """The file that *name* stands for, also where that is a symbolic link."""
    return Path(os.path.realpath(name)) if os.path.islink(name) else Path(name)
