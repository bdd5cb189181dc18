"""Times a program names."""

from __future__ import annotations

from ..errors import ContractError

__all__ = ["seconds"]

SHORTEST = 1e-6
LONGEST = 3600.0


def seconds(name: str, value: object) -> float:
    """A time-out or deadline, checked.

    Raises:
        ContractError: it is no number from a microsecond to an hour.
    """
    if isinstance(value, (int, float)) and SHORTEST <= value <= LONGEST:
        return float(value)
    raise ContractError(
        f"{name}: expected seconds from {SHORTEST:g} to {LONGEST:g}, got {value!r:.60}"
    )
