"""Which parameter differs, in which session, since when, and by how much. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .mismatch import Mismatch

__all__ = ["Offsets", "Parameter", "parameters"]

_GROWS = 1.5
_FEWEST = 6  # mismatches from which a trend is told


@dataclass(frozen=True)
class Offsets:
    """By how much a value was above the expected one.

    Attributes:
        first: at the first mismatch.
        last: at the last.
        least: the most negative.
        most: the most positive.
        median: the middle one.
        relative: the largest in size, as a share of the value expected there; None where that is 0.
        trend: `grows` if the middle size in the last third of the mismatches is more than 1.5
            times that in the first third, `shrinks` the other way round, `steady` between; "" of
            fewer than six mismatches.
    """

    first: float
    last: float
    least: float
    most: float
    median: float
    relative: float | None
    trend: str


@dataclass(frozen=True)
class Parameter:
    """One value that was not as expected in one session.

    Attributes:
        session: "" where the log names none.
        key: its path, such as `link_mass[2]`; "" for mismatches of which only hashes are known.
        count: mismatches whose first differing value it was.
        first: when it was first seen, s since 1970.
        last: when it was last seen.
        first_seq: number of the observation it was first seen in; None if unknown.
        first_corr_id: correlation id of that observation; "" if unknown.
        first_sim_time: simulation time of it, s; None if unknown.
        expected_value: what was expected there first; None if unknown.
        actual_value: what it was; None if unknown.
        offsets: None where the values are no numbers.
    """

    session: str
    key: str
    count: int
    first: float
    last: float
    first_seq: int | None
    first_corr_id: str
    first_sim_time: float | None
    expected_value: Any
    actual_value: Any
    offsets: Offsets | None


def parameters(mismatches: Sequence[Mismatch]) -> list[Parameter]:
    """What differs, the most frequent first; what has no name comes last.

    Args:
        mismatches: in the order of their times.
    """
    groups: dict[tuple[str, str], list[Mismatch]] = {}
    for mismatch in mismatches:
        groups.setdefault((mismatch.session, mismatch.key), []).append(mismatch)
    found = [_parameter(session, key, group) for (session, key), group in groups.items()]
    return sorted(found, key=lambda each: (not each.key, -each.count, each.first))


def _parameter(session: str, key: str, group: Sequence[Mismatch]) -> Parameter:
    first = group[0]
    return Parameter(
        session=session,
        key=key,
        count=len(group),
        first=first.ts,
        last=group[-1].ts,
        first_seq=first.seq,
        first_corr_id=first.corr_id,
        first_sim_time=first.sim_time,
        expected_value=first.expected_value,
        actual_value=first.actual_value,
        offsets=_offsets(group),
    )


def _offsets(group: Sequence[Mismatch]) -> Offsets | None:
    pairs = [(o, m.expected_value) for m in group if (o := m.offset) is not None]
    if not pairs:
        return None
    offsets = [offset for offset, _ in pairs]
    largest, expected = max(pairs, key=lambda pair: abs(pair[0]))
    return Offsets(
        first=offsets[0],
        last=offsets[-1],
        least=min(offsets),
        most=max(offsets),
        median=median(offsets),
        relative=abs(largest / expected) if expected else None,
        trend=_trend([abs(offset) for offset in offsets]),
    )


def _trend(sizes: Sequence[float]) -> str:
    if len(sizes) < _FEWEST:
        return ""
    third = len(sizes) // 3
    begin, end = median(sizes[:third]), median(sizes[-third:])
    if end > _GROWS * begin:
        return "grows"
    return "shrinks" if begin > _GROWS * end else "steady"
