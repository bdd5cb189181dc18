"""Tells whom a run waits for: silence looks like a program that hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["tell_waiting"]

FIRST_WORD, LONGEST_SILENCE = 3.0, 60.0
"""Seconds until it is said, and between two times at most; they double from one to the other."""


class Awaited(Protocol):
    """What is waited for; as `readiness.LineWatch` and `readiness.Reach`."""

    @property
    def wanted(self) -> str:
        """In a few words."""


async def tell_waiting(
    name: str, awaited: Awaited, limit: float, say: Callable[[str], None]
) -> None:
    """Say now and then, until cancelled, what a process lacks to be ready.

    Args:
        name: of the process.
        awaited: what it lacks.
        limit: seconds that it may take in all.
        say: told.
    """
    give_up = time.monotonic() + limit
    pause = FIRST_WORD
    while True:
        await asyncio.sleep(pause)
        left = max(give_up - time.monotonic(), 0.0)
        say(f"waiting for {name}: {awaited.wanted}, {left:.0f} s left")
        pause = min(pause * 2, LONGEST_SILENCE)
