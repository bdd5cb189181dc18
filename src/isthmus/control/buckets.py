"""The fixed buckets that Prometheus wants, counted from a histogram of growing ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from ..telemetry import LogHistogram
from ..telemetry.histogram import RELATIVE_ERROR

__all__ = ["BOUNDS_S", "cumulative"]

BOUNDS_S: tuple[float, ...] = (
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08,
    0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip
"""Upper bounds, s. Closest where deadlines are: 5 ms (200 Hz) to 150 ms."""

_PER_LOG = 1 / log((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR))


def cumulative(histogram: LogHistogram, bounds_s: Sequence[float] = BOUNDS_S) -> list[int]:
    """How many durations lie at or below each bound.

    A duration within 1 % of a bound may be counted on its other side: that is as finely as the
    histogram knows it.

    Args:
        histogram: durations in ns.
        bounds_s: in s, growing.

    Returns:
        One count per bound, never falling. What lies above the last is in `histogram.count` alone.
    """
    buckets = sorted((int(i), n) for i, n in histogram.to_dict()["buckets"].items())
    found: list[int] = []
    below, at = 0, 0
    for bound in bounds_s:
        # Bucket i holds (gamma^(i-1), gamma^i]: it is below the bound if its middle is.
        last = log(bound * 1e9) * _PER_LOG + 0.5
        while at < len(buckets) and buckets[at][0] <= last:
            below += buckets[at][1]
            at += 1
        found.append(below)
    return found
