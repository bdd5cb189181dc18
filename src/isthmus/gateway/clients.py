"""Clients that open one connection per message: their deadlines are counted across connections.

Such a client never misses twice on one connection, so a count that began anew with each would never
see it miss in a row. What a plain client leaves behind is taken up by the next connection from the
same place, if it comes soon and nobody else has it: two clients that are connected at once never
share a count.
"""

from __future__ import annotations

from collections import OrderedDict

from ..telemetry import DeadlineWatchdog
from .session import Session

__all__ = ["PATIENCE_NS", "Clients", "place_of"]

PATIENCE_NS = 60_000_000_000
"""Time after which a connection from the same place is taken for another client."""
_REMEMBERED = 1024


class Clients:
    """Watchdogs that plain clients left behind, the latest last."""

    def __init__(self) -> None:
        self._left: OrderedDict[DeadlineWatchdog, tuple[str, int]] = OrderedDict()

    def leave(self, session: Session, now_ns: int) -> None:
        """A plain client's connection ended."""
        watchdog = session.watchdog
        if watchdog is None or not watchdog.steps:
            return
        self._left[watchdog] = place_of(session), now_ns
        while len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)

    def resume(self, session: Session, now_ns: int) -> DeadlineWatchdog | None:
        """What the client that this connection is taken for left behind; None if there is none."""
        place = place_of(session)
        for watchdog, (left_place, left_ns) in reversed(self._left.items()):
            if now_ns - left_ns > PATIENCE_NS:
                return None
            if left_place == place:
                del self._left[watchdog]
                return watchdog
        return None

    def consecutive(self, now_ns: int) -> int:
        """Most misses in a row of the clients that left lately."""
        return max(
            (
                watchdog.consecutive
                for watchdog, (_, left_ns) in self._left.items()
                if now_ns - left_ns <= PATIENCE_NS
            ),
            default=0,
        )


def place_of(session: Session) -> str:
    """Where a session comes from: its host, or its process on this machine."""
    host, colon, _ = session.peer.rpartition(":")
    return host if colon else session.peer
