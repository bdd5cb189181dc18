"""What a joint specification promises to plain clients: q + delta stays inside.

The guard never makes a target outside the limits worse, but neither does it move an arm that was
pushed past them. These clients add the delta to the `q` they sent, whatever answered (the policy or
its fallback), so a delta that does not lead inside is replaced here by one that does: to the
nearest limit, no faster than the joint's rate, or half its range a second where none is known: an
arm is never made to jump. A position so far outside that it cannot be one is left to the guard,
which takes it for a broken measurement; so is a joint with one limit and no rate.
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

DIGITS = {"float16": 5, "float32": 9, "float64": 17}
"""Of a number, as the json codec writes it."""

RETURN_SHARE = 0.5
"""Of a joint's range, per second: how fast it is led back where no rate is known."""


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
        self._dt_ns = contract.control_dt_ns
        self._fields = [
            (field, *_declared(field, contract.limits[field.name]))
            for field in contract.action
            if _is_bounded(contract, field)
        ]

    def keep(
        self,
        action: Mapping[str, Array],
        observation: Mapping[str, Array],
        step_ns: int | None = None,
    ) -> Mapping[str, Array]:
        """The action, with other deltas where a target would lie outside.

        Args:
            action: arrays (1, *shape); not modified.
            observation: what it answers, likewise.
            step_ns: what the step is rated over (`Gate.step_ns`); None = control_dt.
        """
        kept = dict(action)
        seconds = (self._dt_ns if step_ns is None else step_ns) / 1e9
        for field, low, high, bounds, rate in self._fields:
            most = np.where(np.isfinite(rate), rate, 0.0) * seconds
            measured = observation[field.measured_position].astype(np.float64).ravel()
            delta = action[field.name]
            digits = DIGITS.get(field.dtype, 17)
            # The client adds the decimal number that is written, which is not the one in here.
            asked = np.array([float(f"{value:.{digits}g}") for value in delta.ravel().tolist()])
            past = (measured < bounds.low) | (measured > bounds.high)
            outside = (measured + asked < low) | (measured + asked > high)
            outside &= (measured >= bounds.reject_low) & (measured <= bounds.reject_high)
            outside &= ~past | np.isfinite(rate)
            if outside.any():
                found = np.where(
                    outside, _back(asked, measured, bounds, np.where(past, most, np.inf)), asked
                )
                kept[field.name] = found.astype(delta.dtype).reshape(delta.shape)
        return kept


def _back(delta: Array, measured: Array, bounds: Bounds, most: Array) -> Array:
    """Deltas whose targets lie inside, or as near as `most` allows."""
    # Rounding to the field's dtype, here and when the client adds, must not carry it across.
    slack = bounds.epsilon * (np.abs(measured) + np.abs(delta)) + bounds.tiny
    middle = bounds.low / 2 + bounds.high / 2
    low = np.minimum(bounds.low + slack, np.maximum(bounds.low, middle))
    high = np.maximum(bounds.high - slack, np.minimum(bounds.high, middle))
    back: Array = np.clip(np.clip(measured + delta, low, high) - measured, -most, most)
    return back


def _declared(field: ActionField, limits: Limits) -> tuple[Array, Array, Bounds, Array]:
    """Per value: the limits as written and as kept, rounded inward; the most it moves in 1 s."""
    repeat = field.width // field.last
    low = np.tile(limits.low if limits.low is not None else (-np.inf,) * field.last, repeat)
    high = np.tile(limits.high if limits.high is not None else (np.inf,) * field.last, repeat)
    bounds = bounds_of(field, limits, 1)
    rate = bounds.slope if bounds.slope is not None else RETURN_SHARE * (high - low)
    return low, high, bounds, rate


def _is_bounded(contract: Contract, field: ActionField) -> bool:
    limits = contract.limits.get(field.name)
    if field.semantics != "delta" or not field.measured_position or limits is None:
        return False
    return limits.low is not None or limits.high is not None
