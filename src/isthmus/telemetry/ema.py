"""An exponential moving average."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ALPHA", "Ema"]

ALPHA = 0.1
"""Weight of the newest sample; each one before weighs 0.9 of the next."""


class Ema:
    """An average in which older samples count less and less.

    After 1/alpha samples 63 % of a change is in it, after 3/alpha 95 %: with the default of 0.1,
    10 and 30 samples.

    Args:
        alpha: weight of the newest sample, above 0 and at most 1.

    Attributes:
        alpha: as given.
        count: samples taken.
        value: the average; 0 before the first sample, which it begins with.

    Raises:
        ValueError: alpha is outside its range.
    """

    __slots__ = ("alpha", "count", "value")

    def __init__(self, alpha: float = ALPHA) -> None:
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must be above 0 and at most 1, got {alpha!r}")
        self.alpha = alpha
        self.count = 0
        self.value = 0.0

    def add(self, value: float) -> None:
        """Take one sample in."""
        self.value += (value - self.value) * (self.alpha if self.count else 1.0)
        self.count += 1

    def add_many(self, values: Iterable[float]) -> None:
        """Take samples in, the oldest first."""
        for value in values:
            self.add(value)
