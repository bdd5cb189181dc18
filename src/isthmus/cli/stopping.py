"""How a gateway is told to end, also one whose policy hangs.

The first signal ends it well. An inline policy that hangs keeps the engine from hearing of it, so
the same signal starts a clock; when that runs out, or when a second signal comes, the process
removes its sockets and is gone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from time import monotonic
from types import FrameType

from isthmus.gateway import Engine
from isthmus.transport.sockets import Listener

__all__ = ["Stopped", "Stopping"]

GRACE = 5.0
"""Seconds that a pass and the goodbyes may take after the first signal."""

GRACE_OF_FILES = 30.0
"""Seconds that the last reports and events may take once the engine has ended."""

ONE_WISH = 0.5
"""Seconds; signals this close together are one, told by a terminal and by a supervisor."""

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal came before there was an engine. No policy's fault, and not to be taken for one."""


class Stopping:
    """The handlers of SIGINT, SIGTERM and SIGHUP, for as long as the process lives.

    Attributes:
        engine: whom to tell; before there is one, `Stopped` is raised where the program stands.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        """Handle the signals from now on; `listeners` are what must not be left behind."""
        self.engine: Engine | None = None
        self._listeners = listeners
        self._held = False
        self._told_at: float | None = None
        self._left = b"a policy"
        for number in _ASKING:  # one that `nohup` had ignored stays ignored
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._asked)
        signal.signal(signal.SIGALRM, self._overdue)

    def hold(self) -> None:
        """Raise nothing until `let_go`: what is half made could not be taken back."""
        self._held = True

    def let_go(self) -> None:
        """Signals may raise again, and one that came meanwhile does.

        Raises:
            Stopped: one came.
        """
        self._held = False
        if self._told_at is not None:
            raise Stopped

    def engine_ended(self) -> None:
        """What is left to do has bounds of its own, unless a disk hangs: time for that begins."""
        self._left = b"a report or a file"
        if self._told_at is not None:
            signal.setitimer(signal.ITIMER_REAL, GRACE_OF_FILES)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        now = monotonic()
        if self._told_at is not None:
            if now - self._told_at >= ONE_WISH:
                self._overdue(number, frame)
            return
        self._told_at = now
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        if self.engine is not None:
            self.engine.stop()
        elif not self._held:
            raise Stopped

    def _overdue(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        try:
            for listener in self._listeners:
                listener.close()
            os.write(2, b"isthmus: %s did not return in time; ending without it\n" % self._left)
        finally:
            os._exit(1)
