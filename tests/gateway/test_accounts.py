"""What the alerts look at, and who is counted as one client."""

from __future__ import annotations

import pytest

from isthmus.gateway.ledger import Ledger
from isthmus.gateway.session import Session
from isthmus.telemetry.watchdog import ENOUGH

from .ledgers import SECOND, Clock, session, step


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(now_ns=clock)


def client(name: str) -> Session:
    """A connection without a link, of a program on one host."""
    found = session(name, plain=True)
    found.peer = f"10.0.0.1:{name}"
    return found


def test_a_miss_rate_is_of_the_last_minute_and_of_nothing_older(
    clock: Clock, ledger: Ledger
) -> None:
    robot = session()
    ledger.opened(robot)
    for _ in range(60):
        step(ledger, robot, missed=True, at_ns=clock.now_ns)
    assert ledger.snapshot().readings["deadline_miss_rate"] == 1.0
    clock.now_ns += 76 * SECOND
    for _ in range(ENOUGH):
        step(ledger, robot, at_ns=clock.now_ns)
    assert ledger.snapshot().readings["deadline_miss_rate"] == 0.0


def test_a_latency_is_of_the_last_minute_and_of_nothing_older(clock: Clock, ledger: Ledger) -> None:
    robot = session()
    ledger.opened(robot)
    for _ in range(200):
        step(ledger, robot, at_ns=clock.now_ns, slower=1_000)
    slow = ledger.snapshot().readings["latency_p95_ms"]
    clock.now_ns += 75 * SECOND
    for _ in range(12):
        step(ledger, robot, at_ns=clock.now_ns)
    assert slow == 21.0
    assert ledger.snapshot().readings["latency_p95_ms"] == 0.021


def test_a_miss_rate_of_few_answers_is_none(clock: Clock, ledger: Ledger) -> None:
    robot = session()
    ledger.opened(robot)
    rates = []
    for _ in range(ENOUGH):
        step(ledger, robot, missed=True, at_ns=clock.now_ns)
        rates.append(ledger.snapshot().readings["deadline_miss_rate"])
    assert rates == [None] * (ENOUGH - 1) + [1.0]


def test_two_clients_of_one_place_are_two_also_after_they_left(ledger: Ledger) -> None:
    first, second = client("1"), client("2")
    for each in (first, second):
        ledger.opened(each)
    for each, misses in ((first, 8), (second, 2)):
        for _ in range(misses):
            step(ledger, each, missed=True)

    def shown() -> float | None:
        ledger.end_pass(())
        reading = ledger.snapshot().readings["consec_deadline_miss"]
        assert reading == ledger.totals()["consec_deadline_miss"]
        return reading

    ledger.closed(first)
    assert shown() == 8
    ledger.closed(second)
    assert shown() == 8
    third = client("3")  # is taken for the one that left last
    ledger.opened(third)
    step(ledger, third)
    assert shown() == 8
    ledger.closed(third)
    assert shown() == 8
    fourth, fifth = client("4"), client("5")
    ledger.opened(fourth)
    ledger.opened(fifth)
    step(ledger, fifth)
    assert shown() == 0
