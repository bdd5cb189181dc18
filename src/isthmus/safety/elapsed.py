"""The time between two commands, over which motion is judged."""

from __future__ import annotations

__all__ = ["Elapsed"]

_NAN = float("nan")
_LONGEST = 3600.0


class Elapsed:
    """Simulation time where both moments are known. Pure: the moments are handed in.

    Without it a real robot's time is that of the clock, and a simulator's is one control_dt
    (None): a simulator keeps its own pace.

    Args:
        actuator: `simulated` or `real`.
    """

    __slots__ = ("_by_clock", "_last_ns", "_moment")

    def __init__(self, actuator: str) -> None:
        self._by_clock = actuator == "real"
        self._moment = _NAN
        self._last_ns = 0

    def since_last(self, moment: float, now_ns: int) -> int | None:
        """Time since the call before this one.

        Args:
            moment: simulation time, s; NaN where it is not known.
            now_ns: monotonic instant.

        Returns:
            ns, >= 0; None counts as control_dt. 0 while simulation time stands still, and where
            it runs backwards: that is an episode nobody announced, and it counts from there on.
        """
        before, self._moment = self._moment, moment
        last, self._last_ns = self._last_ns, now_ns
        elapsed = moment - before
        if elapsed == elapsed:
            return round(min(max(elapsed, 0.0), _LONGEST) * 1e9)
        return now_ns - last if self._by_clock and last else None

    def forget(self) -> None:
        """An episode starts: what was before it is no moment of it."""
        self._moment, self._last_ns = _NAN, 0
