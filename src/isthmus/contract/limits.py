"""Limits: what the robot can take, apart from what a policy must match."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ContractError
from .checks import check_keys, finite

__all__ = ["MEANINGS", "Limits"]

MEANINGS: dict[str, tuple[str, str, str]] = {
    "position": ("the command", "|change of target| per second", "change of that speed per second"),
    "delta": ("reference + delta", "|delta| per second", "change of that speed per second"),
    "velocity": ("the command", "|command|", "|change of command| per second"),
    "torque": ("the command", "|change of command| per second", ""),
    "opaque": ("the command", "|change of command| per second", ""),
}
"""Semantics -> what `low` and `high`, `max_rate` and `max_acceleration` bound ("": nothing)."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one action field, one number per entry of its last axis; None = unbounded.

    Attributes:
        low: smallest allowed value (of what, by semantics: see `MEANINGS`).
        high: largest allowed value; at least `low`.
        max_rate: per second, > 0.
        max_acceleration: per second squared, > 0.

    Raises:
        ContractError: not finite, low > high, a rate that is not positive, or lengths differ.
    """

    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    max_rate: tuple[float, ...] | None = None
    max_acceleration: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check, and turn lists into tuples of floats."""
        sizes = set()
        for name in _NAMES:
            value = getattr(self, name)
            if value is not None:
                numbers = finite(name, value)
                if not numbers:
                    raise ContractError(f"{name} is empty; leave it out if unbounded")
                object.__setattr__(self, name, numbers)
                sizes.add(len(numbers))
        if len(sizes) > 1:
            raise ContractError(f"limits have different lengths: {sorted(sizes)}")
        for name in ("max_rate", "max_acceleration"):
            for number in getattr(self, name) or ():
                if number <= 0:
                    raise ContractError(f"{name} must be greater than 0, got {number}")
        if self.low is not None and self.high is not None:
            for index, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
                if low > high:
                    raise ContractError(f"low > high at entry {index}: {low} > {high}")

    @property
    def size(self) -> int | None:
        """How many entries the bounds name, or None if there are no bounds at all."""
        for name in _NAMES:
            value = getattr(self, name)
            if value is not None:
                return len(value)
        return None

    def allow(self, index: int, value: float) -> bool:
        """True if `low` and `high` allow a value at an entry."""
        return not (
            (self.low is not None and value < self.low[index])
            or (self.high is not None and value > self.high[index])
        )

    def tighter(self, other: Limits) -> Limits:
        """Both sides' bounds at once: the tighter of each.

        Raises:
            ContractError: lengths differ, or together they leave no room (low > high).
        """
        return Limits(
            low=_combine(max, self.low, other.low),
            high=_combine(min, self.high, other.high),
            max_rate=_combine(min, self.max_rate, other.max_rate),
            max_acceleration=_combine(min, self.max_acceleration, other.max_acceleration),
        )

    def to_dict(self) -> dict[str, list[float]]:
        """The JSON form; unbounded entries are left out."""
        found = {name: getattr(self, name) for name in _NAMES}
        return {name: list(value) for name, value in found.items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Limits:
        """Read the JSON form.

        Raises:
            ContractError: an unknown key, or a value that is not a list of numbers.
        """
        found = check_keys("limits", data, _NAMES)
        return cls(**{key: () if value is None else value for key, value in found.items()})


_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Limits))


def _combine(
    pick: Callable[[float, float], float],
    ours: tuple[float, ...] | None,
    theirs: tuple[float, ...] | None,
) -> tuple[float, ...] | None:
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    if len(ours) != len(theirs):
        raise ContractError(f"limits for {len(ours)} entries meet limits for {len(theirs)}")
    return tuple(pick(a, b) for a, b in zip(ours, theirs, strict=True))
