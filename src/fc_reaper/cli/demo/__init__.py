"""`fc-reaper demo`: two reapers on the same small account, and then the truth."""

from fc_reaper.cli.demo.play import demo

__all__ = ["demo"]
