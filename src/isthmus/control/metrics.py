"""Every metric of a gateway: one table, from which `/metrics`, the textfile and the docs are made.

A row says how its values are read from a `Snapshot`. Labels come from closed sets, so that the
number of series does not grow with use: never a session, a client or a correlation id. What a
closed set does not know is shown as `other`. Every member of a set is there from the start, with 0,
so that the first event of its kind is an increase and not a series out of nothing.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ..protocol.bounds import ERROR_CODES
from ..safety.ladder import Level
from ..telemetry import COUNTERS, GATEWAY_STAGES, LogHistogram, Snapshot
from ..telemetry.recorder import QUANTILES
from ..version import VERSION

__all__ = ["METRICS", "Kind", "Metric", "Reading"]

Kind = Literal["counter", "gauge", "histogram", "info"]

Reading = tuple[tuple[str, ...], "float | LogHistogram"]
"""Values of the labels, in the order of `Metric.labels`, and what was read."""


@dataclass(frozen=True)
class Metric:
    """One row.

    Attributes:
        name: as it is queried; a histogram's has `_bucket`, `_sum` and `_count` added.
        kind: `counter`, `gauge`, `histogram` or `info`.
        unit: `seconds`, `ratio`, or "" for a plain number.
        help: one sentence.
        labels: names of its labels, without the constant ones.
        source: where in `Snapshot` it comes from.
        read: its values; a histogram's in ns.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...]
    source: str
    read: Callable[[Snapshot], Iterable[Reading]]


OTHER = "other"
OUTCOMES = ("policy", "miss", "fallback", "error")
WIRES = (
    ("shm", "binary"), ("unix", "binary"), ("tcp", "binary"), ("unix", "json"), ("tcp", "json"),
)  # fmt: skip
LEVELS = tuple(level.name.lower() for level in Level)

_COUNTER_NAMES = {
    "sessions": "sessions_welcomed",
    "answered": "observations_answered",
    "deadline_miss": "deadline_misses",
    "late": "late_inferences",
    "errors": "error_answers",
    "refused": "connections_refused",
    "stale": "stale_questions",
    "rand_hash_mismatch": "rand_hash_mismatches",
    "joint_limit_violation": "joint_limit_violations",
    "joint_spec_mismatch": "joint_spec_mismatches",
    "empty_joint_state": "empty_joint_states",
    "deadline_escalation_events": "deadline_escalations",
    "degrade_zeroed": "degraded_actions",
}
"""Counters whose name alone would say too little here, or would be taken for something else."""


def _one(value: Callable[[Snapshot], float]) -> Callable[[Snapshot], Iterator[Reading]]:
    def read(snapshot: Snapshot) -> Iterator[Reading]:
        yield (), value(snapshot)

    return read


def _each(
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


def _counter(name: str, meaning: str) -> Metric:
    return Metric(
        f"isthmus_{_COUNTER_NAMES.get(name, name)}_total", "counter", "", meaning + ".", (),
        f"counters[{name}]", _one(lambda s: s.counters.get(name, 0)),
    )  # fmt: skip


def _build(_: Snapshot) -> Iterator[Reading]:
    yield (VERSION, platform.python_version()), 1


def _policies(snapshot: Snapshot) -> Iterator[Reading]:
    for each in snapshot.policies:
        yield (each.name, each.kind, each.digest, each.executor), 1


def _stages(snapshot: Snapshot) -> Iterator[Reading]:
    for stage in GATEWAY_STAGES:
        yield (stage,), snapshot.stages.get(stage) or LogHistogram()


def _stage_percentiles(snapshot: Snapshot) -> Iterator[Reading]:
    windows = (("recent", snapshot.recent), ("lately", snapshot.lately))
    for stage in GATEWAY_STAGES:
        histogram = snapshot.stages.get(stage)
        if histogram is not None:
            yield from _percentiles(histogram, stage, "run")
        for window, summaries in windows:
            summary = summaries.get(stage, {})
            for name in QUANTILES:
                if summary.get("count") and name in summary:
                    yield (stage, window, name), summary[name] / 1e9


def _percentiles(histogram: LogHistogram, *labels: str) -> Iterator[Reading]:
    """Nothing of an empty one: it has none, and 0 would be a lie."""
    if histogram.count:
        for name, share in QUANTILES.items():
            yield (*labels, name), histogram.quantile(share) / 1e9


def _averages(snapshot: Snapshot) -> Iterator[Reading]:
    for stage in GATEWAY_STAGES:
        if stage in snapshot.ema_ns:
            yield (stage,), snapshot.ema_ns[stage] / 1e9


def _connected(snapshot: Snapshot) -> Iterator[Reading]:
    found: dict[tuple[str, ...], float] = dict.fromkeys(WIRES, 0.0)
    for session in snapshot.sessions:
        wire: tuple[str, ...] = (session.transport, session.codec)
        place = wire if wire in found else (OTHER, OTHER)
        found[place] = found.get(place, 0.0) + 1
    yield from found.items()


def _miss_ratio(snapshot: Snapshot) -> float:
    asked = snapshot.counters.get("observations", 0)
    return snapshot.counters.get("deadline_miss", 0) / asked if asked else 0.0


METRICS: tuple[Metric, ...] = (
    Metric(
        "isthmus_build_info", "info", "", "The package and the Python of this gateway; always 1.",
        ("version", "python"), "none", _build,
    ),
    Metric(
        "isthmus_policy_info", "info", "", "One series per policy that is served; always 1.",
        ("policy", "kind", "digest", "executor"), "policies", _policies,
    ),
    Metric(
        "isthmus_start_time_seconds", "gauge", "seconds",
        "When the gateway started, since 1970; a change is a restart.",
        (), "started_wall_ns", _one(lambda s: s.started_wall_ns / 1e9),
    ),
    Metric(
        "isthmus_snapshot_time_seconds", "gauge", "seconds",
        "When these figures were read, since 1970.", (), "wall_ns", _one(lambda s: s.wall_ns / 1e9),
    ),
    Metric(
        "isthmus_stage_duration_seconds", "histogram", "seconds",
        "Time of an observation in each stage of the gateway, since the start.",
        ("stage",), "stages", _stages,
    ),
    Metric(
        "isthmus_stage_percentile_seconds", "gauge", "seconds",
        "Percentiles of each stage: of the whole run, of the recent 200 observations, and of "
        "those of the last minute (lately).",
        ("stage", "window", "percentile"), "stages, recent, lately", _stage_percentiles,
    ),
    Metric(
        "isthmus_stage_average_seconds", "gauge", "seconds",
        "Exponential moving average of each stage.", ("stage",), "ema_ns", _averages,
    ),
    Metric(
        "isthmus_round_trip_seconds", "histogram", "seconds",
        "From the question to the answer as the links measured it, since the start.",
        (), "round_trip", lambda s: [((), s.round_trip)],
    ),
    Metric(
        "isthmus_round_trip_percentile_seconds", "gauge", "seconds",
        "Percentiles of the links' round trips within 1 %, since the start.",
        ("percentile",), "round_trip", lambda s: _percentiles(s.round_trip),
    ),
    Metric(
        "isthmus_answers_total", "counter", "", "Observations answered, by how.",
        ("outcome",), "outcomes", _each(OUTCOMES, lambda s: s.outcomes),
    ),
    Metric(
        "isthmus_errors_total", "counter", "", "Error answers and refusals, by code.",
        ("code",), "error_codes", _each(ERROR_CODES, lambda s: s.error_codes),
    ),
    *(_counter(name, meaning) for name, meaning in COUNTERS.items()),
    Metric(
        "isthmus_deadline_miss_ratio", "gauge", "ratio",
        "Share of all observations since the start that were a miss, 0 to 1; 0 if there was none.",
        (), "counters[deadline_miss], counters[observations]", _one(_miss_ratio),
    ),
    Metric(
        "isthmus_worst_session_miss_ratio", "gauge", "ratio",
        "Largest share of misses among the sessions that are connected, 0 to 1.",
        (), "sessions.miss_rate",
        _one(lambda s: max((each.miss_rate for each in s.sessions), default=0.0)),
    ),
    Metric(
        "isthmus_worst_session_consecutive_misses", "gauge", "",
        "Most misses in a row, now, among the sessions that are connected.",
        (), "sessions.counters[consecutive]",
        _one(lambda s: max((x.counters.get("consecutive", 0) for x in s.sessions), default=0)),
    ),
    Metric(
        "isthmus_connected_sessions", "gauge", "", "Sessions that are connected now.",
        ("transport", "codec"), "sessions", _connected,
    ),
    Metric(
        "isthmus_connected_environments", "gauge", "",
        "Environments of the sessions that are connected now.",
        (), "sessions.num_envs", _one(lambda s: sum(each.num_envs for each in s.sessions)),
    ),
    Metric(
        "isthmus_ladder_seconds_total", "counter", "seconds",
        "Time that links say they spent at each level of the ladder.",
        ("level",), "levels_s", _each(LEVELS, lambda s: s.levels_s),
    ),
    Metric(
        "isthmus_alert_severity", "gauge", "", "The gateway's own alerts: 0 none, 1 WARN, 2 CRIT.",
        ("alert",), "alerts", lambda s: [((name,), level) for name, level in s.alerts.items()],
    ),
)  # fmt: skip
"""All of them. `instance_id` and `policy_kind` are added to every one where labels are on."""
