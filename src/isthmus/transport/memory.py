"""Frames by a direct call, within one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..errors import ConnectionLostError
from ..protocol.framer import Framer

__all__ = ["Handler", "MemoryTransport"]


class Handler(Protocol):
    """The other side."""

    def __call__(self, frame: memoryview) -> memoryview | None:
        """Take a frame; its answer, if it has one."""
        ...

    def close(self) -> None:
        """Nobody will ask any more."""
        ...


class MemoryTransport:
    """The other side is a function: a frame goes in, its answer comes out."""

    name = "memory"
    leaves_host = False

    def __init__(self, handler: Handler, framer: Framer) -> None:
        """Call `handler` with each frame sent; what it returns is received next."""
        self._handler: Handler | None = handler
        self._framer = framer
        self._memory = memoryview(bytearray(4096))
        self._answer: memoryview | None = None

    def use(self, framer: Framer) -> None:
        """Receive through this framer from now on."""
        self._framer = framer

    def reserve(self, size: int) -> memoryview:
        """Memory to write the next frame into."""
        if size > self._memory.nbytes:
            self._memory = memoryview(bytearray(size))
        return self._memory

    def send(self, size: int) -> bool:
        """Hand the frame over; its answer, if it has one, is there when this returns."""
        if self._handler is None:
            raise ConnectionLostError("the link is closed")
        answer = self._handler(self._memory[:size])
        if answer is not None:
            self._answer = answer
        return True

    def flush(self) -> bool:
        """Nothing is ever kept."""
        return True

    def poll(self) -> memoryview | None:
        """The answer, copied into the framer's memory."""
        answer, self._answer = self._answer, None
        if answer is None:
            return None
        return self._framer.place(answer)

    def buffered(self) -> bool:
        """True if an answer is there."""
        return self._answer is not None

    def descriptors(self) -> Sequence[tuple[int, int]]:
        """Nothing to watch."""
        return ()

    def close(self) -> None:
        """Close the handler."""
        handler, self._handler = self._handler, None
        self._answer = None
        if handler is not None:
            handler.close()
