"""What the hot path measures, at a microsecond a step. Pure: durations are handed in."""

from __future__ import annotations

from .counters import Counters
from .counts import COUNTERS
from .histogram import LogHistogram
from .recorder import STAGES, LatencyRecorder
from .snapshot import GATEWAY_STAGES, PolicyState, SessionState, Snapshot

__all__ = [
    "COUNTERS",
    "GATEWAY_STAGES",
    "STAGES",
    "Counters",
    "LatencyRecorder",
    "LogHistogram",
    "PolicyState",
    "SessionState",
    "Snapshot",
]
