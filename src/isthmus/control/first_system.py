"""The names that the first system's dashboards already graph, with honest types.

Durations are in milliseconds here, as they were there; everything of our own is in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..telemetry import LogHistogram, Snapshot
from .metrics import Kind, Metric
from .readers import miss_ratio, one

__all__ = ["FIRST_SYSTEM"]

STAGE = "policy"
"""Its latency was the gateway's whole time for an observation, however late the policy was."""

_COUNTERS = (
    "deadline_miss", "rand_hash_mismatch", "joint_limit_violation", "joint_spec_mismatch",
    "deadline_escalation_events", "degrade_zeroed",
)  # fmt: skip

_SEVERITIES = ("latency_p95", "deadline_miss_rate")
"""Alerts that it had."""

_STATISTICS: Mapping[str, Callable[[LogHistogram], float]] = {
    "mean": lambda h: h.mean,
    "std": lambda h: h.std,
    "min": lambda h: h.min,
    "max": lambda h: h.max,
    "p50": lambda h: h.quantile(0.5),
    "p90": lambda h: h.quantile(0.9),
    "p95": lambda h: h.quantile(0.95),
    "p99": lambda h: h.quantile(0.99),
}


def _row(
    name: str, kind: Kind, text: str, source: str, value: Callable[[Snapshot], float]
) -> Metric:
    return Metric(f"gateway_{name}", kind, "", text, (), source, one(value))


def _latency(name: str) -> Metric:
    def value(snapshot: Snapshot) -> float:
        return _STATISTICS[name](snapshot.stages.get(STAGE) or LogHistogram()) / 1e6

    text = f"Time for an observation in ms, since the start: {name}."
    return _row(f"policy_latency_ms_{name}", "gauge", text, f"stages[{STAGE}]", value)


def _recent(name: str) -> Metric:
    def value(snapshot: Snapshot) -> float:
        return snapshot.recent.get(STAGE, {}).get(name, 0.0) / 1e6

    text = f"Time for an observation in ms, of the recent 200: {name}."
    return _row(f"recent_latency_ms_{name}", "gauge", text, f"recent[{STAGE}]", value)


def _counter(name: str) -> Metric:
    return _row(
        name, "counter", f"Total of {name} since the start.", f"counters[{name}]",
        lambda s: s.counters.get(name, 0),
    )  # fmt: skip


def _severity(alert: str) -> Metric:
    return _row(
        f"severity_{alert}", "gauge", "0 none, 1 WARN, 2 CRIT.", f"alerts[{alert}]",
        lambda s: s.alerts.get(alert, 0),
    )  # fmt: skip


FIRST_SYSTEM: tuple[Metric, ...] = (
    _row(
        "policy_latency_ms_count", "counter", "Observations measured since the start.",
        f"stages[{STAGE}]", lambda s: (s.stages.get(STAGE) or LogHistogram()).count,
    ),
    *map(_latency, _STATISTICS),
    _row(
        "recent_latency_ms_window", "gauge", "Observations in the recent window, at most 200.",
        f"recent[{STAGE}]", lambda s: s.recent.get(STAGE, {}).get("count", 0),
    ),
    *map(_recent, ("p50", "p90", "p95", "p99")),
    *map(_counter, _COUNTERS),
    _row(
        "deadline_miss_rate", "gauge", "Share of all observations that were a miss, 0 to 1.",
        "counters[deadline_miss], counters[observations]", miss_ratio,
    ),
    _row(
        "consec_deadline_miss", "gauge", "Most misses in a row, now, of the connected sessions.",
        "readings[consec_deadline_miss]",
        lambda s: s.readings.get("consec_deadline_miss") or 0,
    ),
    *map(_severity, _SEVERITIES),
)  # fmt: skip
"""Its metrics, in the order of `ipc_metrics.json`."""
