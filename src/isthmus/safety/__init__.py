"""What stands between a policy and a robot. Pure: no clock, no I/O, no threads.

Ladder (how far is the policy trusted), gate (what may be sent), fallback (what is sent instead),
and the guard that composes them; the time between
two commands. It is not a safety-rated function; see docs/SAFETY.md.
"""

from __future__ import annotations

from .elapsed import Elapsed
from .gate import Admission, Gate
from .guard import Guard, Outcome
from .ladder import Event, Ladder, Level, Transition

__all__ = [
    "Admission",
    "Elapsed",
    "Event",
    "Gate",
    "Guard",
    "Ladder",
    "Level",
    "Outcome",
    "Transition",
]
