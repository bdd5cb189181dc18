"""The pace of a loop, without drift."""

from __future__ import annotations

import time

__all__ = ["Rate"]


class Rate:
    """Sleeps so that a loop runs `hz` times a second, however long its body takes.

    Ticks lie on a fixed grid, so small delays do not add up. A tick that was missed altogether is
    counted and skipped: there is no burst to catch up.

    Attributes:
        period_ns: time between two ticks.
        overruns: ticks that were missed.
    """

    def __init__(self, hz: float) -> None:
        """Begin now.

        Raises:
            ValueError: `hz` is not from above 0 to 1e9.
        """
        if not 0 < hz <= 1e9:
            raise ValueError(f"a rate must be above 0 Hz and at most 1e9, got {hz}")
        self.period_ns = int(1e9 / hz)
        self.overruns = 0
        self._next_ns = time.monotonic_ns() + self.period_ns

    def __repr__(self) -> str:
        """Pace and what was missed."""
        return f"<Rate {1e9 / self.period_ns:g} Hz, {self.overruns} missed>"

    def reset(self) -> None:
        """Begin anew now, without counting what was missed."""
        self._next_ns = time.monotonic_ns() + self.period_ns

    def sleep(self) -> float:
        """Wait for the next tick; returns how late it is, in seconds."""
        left = self._next_ns - time.monotonic_ns()
        if left > 0:
            time.sleep(left / 1e9)
        late = time.monotonic_ns() - self._next_ns
        missed = late // self.period_ns
        self.overruns += missed
        self._next_ns += (missed + 1) * self.period_ns
        return max(0, late) / 1e9
