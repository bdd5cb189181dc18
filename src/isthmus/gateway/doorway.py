"""The doorway: connections that have not shaken hands yet.

A newcomer costs a descriptor and a few kilobytes, so there is room for a bounded number of them and
each has a bounded time: one to say its first byte, another for its handshake.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
import socket
from collections.abc import Iterator, Sequence
from enum import Enum

from ..errors import TransportError
from ..protocol import BinaryCodec, JsonCodec, ServerProtocol
from ..protocol.header import MAGIC
from ..transport.sockets import Listener, peer_of
from ..transport.stream import StreamTransport
from .session import Session
from .settings import Settings

__all__ = ["Doorway", "First"]

log = logging.getLogger("isthmus.gateway")

_AT_ONCE = 64
_PAUSE_NS = 1_000_000_000


class First(Enum):
    """What a first byte told."""

    NOTHING = "nothing yet"
    GONE = "gone"
    SPEAKS = "speaks a codec"
    STRANGE = "speaks none"


class Doorway:
    """Listeners, and who came through them.

    Attributes:
        listeners: descriptor -> listener.
        newcomers: who has not shaken hands, in order of arrival -> True once a byte came.
        accepting: False while the listeners are left alone.
    """

    def __init__(self, listeners: Sequence[Listener], settings: Settings) -> None:
        """Take the listeners over."""
        self.listeners = {listener.sock.fileno(): listener for listener in listeners}
        self.newcomers: dict[Session, bool] = {}
        self.accepting = False
        self._settings = settings
        self._resume_at_ns = 0

    def arrivals(self, listener: Listener, now_ns: int) -> Iterator[Session]:
        """Accept who is there.

        Raises:
            TransportError: descriptors are used up; accepting must pause.
        """
        for _ in range(_AT_ONCE):
            sock = listener.accept()
            if sock is None:
                return
            name = "tcp" if listener.address.scheme == "tcp" else "unix"
            codec = BinaryCodec(body_crc=name == "tcp")
            session = Session(
                StreamTransport(sock, name, codec.framer), ServerProtocol(codec), _peer_name(sock)
            )
            session.local = _is_local(sock)
            session.expires_ns = now_ns + self._settings.silence_timeout_ns
            self.newcomers[session] = False
            yield session

    def surplus(self) -> Session | None:
        """The newcomer that has waited longest, if there are more than there is room for."""
        if len(self.newcomers) <= self._settings.max_newcomers:
            return None
        return next(iter(self.newcomers))

    def sniff(self, session: Session, sock: socket.socket, now_ns: int) -> tuple[First, bytes]:
        """One look at the first byte decides the codec, once."""
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return First.NOTHING, b""
        except OSError:
            return First.GONE, b""
        if not first:
            return First.GONE, b""
        session.expires_ns = now_ns + self._settings.greeting_timeout_ns
        self.newcomers[session] = True
        if first == MAGIC[:1]:
            return First.SPEAKS, first
        session.name = f"json-{secrets.token_hex(4)}"
        codec = JsonCodec(session.name)
        session.protocol = ServerProtocol(codec)
        session.transport.use(codec.framer)
        return (First.SPEAKS if first == b"{" else First.STRANGE), first

    def expired(self, now_ns: int) -> list[Session]:
        """Newcomers whose time is over."""
        return [session for session in self.newcomers if session.expires_ns <= now_ns]

    def is_silent(self, session: Session) -> bool:
        """True of a newcomer that has not said a byte."""
        return not self.newcomers[session]

    def pause(self, why: TransportError, now_ns: int) -> None:
        """Stop accepting for a while."""
        log.warning("%s; accepting pauses for a second", why)
        self.accepting = False
        self._resume_at_ns = now_ns + _PAUSE_NS

    def hurry(self) -> None:
        """A descriptor has become free: accept again at once."""
        self._resume_at_ns = 0

    def may_resume(self, now_ns: int) -> bool:
        """True if a pause is over."""
        return not self.accepting and now_ns >= self._resume_at_ns

    def due_ns(self) -> int | None:
        """When somebody's time, or a pause, is over; None if never."""
        due = [session.expires_ns for session in self.newcomers]
        if not self.accepting:
            due.append(self._resume_at_ns)
        return min(due, default=None)

    def close(self) -> None:
        """Stop listening."""
        for listener in self.listeners.values():
            listener.close()


def _is_local(sock: socket.socket) -> bool:
    """True if the other end runs on this machine, as far as the kernel can tell."""
    if sock.family == socket.AF_UNIX:
        return True
    try:
        host = ipaddress.ip_address(sock.getpeername()[0])
    except (OSError, ValueError):
        return False
    mapped = host.ipv4_mapped if isinstance(host, ipaddress.IPv6Address) else None
    return (mapped or host).is_loopback


def _peer_name(sock: socket.socket) -> str:
    peer = peer_of(sock)
    if peer is not None:
        return f"process {peer.pid}"
    try:
        host, port = sock.getpeername()[:2]
    except OSError:
        return "a peer that left"
    return f"{host}:{port}"
