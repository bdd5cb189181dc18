"""The simulator's side: connect, act, reset, close."""

from __future__ import annotations

from .action import Action, Timing
from .facade import connect
from .link import Link
from .rate import Rate

__all__ = ["Action", "Link", "Rate", "Timing", "connect"]
