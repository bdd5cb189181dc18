"""Randomizations that are not what was expected: how many lately, and which value differs first.

The values travel once, with the reset; what every step carries are their hashes. They are compared
here, away from the engine's thread, and once per pair of samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ContractError
from ..provenance import first_difference

__all__ = ["BURST_S", "Mismatch", "Mismatches"]

BURST_S = 60
"""Seconds that `burst` looks back."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One observation whose randomization hash was not the expected one.

    Attributes:
        number: of the connection.
        session: its name.
        remote: who it is.
        corr_id: of the question.
        expected: the hash that should have come.
        actual: the hash that came; "" if none did.
        obs_seq: number of the observation.
        sim_time: of the observation, s; NaN if it had none.
        wall_ns: when, since 1970.
        mono_ns: when, monotonic.
        consecutive: mismatches of its client in a row, with this one.
    """

    number: int
    session: str
    remote: str
    corr_id: str
    expected: str
    actual: str
    obs_seq: int
    sim_time: float
    wall_ns: int
    mono_ns: int
    consecutive: int = 1


@dataclass
class _Sample:
    """What a session said of its randomization."""

    applied: Mapping[str, Any] | None = None
    expected: Mapping[str, Any] | None = None
    difference: dict[str, Any] | None = None


class Mismatches:
    """Knows each session's samples. For one thread at a time."""

    def __init__(self) -> None:
        self._samples: dict[int, _Sample] = {}
        self._seconds: deque[tuple[int, int]] = deque(maxlen=BURST_S + 1)

    def reset(self, number: int, reset: Mapping[str, Any]) -> None:
        """An episode of this connection starts; the values may have come with it.

        A reset of some environments that names no values leaves those known in force.
        """
        applied, expected = (
            value if isinstance(value := reset.get(name), Mapping) else None
            for name in ("randomization", "expected_randomization")
        )
        if applied is None and expected is None and reset.get("mask") is not None:
            return
        if applied is None and expected is None:
            self._samples.pop(number, None)
        else:
            self._samples[number] = _Sample(applied, expected)

    def forget(self, number: int) -> None:
        """A connection has ended."""
        self._samples.pop(number, None)

    def count(self, mono_ns: int) -> None:
        """One more, for `burst`."""
        second = mono_ns // 1_000_000_000
        seconds = self._seconds
        if seconds and seconds[-1][0] >= second:
            seconds[-1] = (seconds[-1][0], seconds[-1][1] + 1)
        else:
            seconds.append((second, 1))

    def burst(self, now_ns: int) -> int:
        """How many in the last `BURST_S` seconds."""
        oldest = now_ns // 1_000_000_000 - BURST_S
        return sum(count for second, count in self._seconds if second >= oldest)

    def difference(self, number: int) -> dict[str, Any]:
        """`key`, `expected_value`, `actual_value` of the first value that differs; {} if unknown.

        It is unknown unless both samples came, and where what came is no randomization.
        """
        sample = self._samples.get(number)
        if sample is None or sample.applied is None or sample.expected is None:
            return {}
        if sample.difference is None:
            try:
                found = first_difference(sample.expected, sample.applied)
            except ContractError:
                found = None
            sample.difference = dict(found.to_dict()) if found is not None else {}
        return sample.difference
