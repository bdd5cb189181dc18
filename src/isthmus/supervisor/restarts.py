"""Whether a process that has ended is started again, and when. Pure."""

from __future__ import annotations

__all__ = ["FIRST_DELAY", "LONGEST_DELAY", "STABLE", "Restarts"]

FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0
"""Seconds before a restart: doubled each time, up to the longest."""
_MOST_DOUBLINGS = 10
STABLE = 10.0
"""Seconds of being ready after which earlier failures are forgotten."""


class Restarts:
    """Counts the restarts of one process.

    Args:
        policy: "never", "on-failure" or "always".
        limit: restarts in a row.
    """

    def __init__(self, policy: str, limit: int) -> None:
        self.total = 0
        """Restarts so far."""
        self.in_a_row = 0
        """Restarts since the process was last stable."""
        self._policy = policy
        self._limit = limit

    def after(self, status: int, ready_for: float | None) -> float | None:
        """Say in how many seconds a process is started again; None if it is not.

        What was never ready in this run is not tried again: a first start that fails is a mistake
        to be shown, not bad luck to be waited out.

        Args:
            status: how it ended; 0 is well.
            ready_for: seconds that it was ready; None if it was not, this time.
        """
        wanted = self._policy == "always" or (self._policy == "on-failure" and status != 0)
        if not wanted or (ready_for is None and self.total == 0):
            return None
        if ready_for is not None and ready_for >= STABLE:
            self.in_a_row = 0
        if self.in_a_row >= self._limit:
            return None
        doublings = min(self.in_a_row, _MOST_DOUBLINGS)  # else no float holds it one day
        delay = min(FIRST_DELAY * 2.0**doublings, LONGEST_DELAY)
        self.in_a_row += 1
        self.total += 1
        return delay

    @property
    def exhausted(self) -> bool:
        """True if no restart is left, where there were some."""
        return self.in_a_row > 0 and self.in_a_row >= self._limit
