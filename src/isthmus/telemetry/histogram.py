"""A histogram of durations whose buckets grow by a constant factor.

A quantile read from it is within 1 % of the true one, over twelve decades, in a fixed few
kilobytes; two histograms merge by adding their buckets. (The mapping is DDSketch's; the sums are
kept as whole numbers, so mean and standard deviation are exact.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import mul
from typing import Any

import numpy as np

from ..errors import ContractError

__all__ = ["RELATIVE_ERROR", "LogHistogram"]

RELATIVE_ERROR = 0.01
"""Largest relative error of a quantile between 1 ns and 1000 s."""

_VERSION = 1
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG = 1 / math.log(_GAMMA)
_LAST = math.ceil(math.log(1e12) * _PER_LOG)
# Bucket i > 0 holds (gamma^(i-1), gamma^i]; its middle is within 1 % of both ends.
_MIDDLE = tuple(2 * _GAMMA**i / (_GAMMA + 1) for i in range(_LAST + 1))


class LogHistogram:
    """Counts durations in nanoseconds.

    Attributes:
        count: how many were recorded.
        total: their sum, in ns.
        min: the smallest, in ns; 0 if there is none.
        max: the largest, in ns; 0 if there is none.
    """

    __slots__ = ("_buckets", "_squares", "count", "max", "min", "total")

    def __init__(self) -> None:
        self._buckets = [0] * (_LAST + 1)
        self._squares = 0
        self.count = self.total = self.min = self.max = 0

    def record(self, ns: int) -> None:
        """Count one duration.

        Args:
            ns: a whole number; below 1 it counts as 0, above 1000 s the quantiles end there.
        """
        if ns > 0:
            index = math.ceil(math.log(ns) * _PER_LOG)
            self._buckets[index if index < _LAST else _LAST] += 1
        else:
            ns = 0
            self._buckets[0] += 1
        if ns < self.min or not self.count:
            self.min = ns
        if ns > self.max:
            self.max = ns
        self.count += 1
        self.total += ns
        self._squares += ns * ns

    def record_many(self, durations: Sequence[int]) -> None:
        """Count many durations at once, for less than one microsecond each.

        Args:
            durations: as in `record`.
        """
        if not durations:
            return
        values = np.maximum(np.array(durations, np.int64), 0)
        indices = np.ceil(np.log(np.maximum(values, 1)) * _PER_LOG).astype(np.intp)
        indices[values > 0] = np.minimum(indices[values > 0], _LAST)
        buckets = self._buckets
        for index, count in enumerate(np.bincount(indices).tolist()):
            if count:
                buckets[index] += count
        low, high = int(values.min()), int(values.max())
        self.min = min(self.min, low) if self.count else low
        self.max = max(self.max, high)
        self.count += len(values)
        exact = values.tolist()
        self.total += sum(exact)
        self._squares += sum(map(mul, exact, exact))

    @property
    def mean(self) -> float:
        """Mean in ns; 0 if empty."""
        return self.total / self.count if self.count else 0.0

    @property
    def std(self) -> float:
        """Standard deviation of what was recorded, in ns; 0 if empty."""
        if not self.count:
            return 0.0
        # Whole numbers do not cancel: count^2 x variance, exactly.
        return math.sqrt(self.count * self._squares - self.total * self.total) / self.count

    def quantile(self, q: float) -> float:
        """The duration below which a share `q` of all lies, in ns; 0 if empty.

        Args:
            q: 0 to 1. 0 and 1 are the exact minimum and maximum.

        Raises:
            ValueError: q is not between 0 and 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile lies between 0 and 1, got {q!r}")
        if not self.count:
            return 0.0
        # The rank is that of a recorded value, not between two (numpy's method "lower").
        rank = math.floor(q * (self.count - 1))
        if rank == self.count - 1:
            return float(self.max)
        index = next(i for i, below in enumerate(accumulate(self._buckets)) if below > rank)
        middle = _MIDDLE[index] if index else 0.0
        return min(max(middle, float(self.min)), float(self.max))

    def merge(self, other: LogHistogram) -> None:
        """Add what another histogram counted."""
        if other.count:
            self.min = min(self.min, other.min) if self.count else other.min
            self.max = max(self.max, other.max)
        self.count += other.count
        self.total += other.total
        self._squares += other._squares
        self._buckets = [a + b for a, b in zip(self._buckets, other._buckets, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; only buckets that hold something."""
        return {
            "version": _VERSION,
            "relative_error": RELATIVE_ERROR,
            "count": self.count,
            "total": self.total,
            "squares": self._squares,
            "min": self.min,
            "max": self.max,
            "buckets": {str(i): number for i, number in enumerate(self._buckets) if number},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LogHistogram:
        """Read the JSON form.

        Raises:
            ContractError: another version, a key missing, or buckets that do not add up.
        """
        if data.get("version") != _VERSION or data.get("relative_error") != RELATIVE_ERROR:
            raise ContractError(
                f"histogram: expected version {_VERSION} with relative_error {RELATIVE_ERROR}, "
                f"got {data.get('version')!r} with {data.get('relative_error')!r}"
            )
        found = cls()
        try:
            found.count, found.total = int(data["count"]), int(data["total"])
            found._squares = int(data["squares"])
            found.min, found.max = int(data["min"]), int(data["max"])
            buckets = {int(index): int(number) for index, number in data["buckets"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise ContractError(f"histogram: not the form that to_dict writes ({exc!r})") from exc
        if not all(0 <= index <= _LAST and number > 0 for index, number in buckets.items()):
            raise ContractError(f"histogram: buckets must lie between 0 and {_LAST}")
        if sum(buckets.values()) != found.count:
            raise ContractError(
                f"histogram: buckets hold {sum(buckets.values())}, count says {found.count}"
            )
        for index, number in buckets.items():
            found._buckets[index] = number
        return found
