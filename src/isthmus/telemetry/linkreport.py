"""What a link says of itself about once a second: the data of a Telemetry message.

Everything in it is of the interval since the last report that left, so that a gateway adds reports
up, whatever connections they came by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ContractError
from .histogram import LogHistogram

__all__ = ["LinkReport"]

_MOST_NAMES = 64
_LONGEST_NAME = 64
_MOST = 1 << 53


@dataclass(frozen=True)
class LinkReport:
    """One interval of a link.

    Attributes:
        interval_s: its length, s.
        steps: calls of `act`.
        applied: those that returned the policy's action.
        misses: periods of control_dt without a valid action, as the ladder counts them.
        overruns: calls that returned after their deadline.
        stale: answers that came too late and were dropped.
        reconnects: connections after the first.
        causes: why an action was not the policy's -> calls.
        levels_s: level of the ladder -> s spent there; empty in lockstep, which has none.
        round_trip: question left -> answer there, ns, of the calls that were answered.
        wire: the same less what the gateway says it took itself.
    """

    interval_s: float = 0.0
    steps: int = 0
    applied: int = 0
    misses: int = 0
    overruns: int = 0
    stale: int = 0
    reconnects: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    levels_s: Mapping[str, float] = field(default_factory=dict)
    round_trip: LogHistogram = field(default_factory=LogHistogram)
    wire: LogHistogram = field(default_factory=LogHistogram)

    def to_dict(self) -> dict[str, Any]:
        """The data of a Telemetry message."""
        return {
            "interval_s": self.interval_s,
            **{name: getattr(self, name) for name in _NUMBERS},
            "causes": dict(self.causes),
            "levels_s": dict(self.levels_s),
            "round_trip": self.round_trip.to_dict(),
            "wire": self.wire.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LinkReport:
        """Read the data of a Telemetry message. It may come from anybody.

        What is missing counts as nothing measured, and what is not known is left out.

        Raises:
            ContractError: a value is not of its kind, or too large to be true.
        """
        return cls(
            interval_s=_seconds("interval_s", data.get("interval_s", 0.0)),
            **{name: _whole(name, data.get(name, 0)) for name in _NUMBERS},
            causes={
                name: _whole(f"causes {name}", number)
                for name, number in _named("causes", data.get("causes", {})).items()
            },
            levels_s={
                name: _seconds(f"levels_s {name}", number)
                for name, number in _named("levels_s", data.get("levels_s", {})).items()
            },
            round_trip=_histogram("round_trip", data),
            wire=_histogram("wire", data),
        )


_NUMBERS = ("steps", "applied", "misses", "overruns", "stale", "reconnects")


def _whole(name: str, value: object) -> int:
    if type(value) is int and 0 <= value < _MOST:
        return value
    raise ContractError(f"telemetry {name}: expected a whole number from 0, got {value!r:.60}")


def _seconds(name: str, value: object) -> float:
    if type(value) in (int, float) and 0 <= value < _MOST:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    raise ContractError(f"telemetry {name}: expected seconds from 0, got {value!r:.60}")


def _named(name: str, value: object) -> Mapping[str, Any]:
    if (
        isinstance(value, Mapping)
        and len(value) <= _MOST_NAMES
        and all(isinstance(key, str) and len(key) <= _LONGEST_NAME for key in value)
    ):
        return value
    raise ContractError(
        f"telemetry {name}: expected at most {_MOST_NAMES} numbers by name, got {value!r:.60}"
    )


def _histogram(name: str, data: Mapping[str, Any]) -> LogHistogram:
    value = data.get(name)
    if value is None:
        return LogHistogram()
    if not isinstance(value, Mapping):
        raise ContractError(f"telemetry {name}: expected a histogram, got {value!r:.60}")
    return LogHistogram.from_dict(value)
