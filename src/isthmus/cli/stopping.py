"""How a gateway is told to end, also one whose policy hangs.

The first signal ends it well. Python runs a handler only between two bytecodes of the main thread,
so neither an engine nor a handler hears of a signal while an inline policy is inside native code.
Therefore each signal also wakes a thread, by a byte that the kernel's handler writes. That one
starts a clock; when it runs out, or when a second signal comes, the process closes its logs,
removes its sockets and is gone. Only native code that keeps the interpreter for itself can hold
that up.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from types import FrameType

from isthmus.gateway import Engine
from isthmus.transport.sockets import Listener

__all__ = ["Stopped", "Stopping", "leave_behind"]

GRACE = 5.0
"""Seconds that a pass and the goodbyes may take after the first signal."""

GRACE_OF_FILES = 30.0
"""Seconds that the last reports and events may take once the engine has ended."""

GRACE_OF_LOGS = 1.0
"""Seconds that the logs may take to close where the process ends without its policy."""

ONE_WISH = 0.5
"""Seconds; signals this close together are one, told by a terminal and by a supervisor."""

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_RUN_POLICIES = ("isthmus-policy", "isthmus-errands")
"""Threads of ours that may be inside native code."""


class Stopped(KeyboardInterrupt):
    """A signal came before there was an engine. No policy's fault, and not to be taken for one."""


class Stopping:
    """The handlers of SIGINT, SIGTERM and SIGHUP, for as long as the process lives.

    Attributes:
        engine: whom to tell; before there is one, `Stopped` is raised where the program stands.
    """

    def __init__(
        self, listeners: Sequence[Listener], close_logs: Callable[[], None] = lambda: None
    ) -> None:
        """Handle the signals from now on.

        Args:
            listeners: what must not be left behind.
            close_logs: called from another thread where the process ends without its policy.
        """
        self.engine: Engine | None = None
        self._listeners = listeners
        self._close_logs = close_logs
        self._held = False
        self._told = False
        self._ended = False
        self._left = b"a policy"
        self._bell, self._ring = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="isthmus-stopping", daemon=True).start()
        for number in _ASKING:  # one that `nohup` had ignored stays ignored
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._asked)

    def hold(self) -> None:
        """Raise nothing until `let_go`: what is half made could not be taken back."""
        self._held = True

    def let_go(self) -> None:
        """Signals may raise again, and one that came meanwhile does.

        Raises:
            Stopped: one came.
        """
        self._held = False
        if self._told:
            raise Stopped

    def engine_ended(self) -> None:
        """What is left to do has bounds of its own, unless a disk hangs: time for that begins."""
        self._left = b"a report or a file"
        self._ended = True
        os.write(self._ring, b"\0")

    def _asked(self, number: int, frame: FrameType | None) -> None:
        """The main thread hears of a signal, perhaps long after `_watch` did."""
        del number, frame
        if self._told:
            return
        self._told = True
        if self.engine is not None:
            self.engine.stop()
        elif not self._held:
            raise Stopped

    def _watch(self) -> None:
        """In a thread of its own: wait for the first wish, then for the clock or the second."""
        told_at: float | None = None
        due: float | None = None
        waiting = select.poll()
        waiting.register(self._bell, select.POLLIN)
        while True:
            left = None if due is None else max(0.0, due - monotonic())
            if not waiting.poll(None if left is None else left * 1e3):
                break
            for byte in os.read(self._bell, 1):
                now = monotonic()
                if not byte:  # the engine has ended
                    due = None if told_at is None else now + GRACE_OF_FILES
                elif byte not in _ASKING:
                    continue
                elif told_at is None:
                    told_at, due = now, now + (GRACE_OF_FILES if self._ended else GRACE)
                elif now - told_at >= ONE_WISH:
                    self._overdue()
        self._overdue()

    def _overdue(self) -> None:
        try:
            for listener in self._listeners:
                listener.close()
            os.write(2, b"isthmus: %s did not return in time; ending without it\n" % self._left)
            closing = threading.Thread(target=self._close_logs, daemon=True)
            closing.start()
            closing.join(GRACE_OF_LOGS)
        finally:
            os._exit(1)


def leave_behind(status: int, before: Sequence[threading.Thread]) -> None:
    """End the process at once if a thread of ours still runs a policy; else return.

    Python's own end would pull the libraries from under that thread, which aborts the process.
    Everything has been closed by now.

    Args:
        status: the exit status.
        before: threads that are none of this gateway's.
    """
    if any(t.name in _RUN_POLICIES and t not in before for t in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass  # nobody reads it
        os._exit(status)
