"""Mismatches that follow each other, as one cluster each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from .mismatch import Mismatch

__all__ = ["SCORE", "Cluster", "clusters"]

SCORE = "size x (1 - median gap / cluster gap)"
"""What a cluster's score is, for people: mismatches, weighted by how closely they follow each
other. 0 for a single one, nearly the size for a dense burst."""


@dataclass(frozen=True)
class Cluster:
    """Mismatches with no gap between two of them that is longer than the cluster gap.

    Attributes:
        first: when it begins, s since 1970.
        last: when it ends.
        size: mismatches.
        median_gap: s between one and the next; None for a single one.
        score: as `SCORE` says, 0 to `size`.
        sessions: whose, most first.
    """

    first: float
    last: float
    size: int
    median_gap: float | None
    score: float
    sessions: tuple[str, ...]

    @property
    def duration(self) -> float:
        """Seconds from the first to the last."""
        return self.last - self.first


def clusters(mismatches: Sequence[Mismatch], gap: float) -> list[Cluster]:
    """Part mismatches where nothing happened for longer than a gap.

    Args:
        mismatches: in the order of their times.
        gap: s, > 0.
    """
    return [_cluster(group, gap) for group in _groups(mismatches, gap)]


def _groups(mismatches: Sequence[Mismatch], gap: float) -> Iterator[Sequence[Mismatch]]:
    begin = 0
    for index in range(1, len(mismatches)):
        if mismatches[index].ts - mismatches[index - 1].ts > gap:
            yield mismatches[begin:index]
            begin = index
    if mismatches:
        yield mismatches[begin:]


def _cluster(group: Sequence[Mismatch], gap: float) -> Cluster:
    times = [mismatch.ts for mismatch in group]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    middle = median(gaps) if gaps else None
    score = 0.0 if middle is None else len(group) * (1 - max(middle, 0.0) / gap)
    counts: dict[str, int] = {}
    for mismatch in group:
        counts[mismatch.session] = counts.get(mismatch.session, 0) + 1
    most_first = sorted(counts, key=lambda name: -counts[name])
    return Cluster(times[0], times[-1], len(group), middle, score, tuple(most_first))
