"""The words that the operators graph and read: counters, figures, metrics of the textfile."""

from __future__ import annotations

__all__ = ["COUNTERS", "RECENT", "SUMMARY", "TEXTFILE"]

COUNTERS = (
    "deadline_miss", "deadline_miss_rate", "rand_hash_mismatch", "joint_limit_violation",
    "joint_spec_mismatch", "deadline_escalation_events", "consec_deadline_miss", "degrade_zeroed",
)  # fmt: skip
SUMMARY = ("count", "mean", "std", "min", "max", "p50", "p90", "p95", "p99")
RECENT = ("window", "p50", "p90", "p95", "p99")
TEXTFILE = (
    *(f"gateway_policy_latency_ms_{key}" for key in SUMMARY),
    *(f"gateway_recent_latency_ms_{key}" for key in RECENT),
    *(f"gateway_{counter}" for counter in COUNTERS),
    "gateway_severity_latency_p95",
    "gateway_severity_deadline_miss_rate",
)
