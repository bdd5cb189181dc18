"""What is watched: one table of alerts, each with its meaning and what to do about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

__all__ = ["ALERTS", "CRIT", "NONE", "SEVERITIES", "WARN", "AlertRule"]

NONE, WARN, CRIT = 0, 1, 2
SEVERITIES: tuple[str, ...] = ("none", "WARN", "CRIT")
"""Severity -> its word."""


@dataclass(frozen=True)
class AlertRule:
    """One thing that is watched.

    Attributes:
        name: of the alert.
        reading: which of the readings it looks at.
        unit: of the reading and the thresholds; "" for a number of things.
        meaning: what is the matter when it is up.
        action: what an operator does about it.
        warn: threshold of WARN; None = it never is.
        crit: threshold of CRIT, not below `warn`; None = it never is.
        exit_ratio: share of its threshold at or below which a severity is left, 0 to 1.
        dwell_s: seconds over a threshold before the alert rises.
        cooldown_s: seconds at or below the exit before it falls.

    Raises:
        ValueError: a number is outside its range.
    """

    name: str
    reading: str
    unit: str
    meaning: str
    action: str
    warn: float | None = None
    crit: float | None = None
    exit_ratio: float = 0.8
    dwell_s: float = 0.0
    cooldown_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        given = [limit for limit in (self.warn, self.crit) if limit is not None]
        if not all(math.isfinite(limit) and limit >= 0 for limit in given):
            raise ValueError(f"alert {self.name}: thresholds must be at least 0, got {given}")
        if given != sorted(given):
            raise ValueError(
                f"alert {self.name}: WARN at {self.warn:g} lies above CRIT at {self.crit:g}; "
                "use warn <= crit"
            )
        if not 0 <= self.exit_ratio <= 1 or self.dwell_s < 0 or self.cooldown_s < 0:
            raise ValueError(
                f"alert {self.name}: exit_ratio must lie between 0 and 1, dwell_s and cooldown_s "
                f"be at least 0, got {self.exit_ratio}, {self.dwell_s} and {self.cooldown_s}"
            )

    def with_thresholds(self, warn: float | None, crit: float | None) -> AlertRule:
        """The same alert at other thresholds; None turns a severity off."""
        return replace(self, warn=warn, crit=crit)

    def threshold(self, severity: int) -> float | None:
        """Of WARN or CRIT."""
        return self.crit if severity == CRIT else self.warn


ALERTS: dict[str, AlertRule] = {
    rule.name: rule
    for rule in (
        AlertRule(
            "latency_p95",
            "latency_p95_ms",
            "ms",
            "the policy's last answers took too long inside the gateway, the late ones counted to "
            "their end: the p95 of the recent window is over the threshold",
            "look which stage grew (`stages` of the metrics, or the transport_escalate advisory): "
            "infer -> export the policy, a smaller one, or another provider; queue -> fewer "
            "sessions here, or another gateway; the rest -> look what else runs on this host",
            dwell_s=2.0,
        ),
        AlertRule(
            "deadline_miss_rate",
            "deadline_miss_rate",
            "share",
            "too many of the recent questions (the last 200, of the last minute, from 20 on) were "
            "answered with a miss: the robots follow their fallback in that share of their steps",
            "compare the inference time with the deadline: lengthen --deadline-ms or the "
            "contract's control_dt if the policy cannot be that quick, or make it quicker; look "
            "for one slow session among the rest, and for other work on this host",
            warn=0.05,
            crit=0.2,
            dwell_s=2.0,
        ),
        AlertRule(
            "rand_hash_mismatch_burst",
            "rand_hash_mismatch_burst",
            "",
            "observations came from another randomization than their sender expected, several "
            "times in the last 60 s",
            "stop collecting data; `isthmus drift` says which parameter differs, since when and "
            "in which session. Data recorded meanwhile belongs to the randomization in "
            "hash_mismatch_events.jsonl, not to the one in its plan",
            warn=2,
            crit=30,
        ),
        AlertRule(
            "empty_joint_states",
            "empty_joint_states",
            "",
            "a client sends observations without joints, one after the other: its robot's state "
            "is not ready, or its articulation was lost",
            "look at the simulator: is the articulation initialised, does the stage play, are "
            "the joint names right? The events with error schema_violation name the client",
            warn=2,
            crit=30,
        ),
    )
}
"""Every alert of a gateway. Those without thresholds are off until a flag gives them one."""
