"""Variables of the environment: each read by its form, and what is wrong with them told in one go."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from fc_reaper.errors import InvalidName, SettingsError

_Value = TypeVar("_Value")


class Variables:
    """Reads one variable after the other and collects what is wrong with them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._faults: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._env.get(name) or default

    def choice(self, name: str, allowed: tuple[str, ...], *, upper: bool = False) -> str:
        """One of *allowed*, in any case with *upper*; the first of them when nothing is set."""
        value = self.text(name, allowed[0])
        value = value.upper() if upper else value
        if value not in allowed:
            self._faults.append(f"{name} is {value!r}; write one of: {', '.join(allowed)}")
        return value

    def number(self, name: str, default: int, *, most: int) -> int:
        """A whole number from 1 to *most*, both allowed."""
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= most:
            self._faults.append(f"{name} is {value!r}; write a whole number from 1 to {most}")
            return default
        return int(value)

    def read(self, name: str, default: str, parse: Callable[[str], _Value]) -> _Value:
        """Whatever *parse* makes of the value; a ValueError of it is a fault."""
        value = self.text(name, default)
        try:
            return parse(value)
        except (ValueError, InvalidName) as error:
            self._faults.append(f"{name} is {value!r}: {error}")
            return parse(default)

    def refuse(self) -> None:
        """Raise a SettingsError if there was any fault, with all of them."""
        if self._faults:
            raise SettingsError("\n".join(self._faults))
