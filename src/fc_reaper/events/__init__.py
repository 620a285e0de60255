"""The bytes of an event become a `Trigger`: why we woke, and where to look."""

from fc_reaper.events.alerts import OwnAccount
from fc_reaper.events.parser import parse_event
from fc_reaper.events.trigger import Note, Reading, Request, Selector, Trigger

__all__ = ["Note", "OwnAccount", "Reading", "Request", "Selector", "Trigger", "parse_event"]
