"""Rounds: alerts, advice, reports; and reports that fail, or hang."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import pytest

from isthmus.gateway.housekeeping import Housekeeper
from isthmus.gateway.ledger import Ledger
from isthmus.telemetry import ALERTS, Advisor, Alerts, Snapshot

from ..support.waiting import LAST_RESORT, until
from .ledgers import SECOND, Clock, Events, session, step


class Report:
    """A report that keeps what it was made from, and fails on request."""

    name = "a report"

    def __init__(self) -> None:
        self.made: list[Snapshot] = []
        self.fails: Exception | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        if self.fails is not None:
            raise self.fails
        self.made.append(snapshot)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    """One with a session, `robot`, in which nothing has happened yet."""
    found = Ledger(now_ns=clock)
    found.opened(session())
    found.end_pass(())
    return found


def test_a_round_makes_every_report_from_one_snapshot(ledger: Ledger) -> None:
    reports = [Report(), Report()]
    keeper = Housekeeper(ledger, sinks=reports)
    found = keeper.flush()
    assert [report.made for report in reports] == [[found], [found]]
    assert (keeper.rounds, keeper.failures) == (1, 0)


def test_an_alert_is_logged_as_gravely_as_it_is(
    ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    rule = replace(ALERTS["empty_joint_states"], warn=1, crit=2, cooldown_s=0)
    keeper = Housekeeper(ledger, alerts=Alerts([rule]), now_ns=clock)
    robot = session("other", plain=True)
    ledger.opened(robot)
    with caplog.at_level(logging.INFO, "isthmus.gateway"):
        for run in (1, 2, 3, 0):
            ledger.empty_joint_state(robot, run)
            ledger.end_pass(())
            keeper.flush()
    assert [record.levelname for record in caplog.records] == ["WARNING", "CRITICAL", "INFO"]


def test_a_report_that_fails_keeps_no_other_from_being_made(ledger: Ledger) -> None:
    bad, good = Report(), Report()
    keeper = Housekeeper(ledger, sinks=[bad, good], events=(events := Events()))
    bad.fails = OSError("no space left on device")
    keeper.flush()
    keeper.flush()
    bad.fails = PermissionError("not allowed")
    keeper.flush()
    assert (len(good.made), len(bad.made), keeper.failures) == (3, 0, 3)
    told = [(event["report"], event["failures"]) for event in events.of("report_failed")]
    assert told == [("a report", 1), ("a report", 3)]  # once for each kind of failure
    bad.fails = None
    keeper.flush()
    keeper.flush()
    assert [event["failures"] for event in events.of("report_recovered")] == [3]
    assert len(bad.made) == 2


def test_reports_are_made_at_the_interval_and_at_the_end(ledger: Ledger) -> None:
    report = Report()
    keeper = Housekeeper(ledger, 0.01, sinks=[report])
    keeper.start()
    keeper.start()  # once is enough
    until(lambda: len(report.made) >= 3)
    keeper.close()
    made = len(report.made)
    assert keeper._thread is not None and not keeper._thread.is_alive()
    assert made == keeper.rounds >= 4


def test_the_last_round_is_made_although_none_ever_began(ledger: Ledger) -> None:
    report = Report()
    keeper = Housekeeper(ledger, 3600.0, sinks=[report])
    keeper.close()
    assert len(report.made) == 1


def test_what_waits_is_added_up_between_two_rounds(ledger: Ledger) -> None:
    keeper = Housekeeper(ledger, 3600.0)
    keeper.start()
    robot = session("other")
    ledger.opened(robot)
    step(ledger, robot)
    until(lambda: not ledger._passes)
    keeper.close()


def test_a_report_that_hangs_does_not_keep_the_gateway_from_ending(ledger: Ledger) -> None:
    hangs, release = threading.Event(), threading.Event()

    def report(snapshot: Snapshot) -> None:
        hangs.set()
        release.wait(LAST_RESORT)

    keeper = Housekeeper(ledger, 0.01, sinks=[report])
    keeper.start()
    assert hangs.wait(LAST_RESORT)
    keeper.close(timeout=0.01)
    assert keeper.rounds == 1  # the one that hangs; no other was begun behind it
    release.set()
    assert keeper._thread is not None
    keeper._thread.join(LAST_RESORT)


def test_an_alert_is_told_shown_and_cleared(clock: Clock, ledger: Ledger) -> None:
    rule = ALERTS["deadline_miss_rate"].with_thresholds(0.1, 0.5)
    keeper = Housekeeper(ledger, events=(events := Events()), alerts=Alerts([rule]))
    robot = session("other")
    ledger.opened(robot)

    def work(missed: bool) -> Snapshot:
        for _ in range(200):
            step(ledger, robot, missed=missed, at_ns=clock.now_ns)
        keeper.flush()
        clock.now_ns += 60 * SECOND  # longer than any dwell or cooldown
        return keeper.flush()

    assert work(missed=False).alerts == {"deadline_miss_rate": 0}
    assert work(missed=True).alerts == {"deadline_miss_rate": 2}
    assert ledger.snapshot().alerts == {"deadline_miss_rate": 2}
    (report,) = keeper.alerts_report()
    assert (report["name"], report["severity"], report["value"]) == ("deadline_miss_rate", 2, 1.0)
    assert work(missed=False).alerts == {"deadline_miss_rate": 0}
    assert [event["severity"] for event in events.of("sla_alert")] == [2, 0]
    assert {event["alert"] for event in events.of("sla_alert")} == {"deadline_miss_rate"}


def test_advice_is_given_after_three_rounds_over_the_threshold(
    clock: Clock, ledger: Ledger
) -> None:
    advisor = Advisor(threshold_ms=0.001)
    keeper = Housekeeper(ledger, events=(events := Events()), advisor=advisor)
    robot = session("other")
    ledger.opened(robot)
    for rounds in range(1, 6):
        step(ledger, robot, at_ns=clock.now_ns)
        keeper.flush()
        assert len(events.of("transport_escalate")) == (rounds >= 3)
    (event,) = events.of("transport_escalate")
    assert event["phase"] == "advisory"
    assert event["stage"] == "send"  # 6 of the 21 microseconds


def test_only_intervals_count_for_the_advice(clock: Clock, ledger: Ledger) -> None:
    advisor = Advisor(threshold_ms=0.001)
    keeper = Housekeeper(ledger, events=(events := Events()), advisor=advisor)
    robot = session("other")
    ledger.opened(robot)
    for _ in range(5):
        step(ledger, robot, at_ns=clock.now_ns)
        keeper.flush(advise=False)  # somebody asked for the reports
    keeper.flush()
    keeper.close()
    assert (advisor.over, events.of("transport_escalate")) == (1, [])


def test_without_alerts_there_is_nothing_to_report(ledger: Ledger) -> None:
    assert Housekeeper(ledger).alerts_report() == []


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan")])
def test_an_interval_is_longer_than_nothing(ledger: Ledger, interval: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        Housekeeper(ledger, interval)
