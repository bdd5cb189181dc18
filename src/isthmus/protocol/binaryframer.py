"""The framer of binary frames.

Frames that carry arrays always start at the beginning of `memory`, so that the arrays over it are
built once. Memory follows what has come, not what was announced.
"""

from __future__ import annotations

from ..errors import RemoteProtocolError
from .bounds import MAX_HANDSHAKE, MAX_TAIL
from .header import HEADER_SIZE, frame_lengths

__all__ = ["BinaryFramer"]

_CONTROL_BYTES = 4096


class BinaryFramer:
    """Frames of one connection; one that carries arrays is always at the start of `memory`."""

    def __init__(self) -> None:
        """Begin with room for a small control frame; a handshake may grow it."""
        self.memory = memoryview(bytearray(_CONTROL_BYTES))
        self._body_limit = 0
        self._tail_limit = MAX_HANDSHAKE
        self._end = 0
        self._taken = 0

    def limit(self, body: int) -> None:
        """From now on bodies have at most `body` bytes; room for them is taken at once."""
        self._body_limit = body
        self._tail_limit = MAX_TAIL
        self._grow(HEADER_SIZE + body + _CONTROL_BYTES)

    def beside(self) -> BinaryFramer:
        """Another with the same bounds and memory of its own: bytes of two ways must not meet."""
        found = BinaryFramer()
        found._body_limit, found._tail_limit = self._body_limit, self._tail_limit
        return found

    def _grow(self, size: int) -> None:
        if size > self.memory.nbytes:
            memory = memoryview(bytearray(size))
            memory[: self._end] = self.memory[: self._end]
            self.memory = memory

    def space(self) -> memoryview:
        """Free memory to receive into."""
        if self._taken:
            rest = self._end - self._taken
            if rest:
                self.memory[:rest] = bytes(self.memory[self._taken : self._end])
            self._end, self._taken = rest, 0
        return self.memory[self._end :] if self._end else self.memory

    def received(self, count: int) -> None:
        """`count` bytes were put into `space`."""
        self._end += count

    def next_frame(self) -> memoryview | None:
        """The next whole frame, or None.

        Raises:
            RemoteProtocolError: not a frame, or larger than this connection may send.
        """
        start = self._taken
        if self._end - start < HEADER_SIZE:
            return None
        body, size = self._frame_size(self.memory[start:] if start else self.memory)
        if start and (body or self._end - start < size):  # others stay, or a flood moves each often
            self.space()
            start = 0
        if self._end - start < size:
            if self._end == self.memory.nbytes:  # room follows what came, not what was announced
                self._grow(min(size, 2 * self._end))
            return None
        self._taken = start + size
        return self.memory[start : start + size]

    def pending(self) -> bool:
        """True if bytes behind the last frame are here already."""
        return self._end > self._taken

    def place(self, frame: memoryview) -> memoryview:
        """Copy a whole frame out of shared memory, so that nobody can change it any more."""
        size = frame.nbytes
        if size < HEADER_SIZE or size > HEADER_SIZE + self._body_limit + self._tail_limit:
            raise RemoteProtocolError(f"a frame of {size} bytes was announced", code="too_large")
        if self._end != self._taken:
            raise RemoteProtocolError("a frame on the socket met one in shared memory")
        self._grow(size)
        self._end = self._taken = size
        private = self.memory[:size]
        private[:] = frame
        return private

    def _frame_size(self, memory: memoryview) -> tuple[int, int]:
        _, body, tail = frame_lengths(memory)
        if body > self._body_limit or tail > self._tail_limit:
            raise RemoteProtocolError(
                f"a frame of {body} + {tail} bytes is over this connection's bound of "
                f"{self._body_limit} + {self._tail_limit}",
                code="too_large",
            )
        return body, HEADER_SIZE + body + tail
