"""Everything a log of hash mismatches says, worked out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from .clusters import SCORE, Cluster, clusters
from .log import DriftLog
from .mismatch import Mismatch
from .parameters import Parameter, parameters

__all__ = ["DriftReport", "SessionDrift", "Transition", "analyse", "utc"]

REPORT_VERSION = 1


@dataclass(frozen=True)
class Transition:
    """An expected hash, and the one that was there instead.

    Attributes:
        expected: the hash that should be in force.
        actual: the one that was; "" if the simulator said none.
        count: mismatches.
        first: when it was first seen, s since 1970.
        last: when it was last seen.
    """

    expected: str
    actual: str
    count: int
    first: float
    last: float


@dataclass(frozen=True)
class SessionDrift:
    """What one session had.

    Attributes:
        session: "" where the log names none.
        count: mismatches.
        first: when it was first seen, s since 1970.
        last: when it was last seen.
        keys: the parameters that differed, most first; without those of which only hashes are
            known.
    """

    session: str
    count: int
    first: float
    last: float
    keys: tuple[str, ...]


@dataclass(frozen=True)
class DriftReport:
    """What a log says.

    Attributes:
        log: what was read.
        cluster_gap: s.
        transitions: the most frequent first.
        clusters: in the order of time.
        sessions: the one with the most mismatches first.
        parameters: the most frequent first.
    """

    log: DriftLog
    cluster_gap: float
    transitions: tuple[Transition, ...]
    clusters: tuple[Cluster, ...]
    sessions: tuple[SessionDrift, ...]
    parameters: tuple[Parameter, ...]

    @property
    def total(self) -> int:
        """Mismatches."""
        return len(self.log.mismatches)

    @property
    def unnamed(self) -> int:
        """Mismatches of which only the hashes are known."""
        return sum(each.count for each in self.parameters if not each.key)

    def to_dict(self, top: int) -> dict[str, Any]:
        """JSON values; times as seconds since 1970, and as text in UTC.

        Args:
            top: transitions to list.
        """
        log = self.log
        return {
            "drift_version": REPORT_VERSION,
            "files": [str(file) for file in log.files],
            "lines": {
                "read": log.lines,
                "unreadable": log.unreadable,
                "foreign": log.foreign,
                "notes": log.notes,
            },
            "lost": log.lost,
            "total": self.total,
            "unnamed": self.unnamed,
            "first": log.mismatches[0].ts if self.total else None,
            "last": log.mismatches[-1].ts if self.total else None,
            "expected_hashes": len({m.expected for m in log.mismatches}),
            "actual_hashes": len({m.actual for m in log.mismatches}),
            "parameters": [_timed(asdict(each)) for each in self.parameters],
            "sessions": [_timed(asdict(each)) for each in self.sessions],
            "transitions_total": len(self.transitions),
            "transitions": [_timed(asdict(each)) for each in self.transitions[:top]],
            "cluster_gap": self.cluster_gap,
            "score": SCORE,
            "clusters": [
                {**_timed(asdict(each)), "duration": each.duration} for each in self.clusters
            ],
        }


def analyse(log: DriftLog, *, cluster_gap: float) -> DriftReport:
    """Work out what a log says.

    Args:
        log: what was read.
        cluster_gap: s without a mismatch that part two clusters, > 0.
    """
    found = log.mismatches
    return DriftReport(
        log=log,
        cluster_gap=cluster_gap,
        transitions=tuple(_transitions(found)),
        clusters=tuple(clusters(found, cluster_gap)),
        sessions=tuple(_sessions(found)),
        parameters=tuple(parameters(found)),
    )


def utc(ts: float) -> str:
    """A time for people; a number where it is no date."""
    try:
        moment = datetime.fromtimestamp(ts, tz=timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{ts:g} s"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"


def _transitions(mismatches: Sequence[Mismatch]) -> list[Transition]:
    groups: dict[tuple[str, str], list[float]] = {}
    for mismatch in mismatches:
        groups.setdefault((mismatch.expected, mismatch.actual), []).append(mismatch.ts)
    found = [Transition(*pair, len(ts), ts[0], ts[-1]) for pair, ts in groups.items()]
    return sorted(found, key=lambda each: (-each.count, each.first))


def _sessions(mismatches: Sequence[Mismatch]) -> list[SessionDrift]:
    groups: dict[str, list[Mismatch]] = {}
    for mismatch in mismatches:
        groups.setdefault(mismatch.session, []).append(mismatch)
    found = []
    for session, group in groups.items():
        keys = Counter(mismatch.key for mismatch in group if mismatch.key)
        names = tuple(key for key, _ in keys.most_common())
        found.append(SessionDrift(session, len(group), group[0].ts, group[-1].ts, names))
    return sorted(found, key=lambda each: (-each.count, each.first))


def _timed(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "first_utc": utc(values["first"]), "last_utc": utc(values["last"])}
