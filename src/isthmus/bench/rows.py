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
    seconds: float = 10.0
    timeout: float = 10.0


@dataclass(frozen=True)
class Row:
    """What was found for one case.

    Attributes:
        case: what was measured.
        transport: how frames really travelled.
        samples_ns: int64 (steps,), the whole call of `act`, in the order in which it was made.
        stages_ns: stage -> median over the steps that were answered.
        missed: steps without the policy's action; they are in the samples all the same.
        left_out: why there are no samples, or "".
    """

    case: Case
    transport: str
    samples_ns: NDArray[np.int64]
    stages_ns: dict[str, float]
    missed: int
    left_out: str = ""

    def quantiles_us(self) -> dict[str, float]:
        """`QUANTILES` and the mean, in microseconds."""
        values = np.percentile(self.samples_ns, list(QUANTILES.values())) / 1e3
        found = dict(zip(QUANTILES, map(float, values), strict=True))
        return {"mean": float(self.samples_ns.mean()) / 1e3, **found}
