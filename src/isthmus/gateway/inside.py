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

from ..contract import ActionField, Contract
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
            (field, bounds_of(field, contract.limits[field.name], 1))
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
        for field, bounds in self._fields:
            measured = observation[field.measured_position].astype(np.float64).ravel()
            delta = action[field.name]
            found = self._delta(delta.ravel().astype(np.float64), measured, bounds)
            if found is not None:
                kept[field.name] = found.astype(delta.dtype).reshape(delta.shape)
        return kept

    def _delta(self, delta: Array, measured: Array, bounds: Bounds) -> Array | None:
        target = measured + delta
        outside = (target < bounds.low) | (target > bounds.high)
        outside &= (measured >= bounds.reject_low) & (measured <= bounds.reject_high)
        if not outside.any():
            return None
        # Rounding to the field's dtype, here and when the client adds, must not carry it across.
        slack = bounds.epsilon * (np.abs(measured) + np.abs(delta)) + bounds.tiny
        middle = bounds.low / 2 + bounds.high / 2
        low = np.minimum(bounds.low + slack, np.maximum(bounds.low, middle))
        high = np.maximum(bounds.high - slack, np.minimum(bounds.high, middle))
        back = np.clip(target, low, high) - measured
        if bounds.slope is not None:
            most = bounds.slope * self._dt
            back = np.clip(back, -most, most)
        result: Array = np.where(outside, back, delta)
        return result


def _is_bounded(contract: Contract, field: ActionField) -> bool:
    limits = contract.limits.get(field.name)
    if field.semantics != "delta" or not field.measured_position or limits is None:
        return False
    return limits.low is not None or limits.high is not None
