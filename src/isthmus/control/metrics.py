"""Every metric of a gateway: one table, from which `/metrics`, the textfile and the docs are made.

A row says how its values are read from a `Snapshot`. Labels come from closed sets, so that the
number of series does not grow with use: never a session, a client or a correlation id. What a
closed set does not know is shown as `other`. Every member of a set is there from the start, with 0,
so that the first event of its kind is an increase and not a series out of nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ..protocol.bounds import ERROR_CODES
from ..telemetry import COUNTERS, Snapshot
from . import readers as read
from .readers import Reading

__all__ = ["METRICS", "Kind", "Metric"]

Kind = Literal["counter", "gauge", "histogram", "info"]


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
    "actions_replaced": "replaced_actions",
}
"""Counters whose name alone would say too little here, or would be taken for something else."""


def _counter(name: str, meaning: str) -> Metric:
    return Metric(
        f"isthmus_{_COUNTER_NAMES.get(name, name)}_total", "counter", "",
        f"{meaning[0].upper()}{meaning[1:]}.", (), f"counters[{name}]",
        read.one(lambda s: s.counters.get(name, 0)),
    )  # fmt: skip


METRICS: tuple[Metric, ...] = (
    Metric(
        "isthmus_build_info", "info", "", "The package and the Python of this gateway; always 1.",
        ("version", "python"), "none", read.build,
    ),
    Metric(
        "isthmus_policy_info", "info", "", "One series per policy that is served; always 1.",
        ("policy", "kind", "digest", "executor"), "policies", read.policies,
    ),
    Metric(
        "isthmus_start_time_seconds", "gauge", "seconds",
        "When the gateway started, since 1970; a change is a restart.",
        (), "started_wall_ns", read.one(lambda s: s.started_wall_ns / 1e9),
    ),
    Metric(
        "isthmus_snapshot_time_seconds", "gauge", "seconds",
        "When these figures were read, since 1970.",
        (), "wall_ns", read.one(lambda s: s.wall_ns / 1e9),
    ),
    Metric(
        "isthmus_stage_duration_seconds", "histogram", "seconds",
        "Time of an observation in each stage of the gateway, since the start.",
        ("stage",), "stages", read.stages,
    ),
    Metric(
        "isthmus_stage_percentile_seconds", "gauge", "seconds",
        "Percentiles of each stage: of the whole run, of the recent 200 observations, and of "
        "those of the last minute (lately).",
        ("stage", "window", "percentile"), "stages, recent, lately", read.stage_percentiles,
    ),
    Metric(
        "isthmus_stage_average_seconds", "gauge", "seconds",
        "Exponential moving average of each stage: a new observation counts 0.1.",
        ("stage",), "ema_ns", read.averages,
    ),
    Metric(
        "isthmus_round_trip_seconds", "histogram", "seconds",
        "From the question to the answer as the links measured it, since the start.",
        (), "round_trip", lambda s: [((), s.round_trip)],
    ),
    Metric(
        "isthmus_round_trip_percentile_seconds", "gauge", "seconds",
        "Percentiles of the links' round trips within 1 %, since the start.",
        ("percentile",), "round_trip", lambda s: read.percentiles(s.round_trip),
    ),
    Metric(
        "isthmus_wire_seconds", "histogram", "seconds",
        "The links' round trips less the gateway's own span: the journey alone, since the start.",
        (), "wire", lambda s: [((), s.wire)],
    ),
    Metric(
        "isthmus_answers_total", "counter", "",
        "Observations answered, by how: miss, with its fallback's numbers where it has any; "
        "fallback: in time, but replaced.",
        ("outcome",), "outcomes", read.each(read.OUTCOMES, lambda s: s.outcomes),
    ),
    Metric(
        "isthmus_errors_total", "counter", "", "Error answers and refusals, by code.",
        ("code",), "error_codes", read.each(ERROR_CODES, lambda s: s.error_codes),
    ),
    *(_counter(name, meaning) for name, meaning in COUNTERS.items()),
    Metric(
        "isthmus_deadline_miss_ratio", "gauge", "ratio",
        "Share of all observations since the start that were a miss, 0 to 1; 0 if there was none.",
        (), "counters[deadline_miss], counters[observations]", read.one(read.miss_ratio),
    ),
    Metric(
        "isthmus_recent_deadline_miss_ratio", "gauge", "ratio",
        "Share of the last 200 answers, of the last minute, that were a miss, 0 to 1; absent where "
        "those are fewer than 20.",
        (), "readings[deadline_miss_rate]", read.reading("deadline_miss_rate"),
    ),
    Metric(
        "isthmus_worst_session_miss_ratio", "gauge", "ratio",
        "Largest share of misses among the sessions that are connected, 0 to 1.",
        (), "sessions.miss_rate",
        read.one(lambda s: max((each.miss_rate for each in s.sessions), default=0.0)),
    ),
    Metric(
        "isthmus_worst_session_consecutive_misses", "gauge", "",
        "Most misses in a row, now, among the sessions that are connected.",
        (), "sessions.counters[consecutive]",
        read.one(lambda s: max((x.counters.get("consecutive", 0) for x in s.sessions), default=0)),
    ),
    Metric(
        "isthmus_empty_joint_state_run", "gauge", "",
        "Longest run, now, of observations without a joint of one session.",
        (), "readings[empty_joint_states]", read.reading("empty_joint_states"),
    ),
    Metric(
        "isthmus_connected_sessions", "gauge", "", "Sessions that are connected now.",
        ("transport", "codec"), "sessions", read.connected,
    ),
    Metric(
        "isthmus_connected_environments", "gauge", "",
        "Environments of the sessions that are connected now.",
        (), "sessions.num_envs", read.one(lambda s: sum(each.num_envs for each in s.sessions)),
    ),
    Metric(
        "isthmus_ladder_seconds_total", "counter", "seconds",
        "Time that links say they spent at each level of the ladder.",
        ("level",), "levels_s", read.each(read.LEVELS, lambda s: s.levels_s),
    ),
    Metric(
        "isthmus_alert_severity", "gauge", "", "The gateway's own alerts: 0 none, 1 WARN, 2 CRIT.",
        ("alert",), "alerts", lambda s: [((name,), level) for name, level in s.alerts.items()],
    ),
)  # fmt: skip
"""All of them. `instance_id` and `policy_kind` are added to every one where labels are on."""
