"""One epoll, and who is called when a descriptor is ready."""

from __future__ import annotations

import select
from collections.abc import Callable

from ..transport.base import wait_for

__all__ = ["Handler", "Watch"]

Handler = Callable[[int], None]
"""Called with the epoll events of its descriptor."""

_MOST = 256


class Watch:
    """Descriptors and their handlers."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def add(self, descriptor: int, events: int, handler: Handler) -> None:
        """Call `handler` on `events`; replaces what was there."""
        if descriptor in self._handlers:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def mute(self, descriptor: int) -> None:
        """Tell only of the descriptor's end until it is added again."""
        self._epoll.modify(descriptor, 0)

    def remove(self, descriptor: int) -> None:
        """Forget a descriptor; it need not be known."""
        if self._handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def wait(self, deadline_ns: int | None) -> list[tuple[int, int]]:
        """Descriptor and events of all that is ready; waits until `deadline_ns`."""
        return wait_for(self._epoll, deadline_ns, _MOST)

    def handler(self, descriptor: int) -> Handler | None:
        """Whom to call; None once it was removed, perhaps by a handler called before its own."""
        return self._handlers.get(descriptor)

    def close(self) -> None:
        """Stop watching."""
        self._epoll.close()
