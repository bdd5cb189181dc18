"""Ctrl-C, SIGTERM and SIGHUP: the first asks a run to end in order, a second one ends it now."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from time import monotonic

__all__ = ["Interrupts"]

ONE_WISH = 0.5
"""Seconds; signals this close together are one, told by a terminal and by whoever started us."""

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Handles the signals that end a run. One that was ignored at our start stays ignored.

    Args:
        asked: called with the first signal's number.
        insisted: called at every later one.
    """

    def __init__(self, asked: Callable[[int], None], insisted: Callable[[], None]) -> None:
        self._asked = asked
        self._insisted = insisted
        self._first: float | None = None

    def handle(self) -> None:
        """Handle them from now on, in the running loop."""
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            # Who started us wanted no news of children; without them no status would reach us.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in _ASKING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._came, number)

    def ignore(self) -> None:
        """Ignore them from now on: everything is over, and nobody is to die on the doorstep."""
        for number in _ASKING:
            if asyncio.get_running_loop().remove_signal_handler(number):
                signal.signal(number, signal.SIG_IGN)

    def _came(self, number: int) -> None:
        if self._first is None:
            self._first = monotonic()
            self._asked(number)
        elif monotonic() - self._first >= ONE_WISH:
            self._insisted()
