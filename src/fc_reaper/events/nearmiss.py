"""The keys of a command, and the spellings that were surely meant to be one.

A misspelt key must not be ignored: `{"functonName": "resize"}` would then sweep everything.
"""

from __future__ import annotations

import re

DRY_RUN = "dryRun"

COMMAND_KEYS = ("serviceName", "functionName", "qualifier", "invocationId", DRY_RUN)

_JOINERS = re.compile(r"[_.\-\s]+")
_LONGEST_SHOWN = 40


def near_miss(key: str) -> str | None:
    """The command key that *key* was meant to be; None when it is one exactly, or like none.

    Case and the joiners `_ - .` and blanks do not count. Beyond them two slips are allowed (a letter more,
    less, other, or two swapped), for the short `dryRun` one.
    """
    if key in COMMAND_KEYS:
        return None
    return next((meant for meant in COMMAND_KEYS if means(key, meant)), None)


def means(key: str, meant: str) -> bool:
    """Whether *key* is the command key *meant*, exactly or nearly."""
    return key == meant or _within(_plain(key), _plain(meant), 1 if meant == DRY_RUN else 2)


def shown(key: str) -> str:
    """*key* for a log line: quoted, ASCII, shortened."""
    return ascii(key if len(key) <= _LONGEST_SHOWN else key[:_LONGEST_SHOWN] + "...")


def _plain(key: str) -> str:
    return _JOINERS.sub("", key).lower()


def _within(word: str, other: str, slips: int) -> bool:
    """Whether at most *slips* edits lie between the two, counting a swap of neighbours as one.

    Only the diagonal band of the usual table is filled, and given up at the first hopeless row: an event of a
    megabyte can hold a hundred thousand keys.
    """
    if abs(len(word) - len(other)) > slips:
        return False
    far = slips + 1
    before: list[int] = []
    last = [min(column, far) for column in range(len(other) + 1)]
    for row, letter in enumerate(word, 1):
        line = [far] * (len(other) + 1)
        line[0] = min(row, far)
        for column in range(max(1, row - slips), min(len(other), row + slips) + 1):
            cost = last[column - 1] + (letter != other[column - 1])
            if before and column > 1 and letter == other[column - 2] and word[row - 2] == other[column - 1]:
                cost = min(cost, before[column - 2] + 1)
            line[column] = min(cost, last[column] + 1, line[column - 1] + 1, far)
        if min(line) >= far:
            return False
        before, last = last, line
    return last[-1] <= slips
