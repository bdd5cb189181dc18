"""Who misses too many deadlines, and since when."""

from __future__ import annotations

from collections import deque

__all__ = ["DeadlineWatchdog"]

ENOUGH = 20
"""Steps before a recent miss rate is believed."""

LEAVE_SHARE = 0.5
"""A session stops being degraded at this share of the ratio at which it became so."""


class DeadlineWatchdog:
    """Counts one session's deadlines, kept and missed.

    Args:
        escalate_after: misses in a row that are an escalation; 0 = never.
        degrade_ratio: share of recent steps missed, 0 to 1, above which the session is degraded;
            0 = never.
        window: steps that are recent.

    Attributes:
        steps: deadlines seen.
        misses: those missed.
        consecutive: misses since the last deadline kept.
        escalations: runs of misses that became as long as `escalate_after`.
        degraded: True while the recent miss rate is too high: from the step at which it is above
            `degrade_ratio`, with at least `ENOUGH` steps seen, to the one at which it is at most
            half of that.

    Raises:
        ValueError: an argument is outside its range.
    """

    __slots__ = (
        "_recent", "_recent_misses", "consecutive", "degrade_ratio", "degraded", "escalate_after",
        "escalations", "misses", "steps",
    )  # fmt: skip

    def __init__(
        self, escalate_after: int = 0, degrade_ratio: float = 0.0, window: int = 200
    ) -> None:
        if escalate_after < 0 or not 0 <= degrade_ratio <= 1 or window < 1:
            raise ValueError(
                "a watchdog needs escalate_after >= 0, degrade_ratio from 0 to 1 and window >= 1, "
                f"got {escalate_after!r}, {degrade_ratio!r} and {window!r}"
            )
        self.escalate_after = escalate_after
        self.degrade_ratio = degrade_ratio
        self.steps = self.misses = self.consecutive = self.escalations = 0
        self.degraded = False
        self._recent: deque[bool] = deque(maxlen=window)
        self._recent_misses = 0

    def record(self, missed: bool) -> bool:
        """Take one step in.

        Returns:
            True if an escalation is due now: once in each run of misses, at the step at which it
            becomes `escalate_after` long.
        """
        recent = self._recent
        if len(recent) == recent.maxlen:
            self._recent_misses -= recent[0]
        recent.append(missed)
        self.steps += 1
        if missed:
            self._recent_misses += 1
            self.misses += 1
            self.consecutive += 1
        else:
            self.consecutive = 0
        if self.degrade_ratio:
            self._judge()
        if missed and self.consecutive == self.escalate_after:
            self.escalations += 1
            return True
        return False

    @property
    def miss_rate(self) -> float:
        """Share of all steps missed, 0 to 1."""
        return self.misses / self.steps if self.steps else 0.0

    @property
    def recent_miss_rate(self) -> float:
        """Share of the last `window` steps missed, 0 to 1."""
        return self._recent_misses / len(self._recent) if self._recent else 0.0

    def _judge(self) -> None:
        seen = len(self._recent)
        allowed = self.degrade_ratio * seen
        if self.degraded:
            self.degraded = self._recent_misses > allowed * LEAVE_SHARE
        else:
            enough = min(ENOUGH, self._recent.maxlen or ENOUGH)
            self.degraded = self._recent_misses > allowed and seen >= enough
