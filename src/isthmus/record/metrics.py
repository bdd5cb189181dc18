"""Counts and quantiles of a run, from its recorded columns. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layout import STATUSES

__all__ = ["STAGES", "quantiles_us", "summarise"]

STAGES: tuple[str, ...] = ("encode", "wire", "queue", "infer", "decode", "total")
"""Where the time of one `act()` goes, in order. Column `<stage>_ns` holds each, in ns."""

QUANTILES: tuple[tuple[str, float], ...] = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def summarise(
    columns: Sequence[Mapping[str, NDArray[Any]]], facts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Summarise episodes.

    Stages are counted over the steps the policy answered, since a missed step has no stages.
    `total` is counted over every step: it is what the caller of `act()` felt.

    Args:
        columns: per episode, the recorded columns. `status`, `miss`, `cause` and `<stage>_ns`
            are read where they exist.
        facts: per episode, its facts; `success` is read.

    Returns:
        JSON values: steps, episodes, reached, misses, miss_rate, status, causes, latency_us.
    """
    steps = sum(len(next(iter(c.values()), ())) for c in columns)
    status = _joined(columns, "status").astype(np.int64)
    misses = int(np.count_nonzero(_joined(columns, "miss")))
    answered = status == STATUSES.index("policy")
    latency = {}
    for stage in STAGES:
        values = _joined(columns, f"{stage}_ns")
        if stage != "total" and len(values) == len(answered):
            values = values[answered]
        if len(values):
            latency[stage] = quantiles_us(values)
    causes = Counter(str(cause) for cause in _joined(columns, "cause", np.str_) if cause)
    counts = np.bincount(status, minlength=len(STATUSES)).tolist()
    return {
        "steps": steps,
        "episodes": len(facts),
        "complete": sum(bool(f.get("complete")) for f in facts),
        "reached": sum(bool(f.get("success")) for f in facts),
        "misses": misses,
        "miss_rate": misses / steps if steps else 0.0,
        "status": {name: count for name, count in zip(STATUSES, counts, strict=True) if count},
        "causes": dict(causes.most_common()),
        "latency_us": latency,
    }


def quantiles_us(values_ns: NDArray[Any]) -> dict[str, float]:
    """p50, p95, p99 and max of nanoseconds, in microseconds."""
    found = {name: float(np.quantile(values_ns, q)) for name, q in QUANTILES}
    found["max"] = float(values_ns.max())
    return {name: round(value / 1e3, 3) for name, value in found.items()}


def _joined(
    columns: Sequence[Mapping[str, NDArray[Any]]], name: str, dtype: Any = np.float64
) -> NDArray[Any]:
    found = [c[name] for c in columns if name in c]
    return np.concatenate(found) if found else np.empty(0, dtype)
