"""The recent past of a stream of durations: its last samples, and its last seconds.

The last samples are kept as they are, so their quantiles are exact. The last seconds are kept as
slices, one histogram each: a slice is dropped whole when its time is over, so the memory is
bounded whatever the rate, and adding costs what adding to a histogram costs.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import groupby, islice

from .histogram import QUANTILES, LogHistogram, rank_of

__all__ = ["RECENT", "SLICES", "LatencyWindow"]

RECENT = 200
"""Samples that `recent` looks at."""

SLICES = 30
"""Parts that the last seconds are kept in; `lately` reaches back up to one part further."""


class LatencyWindow:
    """The last samples and the last seconds of one stage. Pure: the time is handed in.

    Args:
        seconds: how far back `lately` looks, > 0. It covers at least that, and at most one part in
            `SLICES` more.
        samples: how many samples `recent` looks at, > 0.

    Raises:
        ValueError: one of them is not above 0.
    """

    def __init__(self, seconds: float = 60.0, samples: int = RECENT) -> None:
        if not seconds > 0 or samples < 1:
            raise ValueError(f"a window needs seconds and samples, got {seconds!r} and {samples!r}")
        self.seconds = seconds
        self._slice_ns = max(1, round(seconds * 1e9 / SLICES))
        self._recent: deque[int] = deque(maxlen=samples)
        self._slices: deque[tuple[int, LogHistogram]] = deque(maxlen=SLICES + 1)

    def add(self, now_ns: int, value_ns: int) -> None:
        """Take one sample.

        Args:
            now_ns: its instant, monotonic. One before the last sample's counts as being with it.
            value_ns: its duration.
        """
        self._recent.append(value_ns)
        self._at(now_ns // self._slice_ns).record(value_ns)

    def add_many(self, times_ns: Sequence[int], values_ns: Sequence[int]) -> None:
        """Take many samples at once, for a fraction of what they cost one by one.

        Args:
            times_ns: their instants, monotonic, not descending.
            values_ns: their durations, as many.

        Raises:
            ValueError: there are more of one than of the other.
        """
        if len(times_ns) != len(values_ns):
            raise ValueError(f"{len(times_ns)} instants for {len(values_ns)} samples")
        self._recent.extend(values_ns[-(self._recent.maxlen or 0) :])
        values = iter(values_ns)
        for number, times in groupby(time // self._slice_ns for time in times_ns):
            self._at(number).record_many(list(islice(values, sum(1 for _ in times))))

    def recent(self) -> dict[str, float]:
        """Summary of the last samples, exact, in ns: see `LogHistogram.summary` for the keys."""
        return self._summary(len(self._recent))

    def fresh(self, now_ns: int) -> dict[str, float]:
        """The same, of those of the last samples that came in the last seconds before `now_ns`."""
        return self._summary(self.histogram(now_ns).count)

    def _summary(self, most: int) -> dict[str, float]:
        newest = islice(reversed(self._recent), most)
        values = sorted(newest)
        count, total = len(values), sum(values)
        if not count:
            return LogHistogram().summary()
        squares = sum(value * value for value in values)
        return {
            "count": count,
            "mean": total / count,
            "std": math.sqrt(count * squares - total * total) / count,
            "min": float(values[0]),
            "max": float(values[-1]),
            **{name: float(values[rank_of(q, count)]) for name, q in QUANTILES.items()},
        }

    def lately(self, now_ns: int) -> dict[str, float]:
        """Summary of the last seconds before `now_ns`, in ns, quantiles within 1 %."""
        return self.histogram(now_ns).summary()

    def histogram(self, now_ns: int) -> LogHistogram:
        """What was recorded in the last seconds before `now_ns`; the caller's to keep."""
        oldest = now_ns // self._slice_ns - SLICES
        found = LogHistogram()
        for number, part in self._slices:
            if number >= oldest:
                found.merge(part)
        return found

    def _at(self, number: int) -> LogHistogram:
        """The histogram of one slice, the newest if `number` lies before it."""
        slices = self._slices
        if not slices or number > slices[-1][0]:
            slices.append((number, LogHistogram()))
            while slices[0][0] < number - SLICES:
                slices.popleft()
        return slices[-1][1]
