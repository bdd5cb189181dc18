"""What gets in the way of a step: another call, an interrupt, a peer that floods."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.errors import ContractError, LocalProtocolError, ObservationError

from ..support.contracts import pair
from ..support.gateways import Served, gateway, halving
from ..support.peers import FakeGateway


class Meddling:
    """An array that does something else while it is converted, in the middle of `act`."""

    def __init__(self, meddle: Any) -> None:
        self.meddle = meddle

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        self.meddle()
        return np.array([1.0, 1.0], np.float32)


@pytest.mark.parametrize("what", ["act", "reset"])
def test_one_call_at_a_time(served: Served, what: str) -> None:
    with served.connect() as link:
        calls = {"act": lambda: link.act(q=[1, 1]), "reset": link.reset}
        with pytest.raises(LocalProtocolError, match="one thread, one call at a time"):
            link.act(q=Meddling(calls[what]))
        assert link.act(q=[1, 1]).status == "policy"


def test_closed_in_the_middle_it_ends_after_the_step(served: Served) -> None:
    link = served.connect()
    assert link.act(q=Meddling(link.close)).status == "policy"
    with pytest.raises(LocalProtocolError, match="the link is closed"):
        link.act(q=[1, 1])


def test_a_flood_of_other_answers_does_not_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    over = threading.Event()

    def flood(_: Any) -> list[Any]:
        while not over.is_set():
            try:
                fake.send(fake.action(1.0, 1.0, seq=999))
            except OSError:
                break
        return []

    with FakeGateway("unix:s", pair(), flood) as fake:
        with isthmus.connect("unix:s") as link:
            first = link.act(q=[1, 1], deadline=0.05)
            second = link.act(q=[1, 1], deadline=0.05)
            assert not over.is_set()  # it still comes, and act() is back
            assert (first.cause, second.cause) == ("deadline", "unanswered")
            assert link.stats()["stale"] > 0
            over.set()


def test_an_interrupt_while_connecting_again_is_got_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"unix:{tmp_path}/s"
    with gateway(*halving(url)) as first:
        link = isthmus.connect(url, upgrade=False, rearm="auto")
        assert link.act(q=[1, 1]).status == "policy"
        first.kill()
        link.act(q=[1, 1])
    with link, gateway(*halving(url)):
        once = iter([KeyboardInterrupt])
        monkeypatch.setattr(
            "isthmus.client.reconnect.next",
            lambda opening: _raise_once(once, opening),
            raising=False,
        )
        interrupts = 0
        rate = isthmus.Rate(100)
        for _ in range(3000):
            try:
                if link.act(q=[1, 1], deadline=0.05).status == "policy":
                    break
            except KeyboardInterrupt:
                interrupts += 1
            rate.sleep()
        assert interrupts == 1
        assert link.act(q=[1, 1]).status == "policy"


def _raise_once(once: Any, opening: Any) -> Any:
    for fault in once:
        raise fault
    return next(opening)


@pytest.mark.parametrize("seed", ["x", -1, 1 << 63, 10**41, 1.5])
def test_a_seed_that_cannot_travel(served: Served, seed: Any) -> None:
    with served.connect() as link:
        with pytest.raises(ContractError, match="seed: expected a whole number"):
            link.reset(seed=seed)
        assert link.act(q=[1, 1]).status == "policy"


@pytest.mark.parametrize("options", [{"sim_time": "x"}, {"sim_time": 10**400}])
def test_a_time_that_is_none(served: Served, options: dict[str, Any]) -> None:
    with served.connect() as link, pytest.raises(ObservationError, match="sim_time"):
        link.act(q=[1, 1], **options)


def test_what_a_link_and_a_rate_look_like(served: Served) -> None:
    with served.connect() as link:
        link.act(q=[1, 1])
        assert repr(link).startswith("<Link unix:") and "policy>" in repr(link)
    assert "the link is closed" in repr(link)
    assert repr(isthmus.Rate(25)) == "<Rate 25 Hz, 0 missed>"


def test_stats_account_for_every_step(served: Served) -> None:
    with served.connect() as link:
        for q in ([1, 1], [np.nan, 1], [1, 1]):
            link.act(q=np.array(q, np.float32))
        stats = link.stats()
        assert stats["steps"] == stats["applied"] + sum(stats["causes"].values()) == 3
        assert stats["causes"] == {"observation": 1}
