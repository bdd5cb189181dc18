"""Where the time of a step went: one histogram per stage."""

from __future__ import annotations

from collections.abc import Sequence

from .histogram import LogHistogram

__all__ = ["QUANTILES", "STAGES", "LatencyRecorder"]

STAGES: tuple[str, ...] = ("encode", "wire", "queue", "infer", "decode", "total")
"""The stages of a link's step, in the order of `Action.timing`."""

QUANTILES: dict[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
"""Name in a snapshot -> share."""


class LatencyRecorder:
    """Counts the stages of each step.

    Args:
        stages: their names, in the order in which `record` is handed the values.

    Attributes:
        histograms: stage -> its histogram.
    """

    def __init__(self, stages: Sequence[str] = STAGES) -> None:
        self.histograms = {stage: LogHistogram() for stage in stages}
        self._records = tuple(histogram.record for histogram in self.histograms.values())

    def record(self, values: tuple[int, ...]) -> None:
        """Count one step.

        Args:
            values: ns, one per stage; negative where the stage is not known in this step.
        """
        for record, ns in zip(self._records, values, strict=True):
            if ns >= 0:
                record(ns)

    def snapshot(self) -> dict[str, dict[str, float]]:
        """Stage -> count, and mean, std, min, max and `QUANTILES` in microseconds."""
        return {stage: _summary(h) for stage, h in self.histograms.items()}


def _summary(histogram: LogHistogram) -> dict[str, float]:
    durations = {
        "mean": histogram.mean,
        "std": histogram.std,
        "min": histogram.min,
        "max": histogram.max,
        **{name: histogram.quantile(q) for name, q in QUANTILES.items()},
    }
    return {"count": histogram.count, **{name: ns / 1e3 for name, ns in durations.items()}}
