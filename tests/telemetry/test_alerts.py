"""Alerts swept through every threshold, with and without dwell and cooldown."""

from __future__ import annotations

import math
import random

import pytest

from isthmus.telemetry import ALERTS, AlertChange, AlertRule, Alerts
from isthmus.telemetry.alertrules import CRIT, NONE, WARN

S = 1_000_000_000
UP, DOWN = math.inf, -math.inf


def rule(**changes: object) -> AlertRule:
    """A rule without delays, unless told otherwise."""
    plain: dict[str, object] = {
        "name": "hot", "reading": "heat", "unit": "K", "meaning": "it is hot", "action": "cool it",
        "warn": 60.0, "crit": 120.0, "exit_ratio": 0.8, "dwell_s": 0.0, "cooldown_s": 0.0,
    }  # fmt: skip
    return AlertRule(**{**plain, **changes})  # type: ignore[arg-type]


class Watched:
    """One alert and its clock."""

    def __init__(self, **changes: object) -> None:
        self.alerts = Alerts([rule(**changes)])
        self.now_ns = 0

    def see(self, value: float | None, after_s: float = 1.0) -> AlertChange | None:
        self.now_ns += round(after_s * S)
        changes = self.alerts.evaluate({"heat": value}, self.now_ns)
        assert len(changes) <= 1
        return changes[0] if changes else None

    @property
    def severity(self) -> int:
        return self.alerts.active["hot"]


BEGIN = {NONE: 0.0, WARN: 100.0, CRIT: 500.0}
EDGES = [
    (NONE, 60.0, NONE), (NONE, math.nextafter(60, UP), WARN),
    (NONE, 120.0, WARN), (NONE, math.nextafter(120, UP), CRIT),
    (WARN, 120.0, WARN), (WARN, math.nextafter(120, UP), CRIT),
    (WARN, math.nextafter(48, UP), WARN), (WARN, 48.0, NONE),
    (WARN, math.nextafter(48, DOWN), NONE),
    (CRIT, math.nextafter(96, UP), CRIT), (CRIT, 96.0, WARN),
    (CRIT, math.nextafter(96, DOWN), WARN),
    (CRIT, math.nextafter(48, UP), WARN), (CRIT, 48.0, NONE), (CRIT, 0.0, NONE),
    (CRIT, math.inf, CRIT), (NONE, math.inf, CRIT), (NONE, -math.inf, NONE),
]  # fmt: skip


@pytest.mark.parametrize(("start", "value", "end"), EDGES)
def test_every_threshold_at_its_edge(start: int, value: float, end: int) -> None:
    watched = Watched()
    watched.see(BEGIN[start])
    assert watched.severity == start
    change = watched.see(value)
    assert watched.severity == end
    assert (change is None) == (start == end)
    if change is not None:
        assert (change.before, change.severity, change.value) == (start, end, value)
        assert change.threshold == {WARN: 60.0, CRIT: 120.0}[max(start, end)]


def test_swept_up_and_down() -> None:
    watched, passed = Watched(), []
    readings = [n / 2 for n in range(0, 400)]
    for value in (*readings, *reversed(readings)):
        change = watched.see(value)
        if change is not None:
            passed.append((value, change.before, change.severity))
    assert passed == [(60.5, 0, 1), (120.5, 1, 2), (96.0, 2, 1), (48.0, 1, 0)]


@pytest.mark.parametrize("severity", [WARN, CRIT])
@pytest.mark.parametrize("dwell_s", [1.0, 2.0, 30.0])
def test_it_rises_only_after_its_dwell(severity: int, dwell_s: float) -> None:
    for short in (True, False):
        watched = Watched(dwell_s=dwell_s)
        watched.see(BEGIN[severity])
        watched.see(BEGIN[severity], dwell_s - 1e-9 if short else dwell_s)
        assert watched.severity == (NONE if short else severity)


@pytest.mark.parametrize("severity", [WARN, CRIT])
@pytest.mark.parametrize("cooldown_s", [1.0, 10.0, 300.0])
def test_it_falls_only_after_its_cooldown(severity: int, cooldown_s: float) -> None:
    for short in (True, False):
        watched = Watched(cooldown_s=cooldown_s)
        watched.see(BEGIN[severity])
        watched.see(0.0)
        watched.see(0.0, cooldown_s - 1e-9 if short else cooldown_s)
        assert watched.severity == (severity if short else NONE)


def test_a_dip_begins_the_dwell_anew() -> None:
    watched = Watched(dwell_s=3.0)
    for value in (100.0, 100.0, 100.0, 60.0, 100.0, 100.0, 100.0):
        assert watched.see(value) is None
    assert watched.see(100.0) is not None


def test_a_peak_begins_the_cooldown_anew() -> None:
    watched = Watched(cooldown_s=3.0)
    watched.see(100.0)
    for value in (10.0, 10.0, 10.0, 50.0, 10.0, 10.0, 10.0):  # 50 is over the exit of 48
        assert watched.see(value) is None
    assert watched.see(10.0) is not None


def test_each_severity_has_a_dwell_of_its_own() -> None:
    watched = Watched(dwell_s=3.0)
    seen = []
    for value in (100, 100, 200, 200, 200, 200):
        watched.see(value)
        seen.append(watched.severity)
    assert seen == [NONE, NONE, NONE, WARN, WARN, CRIT]


def test_a_reading_that_swings_is_one_alert() -> None:
    watched, rng = Watched(dwell_s=2.0, cooldown_s=5.0), random.Random(5)
    changes = [watched.see(60 + rng.uniform(-15, 15), 0.5) for _ in range(2000)]
    calm = [change for change in changes if change is not None]
    assert len(calm) <= 1, "60 +- 15 never stays below 48 for 5 s"


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_nothing_to_judge_counts_as_calm(nothing: float | None) -> None:
    watched = Watched(cooldown_s=2.0)
    assert watched.see(nothing) is None
    watched.see(100.0)
    assert watched.see(nothing) is None
    assert watched.see(nothing) is None
    change = watched.see(nothing)
    assert change is not None
    assert (change.severity, change.value) == (NONE, None)
    assert "nothing to judge" in change.reason


@pytest.mark.parametrize(("warn", "crit"), [(None, None), (60.0, None), (None, 120.0)])
def test_a_severity_without_threshold_is_off(warn: float | None, crit: float | None) -> None:
    watched = Watched(warn=warn, crit=crit)
    watched.see(100.0)
    assert watched.severity == (WARN if warn else NONE)
    watched.see(1e9)
    assert watched.severity == (CRIT if crit else WARN if warn else NONE)
    watched.see(0.0)
    assert watched.severity == NONE


def test_a_threshold_of_zero_means_any() -> None:
    watched = Watched(warn=0.0, crit=None)
    assert watched.see(0.0) is None
    assert watched.see(5e-324) is not None
    assert watched.see(0.0) is not None


def test_what_an_event_says() -> None:
    watched = Watched()
    risen = watched.see(83.25)
    assert risen is not None
    assert risen.to_event() == {
        "phase": "alert", "type": "sla_alert", "severity": 1, "alert": "hot", "before": 0,
        "value": 83.25, "threshold": 60.0,
        "reasons": ["hot: 83.25 K is over the WARN threshold of 60 K"],
    }  # fmt: skip
    fallen = watched.see(1.0)
    assert fallen is not None
    assert fallen.to_event()["severity"] == 0
    assert fallen.reason == "hot: 1 K, back from WARN (threshold 60 K)"


def test_the_report_says_how_things_stand() -> None:
    watched = Watched()
    (before,) = watched.alerts.report()
    assert (before["severity"], before["since_ns"], before["value"]) == (0, None, None)
    watched.see(500.0)
    watched.see(400.0)
    (now,) = watched.alerts.report()
    assert now == {
        "name": "hot", "severity": 2, "since_ns": S, "value": 400.0, "threshold": 120.0,
        "unit": "K", "meaning": "it is hot", "action": "cool it",
    }  # fmt: skip
    assert Alerts([rule(warn=None)]).report()[0]["threshold"] == 120.0


def test_alerts_do_not_touch_one_another() -> None:
    alerts = Alerts([rule(), rule(name="wet", reading="water")])
    (change,) = alerts.evaluate({"water": 100.0}, 0)
    assert change.name == "wet"
    assert alerts.active == {"hot": NONE, "wet": WARN}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_of_the_table_rises_and_clears(name: str) -> None:
    told = ALERTS[name]
    if told.warn is None:
        told = told.with_thresholds(60.0, 120.0)
    alerts, now, seen = Alerts([told]), 0, []
    assert told.meaning.strip()
    assert told.action.strip()
    assert told.warn is not None and told.crit is not None
    for value in (told.warn, told.warn * 1.01, told.crit * 1.01, 0.0):
        for _ in range(30):
            now += S
            seen += alerts.evaluate({told.reading: value}, now)
    assert [change.severity for change in seen] == [WARN, CRIT, NONE]


def test_without_a_flag_latency_alone_is_not_watched() -> None:
    alerts = Alerts()
    off = [name for name, told in alerts.rules.items() if told.warn is None and told.crit is None]
    assert off == ["latency_p95"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"warn": 130.0}, {"warn": -1.0}, {"crit": math.inf}, {"crit": math.nan},
        {"exit_ratio": 1.1}, {"exit_ratio": -0.1}, {"dwell_s": -1.0}, {"cooldown_s": -1.0},
    ],
)  # fmt: skip
def test_what_a_rule_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="alert hot"):
        rule(**wrong)
