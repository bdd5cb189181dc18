"""Where the time of a step went: one histogram per stage."""

from __future__ import annotations

from collections.abc import Sequence

from .histogram import QUANTILES, LogHistogram, record_rows

__all__ = ["QUANTILES", "STAGES", "LatencyRecorder"]

STAGES: tuple[str, ...] = ("encode", "wire", "queue", "infer", "decode", "total")
"""The stages of a link's step, in the order of `Action.timing`."""

FOLD = 128
"""Steps kept before they are counted."""


class LatencyRecorder:
    """Counts the stages of each step.

    Args:
        stages: their names, in the order in which `record` is handed the values.

    """

    def __init__(self, stages: Sequence[str] = STAGES) -> None:
        self._histograms = {stage: LogHistogram() for stage in stages}
        self._pending: list[tuple[int, ...]] = []

    @property
    def histograms(self) -> dict[str, LogHistogram]:
        """Stage -> its histogram, with everything recorded so far."""
        self._fold()
        return self._histograms

    def record(self, values: tuple[int, ...]) -> None:
        """Count one step.

        It is only kept here; `FOLD` steps at a time go into the histograms, which costs a fraction
        of doing it one by one.

        Args:
            values: ns, one per stage; negative where the stage is not known in this step.
        """
        if len(values) != len(self._histograms):
            raise ValueError(f"expected {len(self._histograms)} stages, got {len(values)}")
        self._pending.append(values)
        if len(self._pending) >= FOLD:
            self._fold()

    def snapshot(self) -> dict[str, dict[str, float]]:
        """Stage -> count, and mean, std, min, max and `QUANTILES` in microseconds."""
        return {stage: _summary(h) for stage, h in self.histograms.items()}

    def _fold(self) -> None:
        pending, self._pending = self._pending, []
        record_rows(tuple(self._histograms.values()), pending)


def _summary(histogram: LogHistogram) -> dict[str, float]:
    found = histogram.summary()
    return {name: value if name == "count" else value / 1e3 for name, value in found.items()}
