"""Alerts, escalation and advice, by their flags."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.waiting import until
from .first_clients import ZERO, Connection, observe
from .first_files import dummy
from .processes import NEVER, Gateway, Starter
from .textfile import textfile


@pytest.fixture(scope="module")
def alarmed(starter: Starter) -> dict[str, Gateway]:
    """Gateways whose deadline nobody can keep, with thresholds that anything exceeds."""
    tiny, rate, huge = "0.000001", "0.01", "1000000"
    flags = {
        "warn": ("--alert-latency-p95-ms-warn", tiny, "--alert-latency-p95-ms-crit", huge,
                 "--alert-deadline-miss-rate-warn", rate, "--alert-deadline-miss-rate-crit", "1"),
        "crit": ("--alert-latency-p95-ms-warn", tiny, "--alert-latency-p95-ms-crit", tiny,
                 "--alert-deadline-miss-rate-crit", rate),
        "plain": ("--alert-latency-p95-ms", tiny, "--alert-deadline-miss-rate", rate),
    }  # fmt: skip
    return {
        name: _missing_everything(starter, name == "crit", *each) for name, each in flags.items()
    }


def _missing_everything(starter: Starter, afresh: bool, *flags: str) -> Gateway:
    """A gateway asked 50 times, over one connection or by a fresh one each time."""
    folder = starter.folder()
    gateway = starter.script(
        "--policy", dummy(folder), "--deadline-ms", "0.001", "--metrics-interval", "0.5",
        "--prometheus-textfile", "gateway.prom", "--deadline-escalate-threshold", "5", *flags,
        folder=folder,
    )  # fmt: skip
    with Connection(gateway.address) as connection:
        for _ in range(50):
            answer = (gateway if afresh else connection).ask(observe(*ZERO))
            assert answer["data"]["deadline_miss"] is True
    return gateway


ALERTS = {"latency": "latency_p95", "miss": "deadline_miss_rate"}


@pytest.mark.parametrize("reading", ALERTS)
@pytest.mark.parametrize(("flags", "severity"), [("warn", {1}), ("crit", {2}), ("plain", {1, 2})])
def test_alerts(alarmed: dict[str, Gateway], flags: str, severity: set[int], reading: str) -> None:
    """`--alert-latency-p95-ms[-warn|-crit]`, `--alert-deadline-miss-rate[-warn|-crit]`."""
    gateway = alarmed[flags]

    def found() -> list[dict[str, Any]]:
        gateway.ask(observe(*ZERO))
        alerts = gateway.events(phase="alert", type="sla_alert")
        return [e for e in alerts if any(reading in reason for reason in e["reasons"])]

    alert = until(found, f"an alert of {reading}")[-1]
    assert alert["severity"] in severity
    name = ALERTS[reading]
    gateway.flush()
    assert gateway.metrics()["severity"][name] in severity
    assert textfile(gateway)[f"gateway_severity_{name}"][1] in severity


def test_no_alert_without_its_flag(gateway: Gateway) -> None:
    names = ALERTS.values()
    gateway.flush()
    assert not any(
        name in str(e["reasons"]) for e in gateway.events(phase="alert") for name in names
    )
    assert gateway.metrics()["severity"] == {"latency_p95": 0, "deadline_miss_rate": 0}


@pytest.mark.parametrize("flags", ["plain", "crit"], ids=["one connection", "fresh connections"])
def test_deadline_escalate_threshold(alarmed: dict[str, Gateway], flags: str) -> None:
    gateway = alarmed[flags]
    gateway.event(type="deadline_escalation")
    gateway.flush()
    counters = gateway.metrics()["counters"]
    assert counters["deadline_escalation_events"] >= 1
    assert counters["consec_deadline_miss"] >= 50


@pytest.mark.parametrize("interval", ["0.5", NEVER])
def test_auto_transport_escalate_p95_after_three_intervals(starter: Starter, interval: str) -> None:
    folder = starter.folder()
    gateway = starter.script(
        "--policy", dummy(folder), "--auto-transport-escalate-p95", "0.000001",
        "--metrics-interval", interval,
        folder=folder,
    )  # fmt: skip

    def advised() -> list[dict[str, Any]]:
        gateway.ask(observe(*ZERO))
        return gateway.events(phase="advisory")

    if interval == NEVER:  # reports that are asked for are no intervals
        for _ in range(5):
            assert not advised()
            gateway.flush()
        assert not advised()
    else:
        assert until(advised, "advice")[0]["type"] == "transport_escalate"


def test_a_sample_over_the_deadline_has_deadline_miss(alarmed: dict[str, Gateway]) -> None:
    gateway = alarmed["warn"]
    data = gateway.ask(observe(*ZERO))["data"]
    assert data["deadline_miss"] is True
    gateway.flush()
    counters = gateway.metrics()["counters"]
    assert counters["deadline_miss"] >= 51 and counters["deadline_miss_rate"] == 1.0
