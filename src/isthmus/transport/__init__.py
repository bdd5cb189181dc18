"""How bytes travel. Each transport is small; OS errors become ours at this edge."""

from __future__ import annotations

from .address import Address, parse
from .base import Transport, Waiter

__all__ = ["Address", "Transport", "Waiter", "parse"]
