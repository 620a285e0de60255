"""The files that belong to the project, as git lists them."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that git tracks or would add, relative to the project's folder, sorted."""
    with TemporaryDirectory() as empty:
        git = ["git"]
        if not (ROOT / ".git").exists():  # in the archive of the sources it would add all of them
            subprocess.run([*git, "init", "--quiet", "--bare", empty], check=True)
            git += [f"--git-dir={empty}", f"--work-tree={ROOT}"]
        listing = subprocess.run(
            [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    names = sorted(set(listing.stdout.split("\0")) - {""})
    return tuple(Path(name) for name in names if (ROOT / name).is_file())


def copy_of_the_project(folder: Path) -> Path:
    """Copy the project's files into *folder*."""
    for name in project_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder
