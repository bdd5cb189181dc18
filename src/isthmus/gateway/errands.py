"""Questions that need a disk or a second: answered by a thread beside the engine.

A session that asked for one (to load a policy, to flush the metrics) waits for it, as it would for
an inference; nobody else does. The thread is started with the first errand and runs one at a time.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from ..protocol.messages import Answer, ErrorAnswer
from .session import Session

__all__ = ["Errands"]

log = logging.getLogger("isthmus.gateway")

Errand = Callable[[], Callable[[], Answer]]
"""Runs in the thread. What it returns runs in the engine's thread, between batches, also when the
session has left meanwhile. Either may raise: the session is told, and nobody else is hurt."""


class Errands:
    """Runs errands and hands their answers back."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Session, Errand] | None] = SimpleQueue()
        self._done: deque[tuple[Session, Callable[[], Answer]]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None

    def descriptor(self) -> int:
        """Readable when `collect` has something."""
        return self._bell

    def run(self, session: Session, errand: Errand) -> None:
        """Do this for a session, whose question stays open until then."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="isthmus-errands", daemon=True)
            self._thread.start()
        self._asked.put((session, errand))

    def collect(self) -> list[tuple[Session, Answer]]:
        """Finish what has been done: the answers, in order."""
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return []  # woken for nothing
        found = []
        while self._done:
            session, finish = self._done.popleft()
            try:
                found.append((session, finish()))
            except Exception:
                log.exception("an errand for %s could not be finished", session.peer)
                found.append((session, _failed()))
        return found

    def close(self) -> None:
        """Let the thread end after its errand; one that hangs is left behind."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(timeout=1.0)
            if self._thread.is_alive():
                return
        os.close(self._bell)

    def _work(self) -> None:
        while True:
            asked = self._asked.get()
            if asked is None:
                return
            session, errand = asked
            try:
                finish = errand()
            except Exception:
                log.exception("an errand for %s failed", session.peer)
                finish = _failed
            self._done.append((session, finish))
            os.eventfd_write(self._bell, 1)


def _failed() -> Answer:
    return ErrorAnswer("internal", "an unexpected fault; the gateway's log has it")
