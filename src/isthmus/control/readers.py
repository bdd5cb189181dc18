"""How metrics are read from a `Snapshot`; `metrics.METRICS` says which one is read how."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..safety.ladder import Level
from ..telemetry import GATEWAY_STAGES, QUANTILES, LogHistogram, Snapshot
from ..version import VERSION

__all__ = [
    "LEVELS",
    "OUTCOMES",
    "Reading",
    "averages",
    "build",
    "connected",
    "each",
    "miss_ratio",
    "one",
    "percentiles",
    "policies",
    "reading",
    "stage_percentiles",
    "stages",
]

Reading = tuple[tuple[str, ...], "float | LogHistogram"]
"""Values of the labels, in the order of `Metric.labels`, and what was read."""

OTHER = "other"
OUTCOMES = ("policy", "miss", "fallback", "error")
WIRES = (
    ("shm", "binary"), ("unix", "binary"), ("tcp", "binary"), ("unix", "json"), ("tcp", "json"),
)  # fmt: skip
LEVELS = tuple(level.name.lower() for level in Level)


def one(value: Callable[[Snapshot], float]) -> Callable[[Snapshot], Iterator[Reading]]:
    """One value, without labels."""

    def read(snapshot: Snapshot) -> Iterator[Reading]:
        yield (), value(snapshot)

    return read


def each(
    known: Iterable[str], values: Callable[[Snapshot], Mapping[str, float]]
) -> Callable[[Snapshot], Iterator[Reading]]:
    """One value per member of a closed set."""
    members = tuple(known)

    def read(snapshot: Snapshot) -> Iterator[Reading]:
        found = dict.fromkeys(members, 0.0)
        for name, value in values(snapshot).items():
            place = name if name in found else OTHER
            found[place] = found.get(place, 0.0) + value
        for name, value in found.items():
            yield (name,), value

    return read


def build(_: Snapshot) -> Iterator[Reading]:
    """What runs."""
    yield (VERSION, platform.python_version()), 1


def policies(snapshot: Snapshot) -> Iterator[Reading]:
    """What is served."""
    for policy in snapshot.policies:
        yield (policy.name, policy.kind, policy.digest, policy.executor), 1


def stages(snapshot: Snapshot) -> Iterator[Reading]:
    """A histogram of each stage, also of one that was never gone through."""
    for stage in GATEWAY_STAGES:
        yield (stage,), snapshot.stages.get(stage) or LogHistogram()


def stage_percentiles(snapshot: Snapshot) -> Iterator[Reading]:
    """Stage, window and percentile -> s; nothing of what was never measured."""
    windows = (("recent", snapshot.recent), ("lately", snapshot.lately))
    for stage in GATEWAY_STAGES:
        histogram = snapshot.stages.get(stage)
        if histogram is not None:
            yield from percentiles(histogram, stage, "run")
        for window, summaries in windows:
            summary = summaries.get(stage, {})
            for name in QUANTILES:
                if summary.get("count") and name in summary:
                    yield (stage, window, name), summary[name] / 1e9


def percentiles(histogram: LogHistogram, *labels: str) -> Iterator[Reading]:
    """Nothing of an empty one: it has none, and 0 would be a lie."""
    if histogram.count:
        for name, share in QUANTILES.items():
            yield (*labels, name), histogram.quantile(share) / 1e9


def averages(snapshot: Snapshot) -> Iterator[Reading]:
    """The average of each stage that was gone through."""
    for stage in GATEWAY_STAGES:
        histogram = snapshot.stages.get(stage)
        if histogram is not None and histogram.count and stage in snapshot.ema_ns:
            yield (stage,), snapshot.ema_ns[stage] / 1e9


def connected(snapshot: Snapshot) -> Iterator[Reading]:
    """Sessions by transport and codec."""
    found: dict[tuple[str, ...], float] = dict.fromkeys(WIRES, 0.0)
    for session in snapshot.sessions:
        wire: tuple[str, ...] = (session.transport, session.codec)
        place = wire if wire in found else (OTHER, OTHER)
        found[place] = found.get(place, 0.0) + 1
    yield from found.items()


def reading(name: str) -> Callable[[Snapshot], Iterator[Reading]]:
    """What an alert looks at; nothing where it has nothing to judge."""

    def read(snapshot: Snapshot) -> Iterator[Reading]:
        value = snapshot.readings.get(name)
        if value is not None:
            yield (), value

    return read


def miss_ratio(snapshot: Snapshot) -> float:
    """Misses among all observations; 0 where there was none."""
    asked = snapshot.counters.get("observations", 0)
    return snapshot.counters.get("deadline_miss", 0) / asked if asked else 0.0
