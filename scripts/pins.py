"""Writes the hashes of the files that `make package` may take into constraints/function.txt.

Change a version there, run `make pins`, and review the difference: a hash that changes without its version is
a file that somebody replaced.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from scripts.package import PINS, RUNTIMES, PackageError, pins, pip, platform_options


def main() -> int:
    """Rewrite the pins with the hashes of one source archive, and of the wheels for each runtime."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder)
        download = ["--no-deps", "--dest", folder]
        try:
            source, *_ = (line.split()[0] for line in pins(source_only=True))
            pip("download", [*download, "--no-binary", ":all:", source])
            for python in RUNTIMES:
                names = [line.split()[0] for line in pins(source_only=False)]
                pip("download", [*download, *platform_options(python), *names])
        except PackageError as refused:
            print(f"make pins: {refused}", file=sys.stderr)
            return 1
        lines = [with_hashes(line, found) for line in PINS.read_text(encoding="utf-8").splitlines()]
    PINS.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0


def with_hashes(line: str, folder: Path) -> str:
    """The pin with the hashes of its files; a comment as it is."""
    if not line or line[0] == "#":
        return line
    pin = line.split()[0]
    name, _, version = pin.partition("==")
    start = f"{name}-{version}".replace("-", "_").lower()
    files = [one for one in sorted(folder.iterdir()) if one.name.replace("-", "_").lower().startswith(start)]
    return " ".join(
        [pin, *(f"--hash=sha256:{hashlib.sha256(one.read_bytes()).hexdigest()}" for one in files)]
    )


if __name__ == "__main__":
    sys.exit(main())
