"""Parse the bytes of an event: which requests it makes of a run, and which targets each selects."""

from fc_reaper.events.parser import Note, OwnAccount, Recognised, Request, Selector, Trigger, parse_event

__all__ = ["Note", "OwnAccount", "Recognised", "Request", "Selector", "Trigger", "parse_event"]
