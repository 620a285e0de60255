"""Targets: the `[service/]function[@qualifier]` patterns of a policy, and the functions that they mean."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from fc_reaper.errors import InvalidName, shown
from fc_reaper.models import LATEST, Function

PART = "[A-Za-z0-9_$*?-]+"
_GLOB = frozenset("*?")
_TARGET = re.compile(rf"(?:(?P<service>{PART})/)?(?P<name>{PART})(?:@(?P<qualifier>{PART}))?")


class Target(NamedTuple):
    """A pattern over functions. `service` None means Function Compute 3.0, which has no services.

    Parts may hold `*` and `?`, matched with case (`fnmatchcase`; brackets are not special).
    """

    service: str | None
    name: str
    qualifier: str

    def __str__(self) -> str:
        path = self.name if self.service is None else f"{self.service}/{self.name}"
        return f"{path}@{self.qualifier}"

    @property
    def names_a_glob(self) -> bool:
        """Whether service or function is a pattern, so that only discovery can tell which are meant."""
        return not _GLOB.isdisjoint(f"{self.service}{self.name}")

    @property
    def needs_discovery(self) -> bool:
        """Whether any part is a pattern. A literal target is listed without asking what exists."""
        return not _GLOB.isdisjoint(f"{self.service}{self.name}{self.qualifier}")

    def fits(self, function: Function, *, any_qualifier: bool = False) -> bool:
        """Whether *function* is meant, under the qualifier it is found with, or under some other one."""
        return (
            (self.service is None) == (function.service is None)
            and fnmatchcase(function.service or "", self.service or "")
            and fnmatchcase(function.name, self.name)
            and (any_qualifier or fnmatchcase(function.qualifier, self.qualifier))
        )

    def literal(self) -> Function:
        """The one function that a target without patterns names."""
        return Function(self.service, self.name, self.qualifier)


def spellings(function: Function) -> tuple[Function, ...]:
    """*function* and, where it has one, its other name: one made in 2.0 is `service$function` in 3.0.

    https://help.aliyun.com/en/functioncompute/monitoring-data
    """
    if function.service is not None:
        return function, Function(None, f"{function.service}${function.name}", function.qualifier)
    service, dollar, name = function.name.partition("$")
    return (function, Function(service, name, function.qualifier)) if dollar else (function,)


def parse_target(text: str, *, default_qualifier: str = LATEST) -> Target:
    """Read `[service/]function[@qualifier]`; without `@` the qualifier is *default_qualifier*.

    Raises:
        InvalidName: the text has another shape, or holds a character no name can have.
    """
    match = _TARGET.fullmatch(text)
    if match is None:
        what = f"{shown(text)} is not a target"
        raise InvalidName(f"{what}; write [service/]function[@qualifier] of letters, digits, _ - and * ?")
    service, name, qualifier = match.groups()
    return Target(service, name, qualifier or default_qualifier)
