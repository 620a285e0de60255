"""The bytes of an event become a `Trigger`: why we woke, and where to look."""

from fc_reaper.trigger.alerts import Home
from fc_reaper.trigger.asks import Ask, Narrowing, Note, Reading, Trigger
from fc_reaper.trigger.read import read_trigger

__all__ = ["Ask", "Home", "Narrowing", "Note", "Reading", "Trigger", "read_trigger"]
