"""Frames through a shared segment, with a Unix socket beside it for liveness and large frames.

Theory of operation. The writer copies its frame into its slot, then writes the head (length, then
count), then rings. The reader, woken, looks at the head; a count it has not seen is a new frame,
which it copies into private memory before anything is believed. Each word of the head is read
once: whoever writes there could change it between two looks.

A slot is written again only after something came back which shows that it was read. A frame that
follows before that (a goodbye behind an answer, telemetry behind a question) goes by the socket, as
one larger than the slot does. To the gateway only what lies in the slot shows that: telemetry that
comes by the socket was sent before the answer was read. Bytes from the socket gather in a framer of
their own, because a frame in the slot may overtake them at any byte.

Is the frame whole when the head is seen? On x86-64 stores become visible in order, so a new count
means a whole frame, and an edge-triggered eventfd need not even be read. Elsewhere the ring (a
system call that releases) and the read of the eventfd (one that acquires) are the only fence that
Python has: there the reader counts the rings it has read, and believes the head only up to that
many frames. `poll` decides.

Trust. Both sides share one file description per doorbell, so a peer that clears its O_NONBLOCK and
fills the counter makes the other's ring wait. Only a process of the same user can be that peer,
and such a process is trusted: it could stop us or trace us as well. That is why shared memory is
refused between users (docs/adr/0005). What it writes by mistake is checked all the same.
"""

from __future__ import annotations

import os
import platform
import select
import socket
from collections.abc import Sequence

from ..errors import ConnectionLostError, RemoteProtocolError
from ..protocol.framer import Framer
from .base import is_ready
from .forked import release_in_child
from .owned import Owned
from .segment import ANSWER_HEAD, Segment
from .stream import StreamTransport

__all__ = ["ShmTransport"]

_ORDERED_STORES = platform.machine() in ("x86_64", "AMD64")


class ShmTransport:
    """One session's segment, as the link (`asks`) or as the gateway."""

    name = "shm"
    leaves_host = False

    def __init__(
        self,
        sock: socket.socket,
        segment: Segment,
        framer: Framer,
        *,
        asks: bool,
        peer_descriptor: int | None = None,
        ordered_stores: bool = _ORDERED_STORES,
    ) -> None:
        """Take socket, segment and `peer_descriptor` (a pidfd to watch) over."""
        self._watch = Owned(() if peer_descriptor is None else (peer_descriptor,))
        self._aside = framer.beside()
        self.stream = StreamTransport(sock, "unix", self._aside)
        self._framer = framer
        self._asks = asks
        self._segment: Segment | None = segment
        self._ordered = ordered_stores
        memory = memoryview(segment.memory)
        question = memory[segment.question_at : segment.question_at + segment.question_size]
        answer = memory[segment.answer_at : segment.answer_at + segment.answer_size]
        heads = memory[:128].cast("Q")
        question_head, answer_head = heads[:2], heads[ANSWER_HEAD // 8 : ANSWER_HEAD // 8 + 2]
        self._out, self._in = (question, answer) if asks else (answer, question)
        self._out_head, self._in_head = (
            (question_head, answer_head) if asks else (answer_head, question_head)
        )
        self._out_bell, self._in_bell = (
            (segment.question_bell, segment.answer_bell)
            if asks
            else (segment.answer_bell, segment.question_bell)
        )
        self._peer_descriptor = peer_descriptor
        self._written = self._out_head[0]
        self._seen = 0
        self._rings = 0
        self._by_socket = False
        self._slot_is_free = True
        release_in_child(self)

    def use(self, framer: Framer) -> None:
        """Receive through this framer from now on."""
        self._framer = framer
        self._aside = framer.beside()
        self.stream.use(self._aside)

    def reserve(self, size: int) -> memoryview:
        """The slot, or the socket's memory if the slot is too small or perhaps not read yet."""
        self._by_socket = size > self._out.nbytes or not self._slot_is_free
        return self.stream.reserve(size) if self._by_socket else self._out

    def send(self, size: int) -> bool:
        """Publish the slot and ring."""
        if self._by_socket:
            return self.stream.send(size)
        self._slot_is_free = False
        head = self._out_head
        head[1] = size
        self._written += 1
        head[0] = self._written
        try:
            os.eventfd_write(self._out_bell, 1)
        except BlockingIOError:
            pass  # the counter is full, so the bell is ringing already
        except OSError as exc:
            raise ConnectionLostError(f"the doorbell cannot be rung: {exc.strerror}") from exc
        return True

    def flush(self) -> bool:
        """Send what the socket kept."""
        return self.stream.flush()

    def poll(self) -> memoryview | None:
        """A frame from the slot, copied, or one from the socket."""
        if not self._ordered:
            self._collect_rings()
        count = self._in_head[0]
        if count != self._seen and (self._ordered or count <= self._rings):
            self._seen = count
            size = self._in_head[1]
            if size > self._in.nbytes:
                raise RemoteProtocolError(
                    f"a frame of {size} bytes is announced in a slot of {self._in.nbytes}",
                    code="too_large",
                )
            self._slot_is_free = True
            return self._framer.place(self._in[:size])
        if self._peer_descriptor is not None and is_ready(self._peer_descriptor, select.POLLIN):
            raise ConnectionLostError("the peer's process ended")
        frame = self.stream.poll()
        if frame is None:
            return None
        self._slot_is_free = self._slot_is_free or self._asks
        return self._framer.place(frame)

    def _collect_rings(self) -> None:
        try:
            self._rings += os.eventfd_read(self._in_bell)
        except BlockingIOError:
            pass  # no ring since the last look
        except OSError as exc:
            raise ConnectionLostError(f"the doorbell cannot be read: {exc.strerror}") from exc

    def buffered(self) -> bool:
        """True if the socket's framer holds more; a frame in the slot always rings."""
        return self._aside.pending()

    def descriptors(self) -> Sequence[tuple[int, int]]:
        """The doorbell, the socket, and the peer's process where it can be watched."""
        bell = select.EPOLLIN | select.EPOLLET if self._ordered else select.EPOLLIN
        found = [*self.stream.descriptors(), (self._in_bell, bell)]
        if self._peer_descriptor is not None:
            found.append((self._peer_descriptor, select.EPOLLIN))
        return found

    def close(self) -> None:
        """Close socket and descriptors, and let the mapping go."""
        self.stream.close()
        self.forked()

    def forked(self) -> None:
        """In a forked child: give our part of the segment back without a word to the peer."""
        segment = self._segment
        if segment is None:
            return
        empty = memoryview(b"")
        self._out = self._in = empty
        self._out_head = self._in_head = memoryview(bytearray(16)).cast("Q")
        segment.close()
        self._peer_descriptor = None
        self._watch.close()
        self._segment = None  # the last, so that a second call finishes an interrupted one
