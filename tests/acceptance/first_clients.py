"""Clients as the operators of the first system wrote them: sockets, JSON lines, 4096 bytes a read.

They know the words of the conversation and nothing of isthmus.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any

__all__ = ["ZERO", "Address", "Connection", "ask", "observe"]

Address = tuple[str, int]
Message = Mapping[str, Any]

ZERO = (0.0,) * 6
"""Joint positions of the arm that most tests ask for, rad."""

HOPELESS = 30.0
"""Seconds after which nothing will come any more. It says nothing about how fast anything is."""


def ask(address: Address, message: Message | bytes) -> dict[str, Any]:
    """One message over a connection of its own: connect, ask, read the answer, close."""
    with Connection(address) as connection:
        connection.say(message)
        return connection.hear()


def observe(*q: float, **more: Any) -> dict[str, Any]:
    """An observation with the fields where most clients put them: right under `data`."""
    beside = ("corr_id", "obs_version", "budget_ns")
    outer: dict[str, Any] = {key: more.pop(key) for key in beside if key in more}
    return {"type": "obs", **outer, "data": {"q": list(q), "dq": [0.0] * len(q), **more}}


class Connection:
    """A connection that stays open for any number of messages."""

    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address, timeout=HOPELESS)
        self._read = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def say(self, *messages: Message | bytes) -> None:
        """Send messages, all at once; bytes are sent as they are."""
        lines = (m if isinstance(m, bytes) else json.dumps(m).encode() + b"\n" for m in messages)
        self.socket.sendall(b"".join(lines))

    def hear(self) -> dict[str, Any]:
        """The next answer."""
        while b"\n" not in self._read:
            piece = self.socket.recv(4096)
            assert piece, f"the gateway closed the connection after {self._read!r}"
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, message: Message) -> dict[str, Any]:
        """Ask over this connection."""
        self.say(message)
        return self.hear()
