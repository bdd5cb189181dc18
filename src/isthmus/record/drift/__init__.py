"""Randomization drift: what a log of hash mismatches says, and which parameter is at fault.

    report = analyse(read_log("logs/hash_mismatch_events.jsonl"), cluster_gap=30.0)
    for line in describe(report):
        print(line)

Reading is `log`; everything else is pure.
"""

from __future__ import annotations

from .describe import describe
from .log import DriftLog, find_log, read_log
from .mismatch import Mismatch, parse
from .plot import plot
from .report import DriftReport, analyse
from .rows import COLUMNS, rows

__all__ = [
    "COLUMNS",
    "DriftLog",
    "DriftReport",
    "Mismatch",
    "analyse",
    "describe",
    "find_log",
    "parse",
    "plot",
    "read_log",
    "rows",
]
