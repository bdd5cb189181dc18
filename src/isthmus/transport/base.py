"""What every transport can do, and how to wait for one.

A transport moves whole frames. Sending never blocks: what does not fit now is kept and `flush`ed.
Receiving never blocks either: `poll` returns a frame or None. Waiting is apart, because a link
waits for one transport until a deadline and a gateway for all of them at once.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from time import monotonic_ns
from typing import Protocol

from ..errors import TransportError
from ..protocol.framer import Framer

__all__ = ["Transport", "Waiter", "is_ready", "wait_for"]

_SELECTABLE = 1024
"""select takes descriptors below this only; a simulator may have thousands of files open."""


class Transport(Protocol):
    """Moves frames between two processes.

    Attributes:
        name: `shm`, `unix`, `tcp` or `memory`.
        leaves_host: True if bytes may cross a network; such a frame's arrays are checksummed.
    """

    name: str
    leaves_host: bool

    def reserve(self, size: int) -> memoryview:
        """Memory of at least `size` bytes to write the next frame into, the same at every call."""
        ...

    def send(self, size: int) -> bool:
        """Send the first `size` bytes of the reserved memory; False if some are still kept.

        Raises:
            ConnectionLostError: the peer is gone.
        """
        ...

    def flush(self) -> bool:
        """Send what is kept; True if nothing is left.

        Raises:
            ConnectionLostError: the peer is gone.
        """
        ...

    def poll(self) -> memoryview | None:
        """A whole frame if one is there. It is private and valid until the next call.

        Raises:
            ConnectionLostError: the peer is gone.
            RemoteProtocolError: what came cannot become a frame.
        """
        ...

    def buffered(self) -> bool:
        """True if `poll` may have a frame although no descriptor will announce it."""
        ...

    def descriptors(self) -> Sequence[tuple[int, int]]:
        """File descriptors to watch, each with its epoll events."""
        ...

    def use(self, framer: Framer) -> None:
        """Receive through this framer from now on."""
        ...

    def close(self) -> None:
        """Give everything back. Never fails, and may be called twice."""
        ...


def wait_for(epoll: select.epoll, deadline_ns: int | None, most: int) -> list[tuple[int, int]]:
    """Events, or none once `deadline_ns` has passed, to a tenth of a millisecond.

    epoll rounds its time-out up to whole milliseconds and select does not: the whole milliseconds
    are waited for by epoll, rounded down, and the rest by select on the epoll itself.

    Args:
        epoll: what to wait for.
        deadline_ns: an instant of the monotonic clock; None waits for ever.
        most: events to return at most.
    """
    if deadline_ns is None:
        return epoll.poll(-1, most)
    left = deadline_ns - monotonic_ns()
    if left >= 1_000_000:
        found = epoll.poll(left // 1_000_000 / 1e3, most)
        if found:
            return found
        left = deadline_ns - monotonic_ns()
    if left > 0:
        if epoll.fileno() >= _SELECTABLE:
            return epoll.poll(left / 1e9, most)  # up to a millisecond late
        select.select((epoll,), (), (), left / 1e9)
    return epoll.poll(0, most)


def is_ready(descriptor: int, events: int, timeout: float = 0.0) -> bool:
    """True once one descriptor has one of these poll events, or has failed.

    Args:
        descriptor: what to look at.
        events: of `select.poll`.
        timeout: seconds to wait at most, rounded up to a millisecond.
    """
    poller = select.poll()
    poller.register(descriptor, events)
    return bool(poller.poll(timeout * 1e3))


class Waiter:
    """Waits for one transport until a deadline."""

    def __init__(self, transport: Transport) -> None:
        """Watch the transport's descriptors.

        Raises:
            TransportError: the system has no descriptor left for it.
        """
        try:
            self._epoll = select.epoll()
        except OSError as exc:
            raise TransportError(f"cannot wait for a connection: {exc.strerror}") from exc
        self._descriptors = list(transport.descriptors())
        for descriptor, events in self._descriptors:
            self._epoll.register(descriptor, events)

    def wait(self, deadline_ns: int | None) -> bool:
        """True if the transport may have something; False once `deadline_ns` has passed.

        Args:
            deadline_ns: an instant of the monotonic clock; None waits for ever.
        """
        return bool(wait_for(self._epoll, deadline_ns, 4))

    def wait_writable(self, deadline_ns: int) -> bool:
        """True if the transport can take more bytes; False once `deadline_ns` has passed."""
        left = deadline_ns - monotonic_ns()
        return left > 0 and is_ready(self._descriptors[0][0], select.POLLOUT, left / 1e9)

    def close(self) -> None:
        """Stop watching."""
        self._epoll.close()
