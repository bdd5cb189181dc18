"""Whole numbers and booleans: inside the range or not at all."""

from __future__ import annotations

import numpy as np

from ..contract import ActionField
from .bounds import Bounds
from .limiter import Floats, Limiter, Mask, Numbers, Observed, in_dtype

__all__ = ["WholeLimiter"]


class WholeLimiter(Limiter):
    """Checks the range. The class next to a wrong class means nothing: nothing is clipped.

    See `Limiter`.
    """

    def __init__(self, field: ActionField, bounds: Bounds, num_envs: int) -> None:
        super().__init__(field, bounds, num_envs)
        self._low = in_dtype(bounds.low, self.dtype).reshape(self.shape)
        self._high = in_dtype(bounds.high, self.dtype).reshape(self.shape)
        self._proposed: Numbers = self.rest

    def limit(self, out: Numbers, measured: Observed, dt_ns: int) -> str:
        """See `Limiter.limit`."""
        self._proposed = out
        if self.bounds.bounded and not bool(np.all((out >= self._low) & (out <= self._high))):
            return "out_of_range"
        return ""

    def commit(self) -> None:
        """See `Limiter.commit`."""
        self._sent = self._proposed.copy()

    def last(self) -> tuple[Numbers, bool]:
        """See `Limiter.last`; exact, where float64 is not."""
        return self._sent.copy(), True

    def forget(self, mask: Mask | None) -> None:
        """See `Limiter.forget`."""
        if mask is None:
            self._store(self.bounds.rest)
        else:
            rows = mask.reshape(-1, *(1,) * len(self.field.shape))
            self._sent = np.where(rows, self.rest, self._sent)

    def _store(self, command: Floats) -> None:
        self._sent = in_dtype(command, self.dtype).reshape(self.shape)
