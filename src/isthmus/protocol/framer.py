"""Framers: bytes in, whole frames out, into memory that is bounded and owned here.

A transport asks a framer where to put bytes and tells it how many came; the framer says when a
frame is complete. Frames always start at the beginning of the framer's memory, so that arrays over
it are built once. A frame is valid until the next call of `space`.
"""

from __future__ import annotations

from typing import Protocol

from ..errors import RemoteProtocolError

__all__ = ["Framer", "LineFramer"]


class Framer(Protocol):
    """What a transport needs in order to receive."""

    def space(self) -> memoryview:
        """Free memory to receive into; never empty. Ends the validity of the last frame."""
        ...

    def received(self, count: int) -> None:
        """`count` bytes were put into `space`."""
        ...

    def next_frame(self) -> memoryview | None:
        """The next whole frame, or None.

        Raises:
            RemoteProtocolError: what came cannot become a frame.
        """
        ...

    def pending(self) -> bool:
        """True if bytes behind the last frame are here already."""
        ...

    def beside(self) -> Framer:
        """Another with the same bounds and memory of its own.

        Raises:
            RemoteProtocolError: this codec travels one way only.
        """
        ...

    def place(self, frame: memoryview) -> memoryview:
        """Copy a whole frame (from shared memory) into the framer's own memory.

        Raises:
            RemoteProtocolError: it is larger than a frame may be.
        """
        ...


class LineFramer:
    """One frame a line. Memory starts small and doubles up to `limit`."""

    def __init__(self, limit: int) -> None:
        """Take lines of at most `limit` bytes, the newline included."""
        self.limit = limit
        self._memory = bytearray(4096)
        self._start = 0
        self._scanned = 0
        self._end = 0

    def space(self) -> memoryview:
        """Free memory to receive into."""
        if self._start:
            kept = self._end - self._start
            self._memory[:kept] = self._memory[self._start : self._end]
            self._scanned -= self._start
            self._start, self._end = 0, kept
        if self._end == len(self._memory):
            grown = min(len(self._memory) * 2, self.limit)
            memory = bytearray(grown)
            memory[: self._end] = self._memory
            self._memory = memory
        return memoryview(self._memory)[self._end :]

    def received(self, count: int) -> None:
        """`count` bytes were put into `space`."""
        self._end += count

    def next_frame(self) -> memoryview | None:
        """The next line without its newline, or None; empty lines are passed over."""
        while True:
            newline = self._memory.find(b"\n", self._scanned, self._end)
            if newline < 0:
                self._scanned = self._end
                if self._end - self._start >= self.limit:
                    raise self._too_long()
                return None
            if newline - self._start >= self.limit:  # the memory may be from before a bind
                raise self._too_long()
            line = memoryview(self._memory)[self._start : newline]
            self._start = self._scanned = newline + 1
            if line.nbytes and bytes(line).strip():
                return line

    def _too_long(self) -> RemoteProtocolError:
        return RemoteProtocolError(f"a line is longer than {self.limit} bytes", code="too_large")

    def pending(self) -> bool:
        """True if bytes behind the last line are here already."""
        return self._end > self._start

    def beside(self) -> LineFramer:
        """Lines never come two ways."""
        raise RemoteProtocolError("the json codec does not use shared memory")

    def place(self, frame: memoryview) -> memoryview:
        """Lines never come from shared memory."""
        raise RemoteProtocolError("the json codec does not use shared memory")
