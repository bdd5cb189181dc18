"""A histogram of durations whose buckets grow by a constant factor.

A quantile read from it is within 1 % of the true one, over twelve decades, in at most a thousand
and some counts; two histograms merge by adding their buckets. Only buckets that hold something are
kept, usually some dozens: a new histogram, a copy and a merge cost microseconds. (The mapping is
DDSketch's; the sums are kept as whole numbers, so mean and standard deviation are exact.)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import index as index_of
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ContractError

__all__ = ["QUANTILES", "RELATIVE_ERROR", "LogHistogram", "rank_of", "record_rows"]

RELATIVE_ERROR = 0.01
"""Largest relative error of a quantile between 1 ns and 1000 s."""

QUANTILES: dict[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
"""Name in a summary -> share."""


def rank_of(q: float, count: int) -> int:
    """Where among `count` ascending values a quantile is: at one of them, and none understated.

    This is the nearest rank (numpy's method "inverted_cdf"): of five values, p95 is the largest.
    """
    return max(0, math.ceil(q * count) - 1)


_VERSION = 1
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_MOST = 1 << 63
_FEW = 200  # durations that are counted sooner one by one than by arrays
_PER_LOG = 1 / math.log(_GAMMA)
_LAST = math.ceil(math.log(1e12) * _PER_LOG)
_SPAN = _LAST + 1
# Bucket i > 0 holds (gamma^(i-1), gamma^i]; its middle is within 1 % of both ends. Bucket 0 holds
# zeros only; a single nanosecond lies in bucket 1.
_MIDDLE = (0.0, *(2 * _GAMMA**i / (_GAMMA + 1) for i in range(1, _LAST + 1)))
_UPPER = (0.0, *(_GAMMA**i for i in range(1, _LAST + 1)))


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
        self._buckets: defaultdict[int, int] = defaultdict(int)
        self._squares = 0
        self.count = self.total = self.min = self.max = 0

    def record(self, ns: int) -> None:
        """Count one duration.

        Args:
            ns: a whole number; below 1 it counts as 0, above 1000 s the quantiles end there.
        """
        if ns > 1:
            index = math.ceil(math.log(ns) * _PER_LOG)
            self._buckets[index if index < _LAST else _LAST] += 1
        else:
            ns = ns if ns > 0 else 0
            self._buckets[ns] += 1
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
        if len(durations) < _FEW:
            for ns in durations:
                self.record(ns)
        else:
            column = np.array(durations, np.int64)[:, np.newaxis]
            _record_columns((self,), np.maximum(column, 0))

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
        """The smallest duration that at least a share `q` of all do not exceed, in ns; 0 if empty.

        Args:
            q: 0 to 1. 0 and 1 are the exact minimum and maximum.

        Raises:
            ValueError: q is not between 0 and 1.
        """
        return self.quantiles((q,))[0]

    def quantiles(self, shares: Iterable[float]) -> list[float]:
        """`quantile` of each share, for little more than the price of one.

        Args:
            shares: ascending, each 0 to 1.

        Raises:
            ValueError: a share is not between 0 and 1.
        """
        found = []
        buckets = iter(sorted(self._buckets.items()))
        below = index = 0
        for q in shares:
            if not 0 <= q <= 1:
                raise ValueError(f"a quantile lies between 0 and 1, got {q!r}")
            rank = rank_of(q, self.count)
            if rank >= self.count - 1:
                found.append(float(self.max))
                continue
            while below <= rank:
                index, number = next(buckets)
                below += number
            found.append(min(max(_MIDDLE[index], float(self.min)), float(self.max)))
        return found

    def summary(self) -> dict[str, float]:
        """`count`, and `mean`, `std`, `min`, `max` and `QUANTILES` in ns; all 0 if empty."""
        return {
            "count": self.count,
            "mean": self.mean,
            "std": self.std,
            "min": float(self.min),
            "max": float(self.max),
            **dict(zip(QUANTILES, self.quantiles(QUANTILES.values()), strict=True)),
        }

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Upper end in ns -> how many, of every bucket that holds something, ascending."""
        return ((_UPPER[index], number) for index, number in sorted(self._buckets.items()))

    def cumulative(self, bounds_ns: Iterable[float]) -> list[int]:
        """How many lie at or below each bound, to within a bucket: what Prometheus calls `le`.

        Args:
            bounds_ns: ascending.
        """
        found = []
        buckets = iter(sorted(self._buckets.items()))
        head = next(buckets, None)
        below = 0
        for bound in bounds_ns:
            while head is not None and _MIDDLE[head[0]] <= bound:
                below += head[1]
                head = next(buckets, None)
            found.append(self.count if bound >= self.max else below)
        return found

    def merge(self, other: LogHistogram) -> None:
        """Add what another histogram counted."""
        if not other.count:
            return
        self.min = min(self.min, other.min) if self.count else other.min
        self.max = max(self.max, other.max)
        self.count += other.count
        self.total += other.total
        self._squares += other._squares
        buckets = self._buckets
        for index, number in other._buckets.items():
            buckets[index] += number

    def copy(self) -> LogHistogram:
        """Another that counts on from here by itself."""
        found = LogHistogram()
        found._buckets = self._buckets.copy()
        found._squares = self._squares
        found.count, found.total = self.count, self.total
        found.min, found.max = self.min, self.max
        return found

    def since(self, earlier: LogHistogram) -> LogHistogram:
        """What was recorded after `earlier`, a copy of this one, was taken.

        Smallest and largest are known to within their bucket. If this one does not hold all that
        `earlier` does, it was begun anew, and all of it is returned.
        """
        found = LogHistogram()
        left = {at: number - earlier._buckets.get(at, 0) for at, number in self._buckets.items()}
        began_anew = not earlier._buckets.keys() <= left.keys() or min(left.values(), default=0) < 0
        if began_anew or not earlier.count:
            return self.copy()
        found._buckets.update({at: number for at, number in left.items() if number})
        found.count = self.count - earlier.count
        if found.count:
            found.total = self.total - earlier.total
            found._squares = self._squares - earlier._squares
            found.min = max(self.min, math.floor(_UPPER[max(min(found._buckets) - 1, 0)]))
            found.max = min(self.max, math.ceil(_UPPER[max(found._buckets)]))
        return found

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
            "buckets": {str(i): number for i, number in sorted(self._buckets.items())},
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
            found.count, found.total = index_of(data["count"]), index_of(data["total"])
            found._squares = index_of(data["squares"])
            found.min, found.max = index_of(data["min"]), index_of(data["max"])
            buckets = {int(at): index_of(number) for at, number in data["buckets"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise ContractError(f"histogram: not the form that to_dict writes ({exc!r})") from exc
        if not all(0 <= at <= _LAST and number > 0 for at, number in buckets.items()):
            raise ContractError(f"histogram: buckets must lie between 0 and {_LAST}")
        if sum(buckets.values()) != found.count:
            raise ContractError(
                f"histogram: buckets hold {sum(buckets.values())}, count says {found.count}"
            )
        if not found._agrees():
            raise ContractError("histogram: count, total, squares, min and max contradict another")
        found._buckets.update(buckets)
        return found

    def _agrees(self) -> bool:
        """True if there can be durations with these sums."""
        count, total = self.count, self.total
        return (
            0 <= self.min <= self.max < _MOST
            and count < _MOST
            and count * self.min <= total <= count * self.max
            and total * total <= count * self._squares <= (count * self.max) ** 2
        )


def record_rows(histograms: Sequence[LogHistogram], rows: Sequence[Sequence[int]]) -> None:
    """Count a table of durations, a column for each histogram, for what one column costs.

    Args:
        histograms: one per column.
        rows: ns, one per histogram in each; negative where it is not known.
    """
    if rows:
        width = len(histograms)
        flat = np.fromiter(chain.from_iterable(rows), np.int64, len(rows) * width)
        _record_columns(histograms, flat.reshape(-1, width))


def _record_columns(histograms: Sequence[LogHistogram], table: NDArray[np.int64]) -> None:
    known = table >= 0
    values = np.maximum(table, 0)
    # 0 has a bucket of its own, and a single nanosecond belongs to the first.
    indices = np.ceil(np.log(np.maximum(values, 1)) * _PER_LOG).astype(np.intp)
    indices = np.minimum(indices + (values == 1), _LAST) + np.arange(len(histograms)) * _SPAN
    numbers = np.bincount(indices[known])
    used = np.flatnonzero(numbers)
    for place, number in zip(used.tolist(), numbers[used].tolist(), strict=True):
        column, index = divmod(place, _SPAN)
        histograms[column]._buckets[index] += number
    lowest = np.where(known, values, _MOST - 1).min(0).tolist()
    highest, counts = values.max(0).tolist(), known.sum(0).tolist()
    for histogram, low, high, count, total, squares in zip(
        histograms, lowest, highest, counts, *_sums(values, max(highest)), strict=True
    ):
        if count:
            histogram.min = min(histogram.min, low) if histogram.count else low
            histogram.max = max(histogram.max, high)
            histogram.count += count
            histogram.total += total
            histogram._squares += squares


def _sums(values: NDArray[np.int64], highest: int) -> tuple[list[int], list[int]]:
    """Sum and sum of squares of each column, exact."""
    if highest * highest * len(values) < _MOST:  # else they do not fit into 64 bits
        return values.sum(0).tolist(), (values * values).sum(0).tolist()
    columns = values.T.tolist()
    return [sum(column) for column in columns], [sum(map(mul, c, c)) for c in columns]
