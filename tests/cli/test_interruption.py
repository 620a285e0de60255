"""Ctrl-C and SIGTERM: once for an orderly end, twice for an immediate one."""

from __future__ import annotations

import signal

import pytest

from fc_reaper.cli.output import interruptible, on_signals

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
