"""Ctrl-C and SIGTERM: the first one asks a run to come to its end, the second one ends the program."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Remembers whether somebody asked for an end; called, it answers just that."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def hear(self, signum: int, frame: FrameType | None) -> None:
        """Note the first signal.

        Raises:
            KeyboardInterrupt: it is the second.
        """
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Within the block signals are remembered instead of ending the program."""
    interruption = Interruption()
    with _handled(interruption.hear):
        yield interruption


@contextmanager
def cut_short() -> Iterator[None]:
    """Within the block the first signal of either kind raises KeyboardInterrupt, so that all is tidied up."""

    def cut(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(cut):
        yield


@contextmanager
def _handled(handle: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    before = {signum: signal.signal(signum, handle) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, its_handler in before.items():
            signal.signal(signum, its_handler)
