"""What a forked child must let go of.

A child inherits every descriptor. A connection it keeps open hides its parent's death from the
peer, and a listening socket or a lock it keeps hides that nobody serves there any more.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["release_in_child"]


class Inherited(Protocol):
    """Something that holds descriptors."""

    def forked(self) -> None:
        """In a forked child: let go of them without a word to anybody."""
        ...


_OPEN: WeakSet[Inherited] = WeakSet()


def release_in_child(holder: Inherited) -> None:
    """Call `holder.forked()` in every child that this process forks while it lives."""
    _OPEN.add(holder)


def _release_all() -> None:
    for holder in list(_OPEN):
        holder.forked()


os.register_at_fork(after_in_child=_release_all)
