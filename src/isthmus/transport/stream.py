"""Frames over a stream socket, TCP or Unix."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence

from ..errors import ConnectionLostError
from ..protocol.framer import Framer
from .forked import release_in_child

__all__ = ["StreamTransport"]

_INITIAL = 4096
_MOST_KEPT = 1 << 20
"""Bytes that may wait for a peer that does not read before another frame is refused."""
_MOST_READS = 16
"""Reads without a frame before others get their turn."""


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
        release_in_child(self)

    def use(self, framer: Framer) -> None:
        """Receive through this framer from now on; nothing may be left in the old one."""
        self._framer = framer

    def reserve(self, size: int) -> memoryview:
        """Memory to write the next frame into."""
        if self._kept is not None and self._kept.obj is self._memory.obj:
            # What is left of the last frame must leave before this one: move it out of the way.
            self._kept = memoryview(bytes(self._kept))
        if size > self._memory.nbytes:
            self._memory = memoryview(bytearray(size))
        return self._memory

    def send(self, size: int) -> bool:
        """Send the first `size` bytes of the reserved memory.

        Raises:
            ConnectionLostError: the peer is gone, or has not read for far too long.
        """
        frame = self._memory[:size]
        if self._kept is not None and not self.flush():
            waiting = self._kept.nbytes
            if waiting > _MOST_KEPT:
                raise ConnectionLostError(f"the peer does not read; {waiting} bytes wait for it")
            self._kept = memoryview(bytes(self._kept) + bytes(frame))
            return False
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
        """A whole frame if one is there, or if a few reads complete it."""
        framer = self._framer
        for _ in range(_MOST_READS):
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
        return framer.next_frame()

    def buffered(self) -> bool:
        """True if bytes that came behind the last frame wait in memory."""
        return self._framer.pending()

    def descriptors(self) -> Sequence[tuple[int, int]]:
        """The socket, for reading."""
        return ((self.socket.fileno(), select.EPOLLIN),)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def detach(self) -> socket.socket:
        """Give the socket away; closing this transport does not close it any more."""
        return socket.socket(fileno=self.socket.detach())

    def forked(self) -> None:
        """In a forked child: let go of the descriptor without a word to the peer."""
        self.socket.close()
