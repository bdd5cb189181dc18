"""Where events wait for their writer: bounded, and never waited for.

`put` is on the hot path of whoever emits: it looks at a length, reads two clocks and appends, all
without a lock. Only an event that finds no room takes one, for an addition.

Theory of operation: a `deque` is appended to and taken from atomically. Each entry carries how many
events had been dropped before it came, so that the one reader knows where in the order the holes
are, and how large. The reader is woken by a bell, but only when it sleeps or when half of the room
is used: in steady traffic it comes by itself, and `put` costs no system call.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["MAX_WAITING_BYTES", "Entry", "Mailbox", "payload_bytes"]

MAX_WAITING_BYTES = 64 << 20
"""Bytes of large payloads that may wait."""

_LARGE = 4096
"""Bytes of a payload that are worth counting; smaller ones are bounded by their number."""

_NEVER = 1 << 62


class Entry(NamedTuple):
    """An event that waits.

    Attributes:
        wall: when it came, seconds since 1970.
        mono_ns: when it came, monotonic.
        dropped: how many events had been lost before it.
        size: bytes of its payload, 0 if it is small.
        event: what was emitted.
    """

    wall: float
    mono_ns: int
    dropped: int
    size: int
    event: Mapping[str, Any]


class Mailbox:
    """Takes events from many threads, for one reader.

    Args:
        capacity: events that may wait.
        wall: the wall clock, s.
        mono_ns: the monotonic clock.
        max_bytes: bytes of large payloads that may wait.
    """

    def __init__(
        self,
        capacity: int,
        *,
        wall: Callable[[], float] = time.time,
        mono_ns: Callable[[], int] = time.monotonic_ns,
        max_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.capacity = capacity
        self.dropped = 0
        """Events lost so far, for want of room or because nobody reads any more."""
        self._waiting: deque[Entry] = deque()
        self._wall, self._mono_ns = wall, mono_ns
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.RLock()  # a signal's handler may emit where its thread just does
        self._bell = threading.Event()
        self._ring_at = 0  # so many waiting when one more comes: wake the reader
        self._closed = False

    def put(self, event: Mapping[str, Any]) -> None:
        """Take an event, or count it as dropped."""
        waiting = len(self._waiting)
        if waiting >= self.capacity or self._closed:
            self._drop()
            return
        size = 0
        if "raw" in event or "resp" in event or "arrays" in event:
            size = payload_bytes(event)
            if size and not self._reserve(size):
                self._drop()
                return
        self._waiting.append(Entry(self._wall(), self._mono_ns(), self.dropped, size, event))
        if waiting >= self._ring_at:
            self.ring()

    def ring(self) -> None:
        """Wake the reader."""
        self._ring_at = _NEVER
        self._bell.set()

    def take(self) -> Entry | None:
        """Take the oldest, None if nothing waits; the reader's alone."""
        if not self._waiting:
            return None
        entry = self._waiting.popleft()
        if entry.size:
            with self._lock:
                self._bytes -= entry.size
        return entry

    def wait(self, timeout: float | None, *, at: int) -> bool:
        """Sleep until more than `at` wait, or `ring`, or the time is over; the reader's alone.

        Returns:
            Whether somebody rang.
        """
        self._bell.clear()
        self._ring_at = at
        if len(self._waiting) > at or self._closed:
            return True
        return self._bell.wait(timeout)

    def close(self) -> None:
        """Drop what comes from now on."""
        self._closed = True
        self.ring()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def __len__(self) -> int:
        return len(self._waiting)

    def lose(self, count: int) -> None:
        """Count events that were taken and could not be written."""
        with self._lock:
            self.dropped += count

    def _drop(self) -> None:
        with self._lock:
            self.dropped += 1

    def _reserve(self, size: int) -> bool:
        with self._lock:
            if self._bytes + size > self._max_bytes:
                return False
            self._bytes += size
            return True


def payload_bytes(event: Mapping[str, Any]) -> int:
    """Bytes of an event's payloads; 0 where they are too small to matter."""
    size = 0
    for key in ("raw", "resp", "arrays"):
        if key in event:
            size += _size(event[key])
    return size if size > _LARGE else 0


def _size(value: Any) -> int:
    kind = type(value)
    if kind is bytes or kind is str or kind is bytearray:
        return len(value)
    if kind is dict or isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return int(getattr(value, "nbytes", 0))
