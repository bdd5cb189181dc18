"""One line of a log of hash mismatches, whoever wrote it. Pure.

The first system wrote `ts`, `corr_id`, `expected` and `actual`. A gateway of today adds `session`,
`obs_seq`, `sim_time`, and where both samples are known `key`, `expected_value` and `actual_value`.
"""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple, TypeGuard, TypeVar

from ...strictjson import loads

__all__ = ["Mismatch", "parse"]

_LATEST = 253_402_300_800.0  # s since 1970: the end of the last year with four digits


class Mismatch(NamedTuple):
    """One observation whose randomization was not the expected one.

    Attributes:
        ts: when, s since 1970, by the clock of whoever wrote it, before year 10000.
        expected: the hash that should be in force.
        actual: the one that was; "" if the simulator said none.
        session: "" if the line names none.
        key: path of the first value that differs; "" if unknown.
        expected_value: what it should be; None if unknown.
        actual_value: what it was; None if unknown.
        seq: number of the observation in its session; None if unknown.
        sim_time: s; None if unknown.
        corr_id: "" if the line has none.
        boot: token of the writer's life; "" if the line has none.
        number: of the line in that life; -1 if it has none.
        mono_ns: when, by a clock that nobody sets; None if unknown.
    """

    ts: float
    expected: str
    actual: str
    session: str = ""
    key: str = ""
    expected_value: Any = None
    actual_value: Any = None
    seq: int | None = None
    sim_time: float | None = None
    corr_id: str = ""
    boot: str = ""
    number: int = -1
    mono_ns: int | None = None

    @property
    def offset(self) -> float | None:
        """By how much the value is above the expected one; None where one of them is no number."""
        expected, actual = self.expected_value, self.actual_value
        if not (_is_number(expected) and _is_number(actual)):
            return None
        try:
            offset = float(actual - expected)  # of whole numbers exact, however large
        except OverflowError:
            return None
        return offset if math.isfinite(offset) else None


def parse(line: bytes) -> Mismatch | dict[str, Any]:
    """Read one line.

    Returns:
        The mismatch, or the object of a line that says something else.

    Raises:
        ValueError: the line is no JSON object: torn, or not of such a log at all.
    """
    found = loads(line.decode("utf-8"))
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    ts = found.get("ts", found.get("ts_wall"))
    expected, actual = found.get("expected"), found.get("actual")
    if not (_is_number(ts) and isinstance(expected, str) and isinstance(actual, (str, type(None)))):
        return found
    if not 0 <= ts < _LATEST or expected == actual:
        return found
    seq = found.get("obs_seq")
    sim_time = found.get("sim_time")
    return Mismatch(
        float(ts),
        # A log repeats the same few words a hundred thousand times: keep each once.
        sys.intern(expected),
        sys.intern(actual or ""),
        _word(found.get("session")),
        _word(found.get("key")),
        found.get("expected_value"),
        found.get("actual_value"),
        seq if isinstance(seq, int) else None,
        float(sim_time) if _is_number(sim_time) else None,
        str(found.get("corr_id") or ""),
        _word(found.get("boot")),
        _count(found.get("seq"), -1),
        _count(found.get("mono_ns"), None),
    )


_Absent = TypeVar("_Absent", int, None)


def _count(value: Any, absent: _Absent) -> int | _Absent:
    return value if isinstance(value, int) and not isinstance(value, bool) else absent


def _word(value: Any) -> str:
    return sys.intern(value) if isinstance(value, str) else ""


def _is_number(value: Any) -> TypeGuard[int | float]:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < sys.float_info.max
        and math.isfinite(value)
    )
