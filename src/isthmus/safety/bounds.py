"""Bounds: a field's limits as numbers that can be compared with what is sent.

Declared limits are decimal numbers; a command is, say, a float32. What is compared here is
rounded *inward*, to the nearest number of the command's own dtype that lies inside the limit, so
that a command at the bound is never a last bit outside it.

A raw value outside twice the declared range (same middle, twice the span) is not a large command
but a broken one: it is rejected, not clamped. A range declared on one side only, or of zero
width, has no span, and everything finite is clamped to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import ActionField, Limits
from ..errors import ContractError

__all__ = ["Bounds", "bounds_of"]

Floats = NDArray[np.float64]

# Semantics -> which limit bounds the change of the command per second. A velocity's max_rate
# bounds the command itself, so what bounds its change is max_acceleration.
_SLOPE: dict[str, str] = {
    "position": "max_rate",
    "delta": "max_rate",
    "velocity": "max_acceleration",
    "torque": "max_rate",
    "opaque": "max_rate",
}
_ACCELERATED = ("position", "delta")


@dataclass(frozen=True)
class Bounds:
    """The limits of one field, one number per value of the flattened batch.

    Attributes:
        low: float64 (num_envs * width,); lowest command (delta: lowest target).
        high: same; highest.
        reject_low: same; a raw value below is rejected.
        reject_high: same; a raw value above is rejected.
        slope: same, per second: largest change of the command (delta: of the target), or None.
        acceleration: same, per second squared: largest change of that change, or None.
        rest: same; the command nearest to doing nothing: 0, or the fallback's constant.
        bounded: True if commands must be compared with low and high at all: one is declared, a
            velocity has a max_rate, or a target must be kept to be held.
        epsilon: four times the dtype's relative rounding error: the inward slack.
        tiny: smallest positive number of the dtype.
    """

    low: Floats
    high: Floats
    reject_low: Floats
    reject_high: Floats
    slope: Floats | None
    acceleration: Floats | None
    rest: Floats
    bounded: bool
    epsilon: float
    tiny: float


def bounds_of(field: ActionField, limits: Limits | None, num_envs: int) -> Bounds:
    """Round a field's limits inward and lay them out for a batch.

    Args:
        field: the action field; its dtype decides the rounding.
        limits: as declared; None = unbounded.
        num_envs: how often the numbers repeat.

    Raises:
        ContractError: a velocity's limits exclude 0, or no whole number lies inside the limits
            of a whole-number field: then there would be nothing safe to send.
    """
    limits = Limits() if limits is None else limits
    size = field.shape[-1] if field.shape else 1
    low, high = _declared(limits.low, size, -np.inf), _declared(limits.high, size, np.inf)
    reject_low, reject_high = _reject(low, high)
    if field.semantics == "velocity":
        low, high = _velocity(field.name, low, high, limits)
    top = _top(field)
    reject_low, reject_high = np.clip(reject_low, -top, top), np.clip(reject_high, -top, top)
    low, high = _inward(field, np.clip(low, -top, top), np.clip(high, -top, top))
    info = np.finfo(field.numpy_dtype) if field.is_float else None
    accelerated = field.semantics in _ACCELERATED

    def everywhere(values: Floats | tuple[float, ...]) -> Floats:
        return np.tile(np.array(values, np.float64), num_envs * (field.width // size))

    def optional(values: tuple[float, ...] | None) -> Floats | None:
        return None if values is None else everywhere(values)

    return Bounds(
        low=everywhere(low),
        high=everywhere(high),
        reject_low=everywhere(reject_low),
        reject_high=everywhere(reject_high),
        slope=optional(getattr(limits, _SLOPE[field.semantics])),
        acceleration=optional(limits.max_acceleration if accelerated else None),
        rest=everywhere(_rest(field, size, low, high)),
        bounded=_is_bounded(field, limits),
        epsilon=2.0 * float(info.eps) if info else 0.0,
        tiny=float(info.smallest_subnormal) if info else 0.0,
    )


def _is_bounded(field: ActionField, limits: Limits) -> bool:
    if limits.low is not None or limits.high is not None:
        return True
    if field.semantics == "velocity":
        return limits.max_rate is not None
    return (field.semantics, field.reference, field.fallback) == ("delta", "measured", "hold")


def _top(field: ActionField) -> float:
    # Targets are kept in float64 whatever the increments are.
    if not field.is_float:
        return float("inf")
    return float(np.finfo(np.float64 if field.semantics == "delta" else field.numpy_dtype).max)


def _velocity(name: str, low: Floats, high: Floats, limits: Limits) -> tuple[Floats, Floats]:
    if limits.max_rate is not None:
        rate = np.array(limits.max_rate)
        low, high = np.maximum(low, -rate), np.minimum(high, rate)
    if np.any(low > 0) or np.any(high < 0):
        raise ContractError(
            f"limits of velocity {name!r} exclude 0: {limits.low} to {limits.high}; "
            "standing still must always be allowed"
        )
    return low, high


def _inward(field: ActionField, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    if not field.is_float:
        return _whole_inward(field.name, field.numpy_dtype, low, high)
    if field.semantics == "delta":
        return _target_inward(low, high, _top(field))
    return _float_inward(field.numpy_dtype, low, high)


def _declared(values: tuple[float, ...] | None, size: int, missing: float) -> Floats:
    return np.full(size, missing) if values is None else np.array(values, dtype=np.float64)


def _reject(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    with np.errstate(over="ignore"):
        margin = (high - low) / 2
        margin = np.where(margin > 0, margin, np.inf)
        return low - margin, high + margin


def _float_inward(dtype: np.dtype[Any], low: Floats, high: Floats) -> tuple[Floats, Floats]:
    inner_low, inner_high = low.astype(dtype), high.astype(dtype)
    up, down = dtype.type(np.inf), dtype.type(-np.inf)
    inner_low = np.where(inner_low < low, np.nextafter(inner_low, up), inner_low)
    inner_high = np.where(inner_high > high, np.nextafter(inner_high, down), inner_high)
    # A range narrower than the dtype can tell apart (a locked joint) collapses to the nearest.
    empty = inner_low > inner_high
    nearest = low.astype(dtype)
    inner_low = np.where(empty, nearest, inner_low)
    inner_high = np.where(empty, nearest, inner_high)
    return inner_low.astype(np.float64), inner_high.astype(np.float64)


def _target_inward(low: Floats, high: Floats, top: float) -> tuple[Floats, Floats]:
    # A target is kept in float64; the slack is a few times the rounding error of adding to it.
    # (What rounds in proportion to the increment is the kernels' business.)
    inner_low = low + np.where(low > -top, 2.0**-50 * np.abs(low), 0.0)
    inner_high = high - np.where(high < top, 2.0**-50 * np.abs(high), 0.0)
    middle = low / 2 + high / 2
    empty = inner_low > inner_high
    return np.where(empty, middle, inner_low), np.where(empty, middle, inner_high)


def _whole_inward(
    name: str, dtype: np.dtype[Any], low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    low, high = np.maximum(np.ceil(low), least), np.minimum(np.floor(high), most)
    if np.any(low > high):
        raise ContractError(f"limits of {name!r} ({dtype}) hold no whole number in some entry")
    return low, high


def _rest(field: ActionField, size: int, low: Floats, high: Floats) -> Floats:
    # Where a constant is declared the contract has seen to it that the limits allow it.
    if field.semantics == "delta":
        return np.zeros(size)
    constant = np.full(size, field.fallback_value if field.fallback == "value" else 0.0)
    nearest: Floats = np.clip(constant, low, high)
    return nearest
