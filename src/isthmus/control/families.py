"""A snapshot as samples: what both ways of writing metrics down have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..telemetry import LogHistogram, Snapshot
from .buckets import BOUNDS_S, cumulative
from .metrics import METRICS, Kind, Metric

__all__ = ["Family", "Sample", "constant_labels", "families"]


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
    for bound, count in zip(BOUNDS_S, cumulative(histogram), strict=True):
        yield Sample("_bucket", {**labels, "le": str(bound)}, count)
    yield Sample("_bucket", {**labels, "le": "+Inf"}, histogram.count)
    yield Sample("_count", labels, histogram.count)
    yield Sample("_sum", labels, histogram.total / 1e9)
