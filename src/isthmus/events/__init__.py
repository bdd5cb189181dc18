"""Events: one writer off the hot path, files that rotate, and a reader of them."""

from __future__ import annotations

from .kinds import EVENTS, EventKind, EventSink, new_event
from .log import EventLog, EventStats

__all__ = ["EVENTS", "EventKind", "EventLog", "EventSink", "EventStats", "new_event"]
