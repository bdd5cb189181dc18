"""What the hot path measures, at a microsecond a step. Pure: durations are handed in."""

from __future__ import annotations

from .counters import Counters
from .histogram import LogHistogram
from .recorder import STAGES, LatencyRecorder

__all__ = ["STAGES", "Counters", "LatencyRecorder", "LogHistogram"]
