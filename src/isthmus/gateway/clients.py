"""Clients that open one connection per message: what they do is counted across connections.

Such a client never misses twice on one connection, so a count that began anew with each would never
see it miss in a row, nor send empty observations in a row. What a plain client leaves behind is
taken up by the next connection from the same place, if it comes soon and nobody else has it: two
clients that are connected at once never share a count.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from ..telemetry import DeadlineWatchdog
from .session import Session

__all__ = ["PATIENCE_NS", "REMEMBERED", "Account", "Clients", "is_due"]

PATIENCE_NS = 60_000_000_000
"""Time after which a connection from the same place is taken for another client."""
REMEMBERED = 1024
"""Clients that left and are remembered, at most."""


@dataclass(eq=False, slots=True)
class Account:
    """What is counted of one client.

    Attributes:
        watchdog: its deadlines.
        transport: how it travels.
        empties: observations without a joint, in a row.
        runs: whatever else it does again and again -> how often in a row.
    """

    watchdog: DeadlineWatchdog
    transport: str = ""
    empties: int = 0
    runs: dict[str, int] = field(default_factory=dict)

    def again(self, what: str) -> int:
        """Count one more in a row."""
        self.runs[what] = run = self.runs.get(what, 0) + 1
        return run

    def over(self, what: str) -> None:
        """Whatever begins with this has ended."""
        if self.runs:
            self.runs = {name: n for name, n in self.runs.items() if not name.startswith(what)}


class Clients:
    """Accounts of plain clients that left, the latest last."""

    def __init__(self) -> None:
        self._left: OrderedDict[Account, tuple[str, int]] = OrderedDict()

    def leave(self, session: Session, account: Account, now_ns: int) -> None:
        """A plain client's connection ended."""
        if not (account.watchdog.steps or account.empties or account.runs):
            return
        self._left[account] = place_of(session), now_ns
        while len(self._left) > REMEMBERED:
            self._left.popitem(last=False)

    def resume(self, session: Session, now_ns: int) -> Account | None:
        """What the client that this connection is taken for left behind; None if there is none."""
        place = place_of(session)
        for account, (left_place, left_ns) in reversed(self._left.items()):
            if now_ns - left_ns > PATIENCE_NS:
                return None
            if left_place == place:
                del self._left[account]
                return account
        return None

    def consecutive(self, now_ns: int) -> int:
        """Most misses in a row of the clients that left lately."""
        return max(
            (
                account.watchdog.consecutive
                for account, (_, left_ns) in self._left.items()
                if now_ns - left_ns <= PATIENCE_NS
            ),
            default=0,
        )


def is_due(run: int) -> bool:
    """True for 1, 2, 4, 8...: what goes on and on tells of itself now and then."""
    return run & (run - 1) == 0


def place_of(session: Session) -> str:
    """Where a session comes from: its host, or its process on this machine."""
    host, colon, _ = session.peer.rpartition(":")
    return host if colon else session.peer
