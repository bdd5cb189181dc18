"""What a joint specification promises to plain clients: q + delta stays inside.

The guard never makes a target outside the limits worse, but neither does it move an arm that was
pushed past them. These clients add the delta to the `q` they sent, whatever answered (the policy or
its fallback), so a delta that does not lead inside is replaced here by one that does: to the
nearest limit, no faster than the joint's rate where one is known. A position so far outside that
it cannot be one is left to the guard, which takes it for a broken measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import ActionField, Contract, Limits
from ..safety.bounds import Bounds, bounds_of

__all__ = ["Inside", "as_measured"]

Array = NDArray[Any]


def as_measured(contract: Contract) -> Contract:
    """The contract with deltas that are added to what was measured, as plain clients do."""
    return replace(
        contract,
        action=tuple(
            replace(field, reference="measured") if _is_bounded(contract, field) else field
            for field in contract.action
        ),
    )


class Inside:
    """Keeps the deltas of one environment inside the limits of their targets."""

    def __init__(self, contract: Contract) -> None:
        """Find the deltas that have limits."""
        self._dt = contract.control_dt
        self._fields = [
            (field, *_declared(field, contract.limits[field.name]))
            for field in contract.action
            if _is_bounded(contract, field)
        ]

    def keep(
        self, action: Mapping[str, Array], observation: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """The action, with other deltas where a target would lie outside.

        Args:
            action: arrays (1, *shape); not modified.
            observation: what it answers, likewise.
        """
        kept = dict(action)
        for field, low, high, bounds in self._fields:
            measured = observation[field.measured_position].astype(np.float64).ravel()
            delta = action[field.name]
            asked = delta.ravel().astype(np.float64)
            outside = (measured + asked < low) | (measured + asked > high)
            outside &= (measured >= bounds.reject_low) & (measured <= bounds.reject_high)
            if outside.any():
                found = np.where(outside, self._back(asked, measured, bounds), asked)
                kept[field.name] = found.astype(delta.dtype).reshape(delta.shape)
        return kept

    def _back(self, delta: Array, measured: Array, bounds: Bounds) -> Array:
        """Deltas whose targets lie inside, or as near as the joints' rates allow."""
        # Rounding to the field's dtype, here and when the client adds, must not carry it across.
        slack = bounds.epsilon * (np.abs(measured) + np.abs(delta)) + bounds.tiny
        middle = bounds.low / 2 + bounds.high / 2
        low = np.minimum(bounds.low + slack, np.maximum(bounds.low, middle))
        high = np.maximum(bounds.high - slack, np.minimum(bounds.high, middle))
        back: Array = np.clip(measured + delta, low, high) - measured
        if bounds.slope is not None:
            most = bounds.slope * self._dt
            back = np.clip(back, -most, most)
        return back


def _declared(field: ActionField, limits: Limits) -> tuple[Array, Array, Bounds]:
    """The limits as they were written, per value, and as they are kept: rounded inward."""
    repeat = field.width // field.last
    low = limits.low if limits.low is not None else (-np.inf,) * field.last
    high = limits.high if limits.high is not None else (np.inf,) * field.last
    return np.tile(low, repeat), np.tile(high, repeat), bounds_of(field, limits, 1)


def _is_bounded(contract: Contract, field: ActionField) -> bool:
    limits = contract.limits.get(field.name)
    if field.semantics != "delta" or not field.measured_position or limits is None:
        return False
    return limits.low is not None or limits.high is not None
