"""Factories that a gateway in another process can load: `tests.support.served:NAME`.

Nothing here needs more than numpy and isthmus.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from isthmus.policy.callable import CallablePolicy

from .contracts import mirror, pair
from .policies import Arrays, Scripted, half, mirrored


def halving() -> CallablePolicy:
    """Answers half of `q`."""
    return CallablePolicy(half, pair(), name="halving")


def doubling() -> CallablePolicy:
    """Answers twice `q`."""
    return CallablePolicy(lambda o: {"speed": o["q"] * 2}, pair(), name="doubling")


def mirroring() -> CallablePolicy:
    """Answers what it sees, of every dtype."""
    return CallablePolicy(mirrored, mirror(), name="mirroring")


def scripted() -> CallablePolicy:
    """Misbehaves on request."""
    return CallablePolicy(Scripted(), pair(), name="scripted")


def slow() -> CallablePolicy:
    """Needs longer than the contract's period allows."""

    def infer(observation: Arrays) -> Arrays:
        time.sleep(0.05)
        return half(observation)

    return CallablePolicy(infer, pair(), name="slow")


DELAY_FILE = "ISTHMUS_TEST_DELAY"
"""Names the file in which `delayed` finds its delay in seconds, at every inference."""


def delayed() -> CallablePolicy:
    """Halves `q`, as slowly as a file says."""
    file = Path(os.environ[DELAY_FILE])

    def infer(observation: Arrays) -> Arrays:
        time.sleep(float(file.read_text()))
        return half(observation)

    return CallablePolicy(infer, pair(), name="delayed")
