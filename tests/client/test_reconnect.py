"""A gateway that stops, dies and comes back: the step goes on, and nothing old is applied."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import isthmus
from isthmus import Limits
from isthmus.safety import Level

from ..support.contracts import mirror, pair
from ..support.gateways import Gateway, gateway, halving, serving
from ..support.peers import FakeGateway
from ..support.policies import Summing, half, mirrored, policy

CAUSES = {"deadline", "unanswered", "disconnected"}
WAYS: dict[str, dict[str, Any]] = {
    "shm": {},
    "unix": {"upgrade": False},
    "json": {"codec": "json"},
}


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"unix:{tmp_path}/s" if len(str(tmp_path)) < 90 else "unix:s"


def drive(link: isthmus.Link, until: Callable[[Any], bool], q: float = 1.0) -> list[Any]:
    """Step at 100 Hz until an action satisfies the condition; all actions."""
    rate, seen = isthmus.Rate(100), []
    for _ in range(3000):
        seen.append(link.act(q=[q, q], deadline=0.05))
        if until(seen[-1]):
            return seen
        rate.sleep()
    raise AssertionError(f"never happened; last: {seen[-1]}")


def by_policy(action: Any) -> bool:
    return bool(action.status == "policy")


def failure(link: isthmus.Link) -> str:
    """Why the last attempt to connect again failed."""
    assert link._reconnector is not None
    return str(link._reconnector.error)


def check_bridging(actions: list[Any]) -> None:
    """All but the last are of the ladder, in the ladder's order."""
    order = {"bridged": 0, "stopped": 1}
    levels = [order[action.status] for action in actions[:-1]]
    assert levels == sorted(levels)
    assert {action.cause for action in actions[:-1]} <= CAUSES
    for action in actions[:-1]:
        assert action["speed"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("way", WAYS)
def test_a_stopped_gateway(url: str, way: str) -> None:
    with gateway(*halving(url)) as found, isthmus.connect(url, rearm="auto", **WAYS[way]) as link:
        drive(link, by_policy)
        found.send(signal.SIGSTOP)
        try:
            seen = drive(link, lambda action: action.status == "stopped", q=8.0)
        finally:
            found.send(signal.SIGCONT)
        assert seen[0].cause == "deadline"
        check_bridging(seen)
        # whatever it answers to the questions of before is never applied
        back = drive(link, by_policy, q=2.0)
        assert all(action["speed"].tolist() == [0.0, 0.0] for action in back[:-1])
        assert back[-1]["speed"].tolist() == [1.0, 1.0]


def test_a_gateway_that_is_stopped_for_a_moment_only(url: str) -> None:
    with gateway(*halving(url)) as found, isthmus.connect(url) as link:
        drive(link, by_policy)
        found.send(signal.SIGSTOP)
        missed = link.act(q=[8, 8], deadline=0.02)
        found.send(signal.SIGCONT)
        assert (missed.status, missed.cause) == ("bridged", "deadline")
        seen = drive(link, by_policy, q=2.0)
        assert seen[-1]["speed"].tolist() == [1.0, 1.0]
        assert link.stats()["reconnects"] == 0
        assert link.stats()["stale"] >= 1


@pytest.mark.parametrize("way", WAYS)
def test_kill_9_and_a_new_gateway(url: str, way: str) -> None:
    first = Gateway(*halving(url))
    with isthmus.connect(url, **WAYS[way]) as link:
        drive(link, by_policy)
        first.kill()
        seen = drive(link, lambda action: action.status == "stopped")
        check_bridging(seen)
        assert {action.cause for action in seen} == {"disconnected"}
        with gateway(*halving(url)):
            drive(link, lambda _: link.stats()["reconnects"] > 0)
            # traffic alone moves nothing: the rearm rule is on_reset
            for _ in range(5):
                action = link.act(q=[1, 1], deadline=5)
                assert (action.status, link.level) == ("stopped", Level.STOPPED)
            link.reset()
            seen = drive(link, by_policy, q=2.0)
            assert seen[-1]["speed"].tolist() == [1.0, 1.0]
            assert link.transport == ("shm" if way == "shm" else "unix")


RULES = {
    "manual": lambda link: link.rearm(),
    "on_reset": lambda link: link.reset(),
    "auto": lambda link: None,
}


@pytest.mark.parametrize("rule", RULES)
def test_it_moves_again_by_the_rearm_rule(url: str, rule: str) -> None:
    first = Gateway(*halving(url))
    with isthmus.connect(url, rearm=rule) as link:
        drive(link, by_policy)
        first.kill()
        drive(link, lambda action: action.status == "stopped")
        with gateway(*halving(url)):
            drive(link, lambda _: link.stats()["reconnects"] > 0)
            if rule == "manual":
                link.reset()
                assert link.act(q=[1, 1], deadline=5).status == "stopped"
            RULES[rule](link)
            drive(link, by_policy)


def test_the_gateways_death_is_bridged_if_it_is_back_soon(url: str) -> None:
    with isthmus_served(url) as link:
        link._lose(isthmus.errors.ConnectionLostError("cut by a test"))
        seen = drive(link, by_policy)
        assert {action.status for action in seen} <= {"bridged", "policy"}
        assert link.stats()["reconnects"] == 1


class isthmus_served:
    """A fake gateway and a link to it."""

    def __init__(self, url: str) -> None:
        self.fake = FakeGateway(url, pair(), lambda _: [self.fake.action(0.5, 0.5)])
        self.link = isthmus.connect(url)

    def __enter__(self) -> isthmus.Link:
        drive(self.link, by_policy)
        return self.link

    def __exit__(self, *why: Any) -> None:
        self.link.close()
        self.fake.__exit__(*why)


def test_another_contract_after_the_restart_is_never_obeyed(url: str) -> None:
    first = Gateway(*halving(url))
    with isthmus.connect(url) as link:
        drive(link, by_policy)
        first.kill()
        with gateway("tests.support.served:mirroring", "--listen", url):
            seen = drive(link, lambda _: "interface" in failure(link))
            seen += drive(link, lambda action: action.status == "stopped")
            assert {action.cause for action in seen} == {"disconnected"}
        with gateway(*halving(url)):
            link.reset()
            drive(link, by_policy)


def test_another_contract_of_a_gateway_that_does_not_compare(url: str) -> None:
    fake = FakeGateway(url, pair(), lambda _: [fake.action(0.5, 0.5)])
    with fake, isthmus.connect(url) as link:
        drive(link, by_policy)
        fake.contract = mirror()
        fake.drop()
        drive(link, lambda _: "this side" in failure(link))
        drive(link, lambda action: action.status == "stopped")


def test_tighter_limits_are_not_taken_over_in_passing(url: str) -> None:
    fake = FakeGateway(url, pair(), lambda _: [fake.action(0.5, 0.5)])
    with fake, isthmus.connect(url) as link:
        drive(link, by_policy)
        fake.contract = pair(limit=Limits(low=(-0.25, -0.25), high=(0.25, 0.25)))
        fake.drop()
        drive(link, lambda _: "tighter limits" in failure(link))
        drive(link, lambda action: action.status == "stopped")
    with FakeGateway(url + "2", fake.contract, lambda _: []):
        with isthmus.connect(url + "2") as link:
            assert link.contract.limits["speed"].high == (0.25, 0.25)


def test_why_it_cannot_connect_is_said_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    first = Gateway(*halving(url))
    with isthmus.connect(url) as link:
        drive(link, by_policy)
        first.kill()
        reconnector = link._reconnector
        assert reconnector is not None
        drive(link, lambda _: reconnector.attempts > 4)
    said = [record.message for record in caplog.records if "cannot connect" in record.message]
    assert len(said) == 1


@pytest.mark.parametrize("upgrade", [True, False])
def test_closing_and_connecting_against_a_stopped_gateway(url: str, upgrade: bool) -> None:
    with gateway(*halving(url)) as found:
        link = isthmus.connect(url, upgrade=upgrade)
        drive(link, by_policy)
        other = isthmus.connect(url, upgrade=upgrade)
        found.send(signal.SIGSTOP)
        try:
            assert link.act(q=[1, 1], deadline=0.02).cause == "deadline"
            link.close()  # a question is open
            other.close()  # none is
            with pytest.raises(isthmus.errors.ConnectError):
                isthmus.connect(url, timeout=0.1)
        finally:
            found.send(signal.SIGCONT)
        with isthmus.connect(url) as again:
            drive(again, by_policy)
        assert found.stop() == 0


def test_what_a_recurrent_policy_remembers_survives_a_reconnect() -> None:
    with serving(Summing(pair())) as served, served.connect() as link:
        assert link.act(q=[1, 1])["speed"].tolist() == [1, 1]
        assert link.act(q=[1, 1])["speed"].tolist() == [2, 2]
        link._lose(isthmus.errors.ConnectionLostError("cut by a test"))
        assert drive(link, by_policy)[-1]["speed"].tolist() == [3, 3]
        assert link.stats()["reconnects"] == 1
        link._lose(isthmus.errors.ConnectionLostError("cut by a test"))
        link.reset()
        assert drive(link, by_policy)[-1]["speed"].tolist() == [1, 1]


def test_an_attempt_without_descriptors_is_no_exception(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import isthmus.channel as channel

    def none_left(*_: object) -> None:
        raise OSError(24, os.strerror(24))

    with isthmus_served(url) as link:
        original = channel.begin_connect
        monkeypatch.setattr(channel, "begin_connect", none_left)
        link._lose(isthmus.errors.ConnectionLostError("cut by a test"))
        for _ in range(3):
            assert link.act(q=[1, 1], deadline=0.05).cause == "disconnected"
        monkeypatch.setattr(channel, "begin_connect", original)
        drive(link, by_policy)


def test_reconnecting_never_waits_for_a_stopped_gateway(url: str) -> None:
    with gateway(*halving(url)) as found, isthmus.connect(url) as link:
        drive(link, by_policy)
        found.send(signal.SIGSTOP)
        try:
            reconnector = link._reconnector
            assert reconnector is not None
            drive(link, lambda _: reconnector.attempts > 0)
            # A hundred steps while an attempt hangs in the handshake. Were each to wait for the
            # handshake's own time-out of 5 s, the last resort of this test would strike.
            for _ in range(100):
                assert link.act(q=[1, 1], deadline=0.01).status == "stopped"
            assert reconnector.attempts == 1
        finally:
            found.send(signal.SIGCONT)


def test_a_served_thread_too() -> None:
    with serving(policy(mirrored, mirror())) as other, serving(policy(half, pair())) as served:
        with served.connect(url=served.tcp) as link, other.connect(url=other.tcp) as far:
            assert link.act(q=[1, 1]).status == "policy"
            assert far.contract.name == "mirror"
