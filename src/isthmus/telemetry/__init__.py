"""What the hot path measures, at a microsecond a step. Pure: durations are handed in."""

from __future__ import annotations

from .advice import ADVICE, Advice, Advisor
from .alertrules import ALERTS, AlertRule
from .alerts import AlertChange, Alerts
from .counts import COUNTERS
from .ema import Ema
from .histogram import QUANTILES, LogHistogram
from .linkreport import LinkReport
from .recorder import STAGES, LatencyRecorder
from .snapshot import GATEWAY_STAGES, PolicyState, SessionState, Snapshot
from .watchdog import DeadlineWatchdog
from .window import LatencyWindow

__all__ = [
    "ADVICE",
    "ALERTS",
    "COUNTERS",
    "GATEWAY_STAGES",
    "QUANTILES",
    "STAGES",
    "Advice",
    "Advisor",
    "AlertChange",
    "AlertRule",
    "Alerts",
    "DeadlineWatchdog",
    "Ema",
    "LatencyRecorder",
    "LatencyWindow",
    "LinkReport",
    "LogHistogram",
    "PolicyState",
    "SessionState",
    "Snapshot",
]
