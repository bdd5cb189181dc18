"""The process on the policy side: holds policies, answers links."""

from __future__ import annotations

from .engine import Engine
from .settings import Settings

__all__ = ["Engine", "Settings"]
