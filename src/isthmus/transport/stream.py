"""Frames over a stream socket, TCP or Unix."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Sequence
from weakref import WeakSet

from ..errors import ConnectionLostError
from ..protocol.framer import Framer

__all__ = ["StreamTransport"]

_INITIAL = 4096


class StreamTransport:
    """One connected, non-blocking stream socket."""

    def __init__(self, sock: socket.socket, name: str, framer: Framer) -> None:
        """Take the socket over."""
        sock.setblocking(False)
        self.name = name
        self.leaves_host = name == "tcp"
        self.socket = sock
        self._framer = framer
        self._memory = memoryview(bytearray(_INITIAL))
        self._kept: memoryview | None = None
        self._closed = False
        _OPEN.add(self)

    def use(self, framer: Framer) -> None:
        """Receive through this framer from now on; nothing may be left in the old one."""
        self._framer = framer

    def reserve(self, size: int) -> memoryview:
        """Memory to write the next frame into."""
        if self._kept is not None:
            # What is left of the last frame must leave before this one: move it out of the way.
            self._kept = memoryview(bytes(self._kept))
        if size > self._memory.nbytes:
            self._memory = memoryview(bytearray(size))
        return self._memory

    def send(self, size: int) -> bool:
        """Send the first `size` bytes of the reserved memory."""
        frame = self._memory[:size]
        if self._kept is not None:
            self._kept = memoryview(bytes(self._kept) + bytes(frame))
            return self.flush()
        try:
            sent = self.socket.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            raise ConnectionLostError(f"the peer is gone: {exc.strerror}") from exc
        if sent == size:
            return True
        self._kept = frame[sent:]
        return self.flush()

    def flush(self) -> bool:
        """Send what is kept."""
        while self._kept is not None:
            try:
                sent = self.socket.send(self._kept)
            except BlockingIOError:
                return False
            except OSError as exc:
                raise ConnectionLostError(f"the peer is gone: {exc.strerror}") from exc
            rest = self._kept[sent:]
            self._kept = rest if rest.nbytes else None
        return True

    def poll(self) -> memoryview | None:
        """A whole frame if one is there."""
        framer = self._framer
        while True:
            frame = framer.next_frame()
            if frame is not None:
                return frame
            try:
                count = self.socket.recv_into(framer.space())
            except BlockingIOError:
                return None
            except OSError as exc:
                raise ConnectionLostError(f"the peer is gone: {exc.strerror}") from exc
            if not count:
                raise ConnectionLostError("the peer closed the connection")
            framer.received(count)

    def buffered(self) -> bool:
        """True if bytes that came behind the last frame wait in memory."""
        return self._framer.pending()

    def descriptors(self) -> Sequence[tuple[int, int]]:
        """The socket, for reading."""
        return ((self.socket.fileno(), select.EPOLLIN),)

    def close(self) -> None:
        """Close the socket."""
        if not self._closed:
            self._closed = True
            _OPEN.discard(self)
            self.socket.close()

    def detach(self) -> socket.socket:
        """Give the socket away; this transport is closed without closing it."""
        self._closed = True
        _OPEN.discard(self)
        return self.socket

    def forked(self) -> None:
        """In a forked child: let go of the descriptor without a word to the peer."""
        self.close()


_OPEN: WeakSet[StreamTransport] = WeakSet()


def _close_in_child() -> None:
    """A forked child must not keep connections open, or the parent's death is never seen."""
    for transport in list(_OPEN):
        transport.forked()


os.register_at_fork(after_in_child=_close_in_child)
