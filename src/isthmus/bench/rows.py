"""What is asked of a measurement, and what one row of it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cases import Case

__all__ = ["QUANTILES", "Row", "Settings"]

QUANTILES: dict[str, float] = {
    "p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0
}  # fmt: skip
"""Name -> percentile."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure.

    Attributes:
        iterations: steps of each case.
        warmup: steps of each case before that, which are not counted.
        rounds: turns into which the steps are divided.
        hz: pace of the steps; 0 = one after the other.
        seconds: most time that one case gets; a slow one takes fewer steps.
        timeout: s to wait for a gateway.
    """

    iterations: int = 2000
    warmup: int = 200
    rounds: int = 5
    hz: float = 0.0
    seconds: float = 5.0
    timeout: float = 10.0


@dataclass(frozen=True)
class Row:
    """What was found for one case.

    Attributes:
        case: what was measured.
        transport: how frames really travelled.
        samples_ns: int64 (steps,), the whole call of `act` for each step that the policy answered,
            in the order in which they were made.
        stages_ns: stage -> their medians.
        missed: steps without the policy's action. Their calls end at the deadline, or at once while
            an earlier question is open, so they are no round trips and not among the samples.
        left_out: why there are no samples, or "".
    """

    case: Case
    transport: str
    samples_ns: NDArray[np.int64]
    stages_ns: dict[str, float]
    missed: int
    left_out: str = ""

    @property
    def steps(self) -> int:
        """All that were taken."""
        return len(self.samples_ns) + self.missed

    def quantiles_us(self) -> dict[str, float]:
        """`QUANTILES` and the mean, in microseconds."""
        values = np.percentile(self.samples_ns, list(QUANTILES.values())) / 1e3
        found = dict(zip(QUANTILES, map(float, values), strict=True))
        return {"mean": float(self.samples_ns.mean()) / 1e3, **found}
