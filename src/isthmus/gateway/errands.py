"""Questions that need a disk or a second: answered by a thread beside the engine.

A session that asked for one (to load a policy, to flush the metrics) waits for it, as it would for
an inference; nobody else does. Each lane has a thread, started with its first errand, that runs one
at a time: what hangs in one lane holds up no other.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic

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
        self._lanes: dict[str, _Lane] = {}
        self._done: deque[tuple[Session, Callable[[], Answer]]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def descriptor(self) -> int:
        """Readable when `collect` has something."""
        return self._bell

    def run(self, session: Session, errand: Errand, lane: str = "") -> None:
        """Do this for a session, whose question stays open until then.

        Args:
            session: who asked.
            errand: what to do.
            lane: which errands it has to wait for.
        """
        if lane not in self._lanes:
            self._lanes[lane] = _Lane(self._deliver)
        self._lanes[lane].asked.put((session, errand))

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
        """Let the threads end after their errands; one that hangs is left behind."""
        for lane in self._lanes.values():
            lane.asked.put(None)
        due = monotonic() + 1.0
        for lane in self._lanes.values():
            lane.thread.join(max(0.0, due - monotonic()))
        if not any(lane.thread.is_alive() for lane in self._lanes.values()):
            os.close(self._bell)

    def _deliver(self, session: Session, finish: Callable[[], Answer]) -> None:
        self._done.append((session, finish))
        os.eventfd_write(self._bell, 1)


class _Lane:
    """A thread and what it has to do."""

    def __init__(self, deliver: Callable[[Session, Callable[[], Answer]], None]) -> None:
        self.asked: SimpleQueue[tuple[Session, Errand] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="isthmus-errands", daemon=True)
        self._deliver = deliver
        self.thread.start()

    def _work(self) -> None:
        while True:
            asked = self.asked.get()
            if asked is None:
                return
            session, errand = asked
            try:
                finish = errand()
            except Exception:
                log.exception("an errand for %s failed", session.peer)
                finish = _failed
            self._deliver(session, finish)


def _failed() -> Answer:
    return ErrorAnswer("internal", "an unexpected fault; the gateway's log has it")
