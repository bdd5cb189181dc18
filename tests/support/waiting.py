"""Waiting for a condition instead of for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LAST_RESORT = 30.0
"""Seconds after which a test is hopeless. It says nothing about how long things should take."""


def until(condition: Callable[[], T], what: str = "", *, every: float = 0.002) -> T:
    """Poll until the condition holds; its value. `every`: seconds between two looks."""
    deadline = time.monotonic() + LAST_RESORT
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"never happened: {what or condition}")
