"""The descriptors of sessions: which are watched, for what, and which are muted for a while."""

from __future__ import annotations

import select
from collections.abc import Callable
from functools import partial

from .session import Session
from .watch import Watch

__all__ = ["Wires"]


class Wires:
    """Watches the descriptors of each session's transport.

    Args:
        watch: the engine's.
        ready: called with a session and the events of one of its descriptors.
    """

    def __init__(self, watch: Watch, ready: Callable[[Session, int], None]) -> None:
        self._watch = watch
        self._ready = ready

    def attend(self, session: Session, *, writing: bool = False) -> None:
        """Watch what the session's transport has now; with `writing`, its socket for room only."""
        wanted = dict(session.transport.descriptors())
        if writing:
            wanted[next(iter(wanted))] = select.EPOLLOUT
        for descriptor, events in wanted.items():
            if session.watched.get(descriptor) != events:
                self._watch.add(descriptor, events, partial(self._ready, session))
        for descriptor in session.watched.keys() - wanted.keys():
            self._watch.remove(descriptor)
        session.watched = wanted

    def mute(self, session: Session) -> None:
        """Look only for the session's end, until `attend`."""
        for descriptor in session.watched:
            self._watch.mute(descriptor)
            session.watched[descriptor] = 0

    def drop(self, session: Session) -> None:
        """Watch nothing of a session any more."""
        for descriptor in session.watched:
            self._watch.remove(descriptor)
        session.watched = {}
