"""What is said of one place in a policy file, for people and as values: findings and warnings alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

_FINDING = re.compile(r":(?P<line>[0-9]+): (?:(?P<path>(?:[^\s:'\"]|'[^']*')+): )?(?P<what>.*)", re.DOTALL)


class Remark(NamedTuple):
    """What is wrong, or odd, in one place, and what to do about it.

    `line` counts from 1; it and `path` are None where the whole file is meant, as when it is missing. `lint`
    is the short name of the check that warns; empty for a finding.
    """

    file: str
    line: int | None
    path: str | None
    cause: str
    remedy: str
    lint: str = ""

    @property
    def text(self) -> str:
        """`FILE:LINE: path: cause; remedy`, which editors know how to jump to."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        what = f"{self.cause}; {self.remedy}" if self.remedy else self.cause
        return ": ".join(part for part in (place, self.path, what) if part)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values, `text` included."""
        values = self._asdict()
        if not values["lint"]:
            del values["lint"]
        return {**values, "text": self.text}


def remarks_of(findings: Iterable[str], source: str) -> list[Remark]:
    """The findings of a policy that was refused, taken apart; each keeps its whole text."""
    return [_remark(finding, source) for finding in findings]


def _remark(finding: str, source: str) -> Remark:
    name = " ".join(source.split())
    rest = finding.removeprefix(name)
    match = _FINDING.fullmatch(rest)
    if match is None:
        return Remark(name, None, None, *_parted(rest.removeprefix(": ")))
    return Remark(name, int(match["line"]), match["path"], *_parted(match["what"]))


def _parted(what: str) -> tuple[str, str]:
    """Cause and remedy; whatever the cause quotes, the remedy comes last."""
    cause, separator, remedy = what.rpartition("; ")
    return (cause, remedy) if separator else (what, "")
