"""What a link tells its gateway of itself, and that no step is the worse for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import isthmus
from isthmus.client import reporting
from isthmus.client.action import Timing
from isthmus.client.reporting import FOLD, INTERVAL_NS, Reporter, Totals
from isthmus.errors import ConnectionLostError
from isthmus.gateway import Settings
from isthmus.protocol.messages import Message, Telemetry
from isthmus.telemetry import LinkReport

from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.policies import Scripted, half, policy
from ..support.waiting import until

WAYS: dict[str, dict[str, Any]] = {
    "shm": {},
    "unix": {"upgrade": False},
    "tcp": {"upgrade": False},
    "json": {"codec": "json", "upgrade": False},
}
PARTS = 4
"""Steps that one report takes."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report is due as soon as the last one has left."""
    monkeypatch.setattr(reporting, "INTERVAL_NS", 0)


@contextmanager
def listening(served: Served) -> Iterator[list[LinkReport]]:
    """Every report that the gateway is told."""
    told: list[LinkReport] = []
    ledger = served.engine.ledger
    ledger.told = lambda _, data: told.append(LinkReport.from_dict(data))  # type: ignore[method-assign]
    yield told


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pacing", ["realtime", "lockstep"])
def test_the_reports_add_up_to_what_the_link_counted(served: Served, way: str, pacing: str) -> None:
    url = served.unix if way in ("shm", "unix") else served.tcp
    with listening(served) as told:
        with served.connect(url=url, pacing=pacing, **WAYS[way]) as link:
            for _ in range(50):
                assert link.act(q=[1, 2])["speed"].tolist() == [0.5, 1.0]
            stats = link.stats()
        until(lambda: sum(report.steps for report in told) == 50, "every step reported")
    assert len(told) >= 50 // PARTS
    for name in ("steps", "applied", "misses", "overruns", "stale", "reconnects"):
        assert sum(getattr(report, name) for report in told) == stats[name], name
    assert sum(report.round_trip.count for report in told) == 50
    assert sum(report.wire.count for report in told) == 50
    journeys = sum(report.wire.total for report in told)
    assert 0 < journeys < sum(report.round_trip.total for report in told)
    levels = {name for report in told for name in report.levels_s}
    assert levels == ({"disarmed", "normal"} if pacing == "realtime" else set())
    assert stats["causes"] == {}
    assert served.engine.counters.errors == 0


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("way", ["shm", "json"])
def test_why_an_action_was_not_the_policys(way: str) -> None:
    with serving(policy(Scripted(), pair())) as served, listening(served) as told:
        with served.connect(**WAYS[way]) as link:
            for step in range(40):
                link.act(q=[101 if step % 4 == 3 else 1, 1])
            causes = link.stats()["causes"]
        until(lambda: sum(report.steps for report in told) == 40, "every step reported")
    assert causes == {"inference_failed": 10}
    assert sum(report.causes.get("inference_failed", 0) for report in told) == 10
    assert sum(report.applied for report in told) == 30
    assert sum(report.levels_s.get("bridge", 0.0) for report in told) > 0


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("way", WAYS)
def test_a_gateway_that_infers_beside_its_loop_takes_them_after_the_answer(way: str) -> None:
    settings = Settings(executor="thread")
    with serving(policy(half, pair()), settings=settings) as served, listening(served) as told:
        with served.connect(**WAYS[way]) as link:
            for _ in range(40):
                assert link.act(q=[1, 2]).status == "policy"
        until(lambda: sum(report.steps for report in told) == 40, "every step reported")
    assert served.engine.counters.errors == 0


def test_a_short_run_is_reported_when_the_link_closes(served: Served) -> None:
    with listening(served) as told:
        with served.connect() as link:
            link.act(q=[1, 1])
            assert told == []
        until(lambda: told, "the last report")
    assert [report.steps for report in told] == [1]


def test_a_link_that_never_acted_says_nothing(served: Served) -> None:
    with listening(served) as told:
        with served.connect():
            pass
        with served.connect() as link:
            link.act(q=[1, 1])
        until(lambda: told, "the second link's report")
    assert len(told) == 1


def test_until_it_is_due_nothing_is_sent(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with served.connect() as link:
        assert link._channel is not None
        monkeypatch.setattr(link._channel, "tell_aside", lambda _: pytest.fail("too early"))
        assert link._reporter is not None
        link._reporter.due_ns = 1 << 62
        for _ in range(FOLD + 5):
            assert link.act(q=[1, 1]).status == "policy"
        monkeypatch.undo()


@pytest.mark.usefixtures("hurried")
def test_a_gateway_that_is_gone_while_it_is_told_is_a_lost_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Message) -> bool:
        raise ConnectionLostError("gone")

    with listening(served) as told:
        with served.connect() as link:
            assert link._channel is not None
            monkeypatch.setattr(link._channel, "tell_aside", gone)
            causes = [link.act(q=[1, 1]).cause for _ in range(PARTS)]
            assert causes == ["", "", "", "disconnected"]
            until(lambda: link.act(q=[1, 1]).status == "policy", "connected again")
            steps = link.stats()["steps"]
        until(lambda: sum(report.steps for report in told) == steps, "nothing was lost with it")
    assert sum(report.reconnects for report in told) == 1


@pytest.mark.usefixtures("hurried")
def test_a_policy_in_this_process_is_told_nothing_and_would_not_mind() -> None:
    with isthmus.connect("memory:tests.support.served:halving", deadline=5.0) as link:
        assert link._reporter is None
        for _ in range(20):
            assert link.act(q=[1, 1]).status == "policy"
        assert link._channel is not None
        assert link._channel.tell_aside(Telemetry({"steps": 1}))
        assert link.act(q=[1, 1]).status == "policy"


# the reporter alone ---------------------------------------------------------------------------


class Wire:
    """Takes messages while it is open."""

    def __init__(self) -> None:
        self.open = True
        self.sent: list[LinkReport] = []

    def tell_aside(self, message: Message) -> bool:
        if self.open:
            assert isinstance(message, Telemetry)
            self.sent.append(LinkReport.from_dict(message.data))
        return self.open


class Counting:
    """What a link would have counted."""

    def __init__(self) -> None:
        self.totals = Totals()

    def __call__(self, now_ns: int) -> Totals:
        return self.totals


def timing(wire: int, server: int) -> Timing:
    return Timing(1, wire, server // 2, server - server // 2, 1, wire + server + 2)


def test_one_part_a_step_and_the_next_an_interval_later() -> None:
    wire, totals, reporter = Wire(), Counting(), Reporter(0)
    assert reporter.due_ns == INTERVAL_NS
    totals.totals = Totals(steps=3, causes={"deadline": 1}, levels_ns={"normal": 7 * 10**8})
    for _ in range(2):
        reporter.record(timing(1000, 500))
    for part in range(PARTS):
        assert wire.sent == []
        assert reporter.due_ns == INTERVAL_NS
        assert reporter.go_on(wire, totals, INTERVAL_NS + part)  # type: ignore[arg-type]
    (report,) = wire.sent
    assert reporter.due_ns == 2 * INTERVAL_NS + PARTS - 1
    assert (report.interval_s, report.steps, report.applied) == (1.0, 3, 2)
    assert (report.causes, report.levels_s) == ({"deadline": 1}, {"normal": 0.7})
    assert (report.round_trip.total, report.wire.total) == (3000, 2000)


def test_what_cannot_leave_stays_and_what_comes_meanwhile_is_the_next_report() -> None:
    wire, totals, reporter = Wire(), Counting(), Reporter(0)
    wire.open = False
    totals.totals = Totals(steps=10)
    for _ in range(10):
        reporter.record(timing(5, 5))
    done = [reporter.go_on(wire, totals, INTERVAL_NS) for _ in range(6)]  # type: ignore[arg-type]
    assert done == [True, True, True, False, False, False]
    totals.totals = Totals(steps=17)
    for _ in range(7):
        reporter.record(timing(9, 9))
    wire.open = True
    for _ in range(1 + PARTS):
        reporter.go_on(wire, totals, 2 * INTERVAL_NS)  # type: ignore[arg-type]
    assert [report.steps for report in wire.sent] == [10, 7]
    assert [report.wire.max for report in wire.sent] == [5, 9]


@pytest.mark.parametrize("begun", range(PARTS))
def test_closing_sends_what_was_begun_and_what_is_left(begun: int) -> None:
    wire, totals, reporter = Wire(), Counting(), Reporter(0)
    totals.totals = Totals(steps=4)
    for _ in range(begun):
        reporter.go_on(wire, totals, 1)  # type: ignore[arg-type]
    totals.totals = Totals(steps=9)
    reporter.finish(wire, totals, 2)  # type: ignore[arg-type]
    assert [report.steps for report in wire.sent] == ([4, 5] if begun else [9])
    reporter.finish(wire, totals, 3)  # type: ignore[arg-type]
    assert len(wire.sent) == (2 if begun else 1), "nothing is new"


def test_closing_does_not_wait_for_a_gateway_that_does_not_read() -> None:
    wire, totals, reporter = Wire(), Counting(), Reporter(0)
    wire.open = False
    totals.totals = Totals(steps=4)
    reporter.finish(wire, totals, 2)  # type: ignore[arg-type]
    assert wire.sent == []


def test_every_answer_counts_however_many_there_are() -> None:
    wire, totals, reporter = Wire(), Counting(), Reporter(0)
    count = 3 * FOLD + 7
    for number in range(1, count + 1):
        reporter.record(timing(number, 1000))
    totals.totals = Totals(steps=count)
    reporter.finish(wire, totals, 1)  # type: ignore[arg-type]
    (report,) = wire.sent
    assert (report.wire.count, report.wire.total) == (count, count * (count + 1) // 2)
    assert report.round_trip.total == report.wire.total + 1000 * count
