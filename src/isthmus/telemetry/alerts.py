"""Alerts: how one rises and falls.

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
from dataclasses import dataclass
from typing import Any

from .alertrules import ALERTS, CRIT, NONE, SEVERITIES, WARN, AlertRule

__all__ = ["AlertChange", "Alerts"]


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

    def report(self) -> list[dict[str, Any]]:
        """Every alert as it stands: what a page or a program that asks is shown."""
        return [state.report() for state in self._states.values()]


class _State:
    """One alert: a latch for each of its thresholds."""

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self.severity = NONE
        self._value: float | None = None
        self._change: AlertChange | None = None
        self._latches = {
            severity: _Latch(limit, rule)
            for severity in (WARN, CRIT)
            if (limit := rule.threshold(severity)) is not None
        }

    def judge(self, value: float | None, now_ns: int) -> AlertChange | None:
        """The change that this reading makes, if any."""
        known = value if value is not None and not math.isnan(value) else None
        up = [each for each, latch in self._latches.items() if latch.judge(known, now_ns)]
        before, self.severity, self._value = self.severity, max(up, default=NONE), known
        if self.severity == before:
            return None
        passed = self._latches[max(self.severity, before)].limit
        self._change = AlertChange(self.rule, self.severity, before, known, passed, now_ns)
        return self._change

    def report(self) -> dict[str, Any]:
        """Name, severity, since when, the latest reading, and what to do about it."""
        rule = self.rule
        passed = rule.threshold(max(self.severity, WARN))
        return {
            "name": rule.name,
            "severity": self.severity,
            "since_ns": self._change.now_ns if self._change is not None else None,
            "value": self._value,
            "threshold": passed if passed is not None else rule.crit,
            "unit": rule.unit,
            "meaning": rule.meaning,
            "action": rule.action,
        }


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
