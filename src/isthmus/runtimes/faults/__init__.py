"""Known faults of two Pythons on one machine: what they print, what they mean, what to do.

One table, by the kind of cause, for the probe that died, for `isthmus doctor` and for its page.
"""

from __future__ import annotations

from .base import Fault
from .explaining import FAULTS, MAX_LINE, Match, explain, fault

__all__ = ["FAULTS", "MAX_LINE", "Fault", "Match", "explain", "fault"]
