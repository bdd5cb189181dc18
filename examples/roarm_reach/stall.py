"""A gateway stopped in the middle of a run, to see what the arm does meanwhile."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


class Stall:
    """Stops the gateway's process half-way, for as long as asked, and lets it go on.

    The control loop itself does it, between two of its steps: it goes on at its pace while nobody
    answers, which is what there is to see.

    Args:
        pid: the gateway's process; None if there is nothing to stop.
        seconds: for how long; 0 is not at all.
        after: steps before it.
    """

    def __init__(self, pid: int | None, seconds: float, after: int) -> None:
        self._pid = pid if seconds > 0 else None
        self._seconds = seconds
        self._steps_left = after
        self._until = 0.0
        self._window_ns: list[int] = []

    def step(self) -> None:
        """Count a step, and do what is due after it."""
        if self._pid is None:
            return
        self._steps_left -= 1
        if self._steps_left == 0:
            os.kill(self._pid, signal.SIGSTOP)
            self._window_ns.append(time.time_ns())
            self._until = time.monotonic() + self._seconds
        elif len(self._window_ns) == 1 and time.monotonic() >= self._until:
            self.end()

    def end(self) -> None:
        """Let the gateway go on, if it does not yet."""
        if self._pid is not None and len(self._window_ns) == 1:
            os.kill(self._pid, signal.SIGCONT)
            self._window_ns.append(time.time_ns())

    def facts(self) -> dict[str, Any]:
        """For `meta.json`: seconds asked for, and when it began and ended, ns since the epoch."""
        if not self._window_ns:
            return {}
        return {"stall_seconds": self._seconds, "stalled_ns": self._window_ns}

    def touched(self, episode: dict[str, Any]) -> bool:
        """Whether the gateway was stopped during this episode."""
        if not self._window_ns:
            return False
        begun, over = self._window_ns
        return bool(episode["started_ns"] < over and episode["ended_ns"] > begun)
