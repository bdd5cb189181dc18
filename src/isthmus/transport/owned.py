"""Raw descriptors with an owner: closed once, at the latest when the owner is dropped."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable

__all__ = ["Owned"]


class Owned:
    """Descriptors that Python keeps no account of."""

    def __init__(self, numbers: Iterable[int]) -> None:
        """Take them over."""
        self._numbers = list(numbers)
        # Not at exit: the end of the process closes them, and farewells may still need them.
        weakref.finalize(self, _close, self._numbers).atexit = False

    def close(self) -> None:
        """Close those that are left; after an interruption a second call closes the rest."""
        _close(self._numbers)


def _close(numbers: list[int]) -> None:
    # A number is forgotten before it is closed: closed twice, it could be somebody else's.
    while numbers:
        os.close(numbers.pop())
