"""What is wrong with a policy file, collected until everything has been looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

_LONGEST = 500


class Finding(NamedTuple):
    """One fault. `line` counts from 1; `path` is as in `policies[0].match.alive_for`."""

    line: int
    path: str
    what: str


class Findings:
    """All faults of one file, in whatever order they are found.

    `whole` is what the file is: the path of a finding that concerns no key in particular.
    """

    def __init__(self, whole: str = "policy") -> None:
        self.whole = whole
        self._all: list[Finding] = []

    def __len__(self) -> int:
        return len(self._all)

    def add(self, line: int, path: str, what: str) -> None:
        """Remember one fault; *what* says what is wrong, then `; ` and what to write.

        Whatever of the file it quotes, it is kept as one printable line of bounded length.
        """
        self._all.append(Finding(line, path or self.whole, _one_line(what)))

    def written(self, source: str) -> list[str]:
        """One line each, `SOURCE:LINE: path: what; remedy`, in the order of the file."""
        source = " ".join(source.split())
        ordered = sorted(dict.fromkeys(self._all), key=lambda finding: finding.line)
        return [f"{source}:{line}: {path}: {what}" for line, path, what in ordered]


class Place(NamedTuple):
    """Where in the file the reading is: what a fault found here is reported under.

    `line` is that of the key or list item that the place is called by.
    """

    findings: Findings
    path: str = ""
    line: int = 1

    def key(self, name: str, line: int) -> Place:
        return Place(self.findings, f"{self.path}.{name}" if self.path else name, line)

    def item(self, index: int, line: int) -> Place:
        return Place(self.findings, f"{self.path}[{index}]", line)

    def wrong(self, what: str, line: int | None = None) -> None:
        """Report a fault here; the reader that calls this then answers None."""
        self.findings.add(self.line if line is None else line, self.path, what)


def shown(text: str) -> str:
    """*text* as a message may quote it: on one line, printable, not long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def quoted(text: str) -> str:
    """*text* as YAML takes it literally."""
    return "'" + text.replace("'", "''") + "'"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that *word* probably stands for, None when none is near."""
    from difflib import get_close_matches  # only a policy with a fault needs it

    plain = {_plain(name): name for name in known}
    close = get_close_matches(_plain(word[:60]), list(plain), n=1, cutoff=0.7)
    return plain[close[0]] if close else None


def _one_line(text: str) -> str:
    line = "".join(char if char.isprintable() else f"{char!a}"[1:-1] for char in text[:_LONGEST])
    return line if len(text) <= _LONGEST else f"{line}…"


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "").replace(" ", "")
