"""`/alerts`: JSON, the worst first, with what to do."""

from __future__ import annotations

import json
from typing import Any

from isthmus.control.alerts import alerts_page, rows_of
from isthmus.telemetry import ALERTS

from .snapshots import NOW_NS, WALL_NS, busy, idle

ROW = {
    "name": "latency_p95", "severity": 1, "since_ns": NOW_NS - 3_000_000_000, "value": 61.5,
    "threshold": 60.0, "unit": "ms", "meaning": "slow", "action": "look",
}  # fmt: skip


def page(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(alerts_page(rows, idle()))
    return found


def test_an_alert_says_since_when_and_what_to_do() -> None:
    (told,) = page([ROW])["alerts"]
    assert told == {
        "name": "latency_p95", "active": True, "severity": 1, "word": "WARN",
        "since": WALL_NS / 1e9 - 3, "value": 61.5, "threshold": 60.0, "unit": "ms",
        "meaning": "slow", "action": "look",
    }  # fmt: skip


def test_the_worst_comes_first_and_counts() -> None:
    calm = {"name": "calm", "severity": 0}
    grave = {"name": "grave", "severity": 2}
    found = page([calm, ROW, grave])
    assert [each["name"] for each in found["alerts"]] == ["grave", "latency_p95", "calm"]
    assert (found["severity"], found["word"], found["active"]) == (2, "CRIT", 2)


def test_no_alert_is_a_page_too() -> None:
    assert page([]) == {
        "severity": 0, "word": "none", "active": 0, "ts": WALL_NS / 1e9, "alerts": []
    }  # fmt: skip


def test_a_snapshot_alone_knows_the_meaning() -> None:
    found = {row["name"]: row for row in rows_of(busy(alerts=dict.fromkeys(ALERTS, 1)))}
    assert found.keys() == ALERTS.keys()
    for name, rule in ALERTS.items():
        assert found[name]["meaning"] == rule.meaning and found[name]["action"] == rule.action
    assert rows_of(busy(alerts={"of_another_version": 2}))[0]["meaning"] is None
