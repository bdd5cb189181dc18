"""Alerts: one table of what is watched, and the rule by which each one rises and falls.

Theory of operation. A reading is over a threshold when it is larger than it. It has to stay over
it for `dwell_s` before the alert rises, and at or below the exit, which lies under the threshold,
for `cooldown_s` before it falls; so a reading that swings around a threshold is one alert and not
a hundred. Nothing hides an alert that is up: what is delayed is its fall. A reading of None says
that there is nothing to judge, which counts as being below every threshold.

                  over warn        over crit        at or below exit of warn / of crit
    0 none        WARN after dwell CRIT after dwell -
    1 WARN        -                CRIT after dwell none after cooldown
    2 CRIT        -                -                WARN, or none, after cooldown
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["ALERTS", "CRIT", "NONE", "SEVERITIES", "WARN", "AlertChange", "AlertRule", "Alerts"]

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
            "the last answers took too long inside the gateway: the p95 of the recent window is "
            "over the threshold",
            "look which stage grew (`stages` of the metrics, or the transport_escalate advisory): "
            "infer -> export the policy, a smaller one, or another provider; queue -> fewer "
            "sessions here, or another gateway; the rest -> look what else runs on this host",
            dwell_s=2.0,
        ),
        AlertRule(
            "deadline_miss_rate",
            "deadline_miss_rate",
            "share",
            "too many of the recent questions were answered with a miss: the robots follow their "
            "fallback in that share of their steps",
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


@dataclass(frozen=True)
class AlertChange:
    """An alert rose or fell.

    Attributes:
        rule: which.
        severity: now: 0 none, 1 WARN, 2 CRIT.
        before: until now.
        value: the reading; None if there is nothing to judge any more.
        threshold: the one that was passed: of the severity entered, or of the one left.
        now_ns: when.
    """

    rule: AlertRule
    severity: int
    before: int
    value: float | None
    threshold: float
    now_ns: int

    @property
    def name(self) -> str:
        """Of the alert."""
        return self.rule.name

    @property
    def reason(self) -> str:
        """What happened, for people."""
        unit = f" {self.rule.unit}" if self.rule.unit else ""
        if self.value is None:
            return f"{self.name}: nothing to judge any more"
        if self.severity > self.before:
            return (
                f"{self.name}: {self.value:.4g}{unit} is over the {SEVERITIES[self.severity]} "
                f"threshold of {self.threshold:.4g}{unit}"
            )
        return (
            f"{self.name}: {self.value:.4g}{unit}, back from {SEVERITIES[self.before]} "
            f"(threshold {self.threshold:.4g}{unit})"
        )

    def to_event(self) -> dict[str, Any]:
        """The event that tells of it."""
        return {
            "phase": "alert",
            "type": "sla_alert",
            "severity": self.severity,
            "reasons": [self.reason],
            "alert": self.name,
            "before": self.before,
            "value": self.value,
            "threshold": self.threshold,
        }


class Alerts:
    """The state of every alert. Pure: readings and time are handed in.

    Args:
        rules: what to watch.

    Attributes:
        rules: name -> rule.
    """

    def __init__(self, rules: Iterable[AlertRule] = tuple(ALERTS.values())) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self._states = {name: _State(rule) for name, rule in self.rules.items()}

    @property
    def active(self) -> Mapping[str, int]:
        """Name -> severity now, of every alert that is watched, a copy."""
        return {name: state.severity for name, state in self._states.items()}

    def evaluate(self, readings: Mapping[str, float | None], now_ns: int) -> list[AlertChange]:
        """Judge the readings of now.

        Args:
            readings: by the rules' `reading`; one that is missing is as good as None.
            now_ns: monotonic instant, not before the last one.

        Returns:
            What rose or fell, in the order of the rules.
        """
        changes = (
            state.judge(readings.get(state.rule.reading), now_ns) for state in self._states.values()
        )
        return [change for change in changes if change is not None]


class _State:
    """One alert: a latch for each of its thresholds."""

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self.severity = NONE
        self._latches = {
            severity: _Latch(limit, rule)
            for severity in (WARN, CRIT)
            if (limit := rule.threshold(severity)) is not None
        }

    def judge(self, value: float | None, now_ns: int) -> AlertChange | None:
        """The change that this reading makes, if any."""
        known = value if value is not None and not math.isnan(value) else None
        up = [each for each, latch in self._latches.items() if latch.judge(known, now_ns)]
        before, self.severity = self.severity, max(up, default=NONE)
        if self.severity == before:
            return None
        passed = self._latches[max(self.severity, before)].limit
        return AlertChange(self.rule, self.severity, before, known, passed, now_ns)


class _Latch:
    """On once a reading has been over the limit for long enough, off as in the rule."""

    def __init__(self, limit: float, rule: AlertRule) -> None:
        self.limit = limit
        self._exit = limit * rule.exit_ratio
        self._dwell_ns = round(rule.dwell_s * 1e9)
        self._cooldown_ns = round(rule.cooldown_s * 1e9)
        self._on = False
        self._since_ns: int | None = None

    def judge(self, value: float | None, now_ns: int) -> bool:
        """True if it is on after this reading."""
        if self._on:
            wants, delay_ns = value is None or value <= self._exit, self._cooldown_ns
        else:
            wants, delay_ns = value is not None and value > self.limit, self._dwell_ns
        if not wants:
            self._since_ns = None
            return self._on
        if self._since_ns is None:
            self._since_ns = now_ns
        if now_ns - self._since_ns >= delay_ns:
            self._on, self._since_ns = not self._on, None
        return self._on
