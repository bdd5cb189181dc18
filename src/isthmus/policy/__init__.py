"""Policies: what turns observations into actions, all behind one small protocol."""

from __future__ import annotations

from .base import ArrayMap, Policy, allocate_action, allocate_observation, allocate_state
from .load import load

__all__ = [
    "ArrayMap",
    "Policy",
    "allocate_action",
    "allocate_observation",
    "allocate_state",
    "load",
]
