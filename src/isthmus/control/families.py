"""A snapshot as samples: what both ways of writing metrics down have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..telemetry import LogHistogram, Snapshot
from .metrics import METRICS, Kind, Metric

__all__ = ["BOUNDS_S", "Family", "Sample", "constant_labels", "families"]

BOUNDS_S: tuple[float, ...] = (
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08,
    0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip
"""Upper bounds of the buckets that Prometheus gets, s. Closest where deadlines are: 5 to 150 ms."""


@dataclass(frozen=True)
class Sample:
    """One line.

    Attributes:
        suffix: what is added to the family's name: "", `_bucket`, `_sum` or `_count`.
        labels: name -> value, not escaped.
        value: the number.
    """

    suffix: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Family:
    """One metric with its samples."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


def constant_labels(snapshot: Snapshot, instance_id: str, labels: bool) -> dict[str, str]:
    """What every sample carries.

    Args:
        snapshot: its first policy is the one that plain clients get.
        instance_id: which gateway this is.
        labels: False leaves both away.
    """
    if not labels:
        return {}
    kind = snapshot.policies[0].kind if snapshot.policies else "none"
    return {"instance_id": instance_id, "policy_kind": kind}


def families(
    snapshot: Snapshot, constant: Mapping[str, str], rows: Iterable[Metric] = METRICS
) -> Iterator[Family]:
    """Read every row; one that has no value yields no family."""
    for row in rows:
        found: list[Sample] = []
        for values, value in row.read(snapshot):
            labels = {**constant, **dict(zip(row.labels, values, strict=True))}
            if isinstance(value, LogHistogram):
                found.extend(_histogram(labels, value))
            else:
                found.append(Sample("", labels, value))
        if found:
            yield Family(row.name, row.kind, row.help, tuple(found))


def _histogram(labels: Mapping[str, str], histogram: LogHistogram) -> Iterator[Sample]:
    counts = histogram.cumulative(bound * 1e9 for bound in BOUNDS_S)
    for bound, count in zip(BOUNDS_S, counts, strict=True):
        yield Sample("_bucket", {**labels, "le": str(bound)}, count)
    yield Sample("_bucket", {**labels, "le": "+Inf"}, histogram.count)
    yield Sample("_count", labels, histogram.count)
    yield Sample("_sum", labels, histogram.total / 1e9)
