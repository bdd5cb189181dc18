"""What an action says of its deadline."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.gateway import Settings
from isthmus.gateway.ledger import Ledger
from isthmus.protocol.messages import Action, Outcome

from ..gateway.ledgers import Events
from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.peers import FakeGateway
from ..support.policies import half, policy
from ..support.waiting import until


def test_a_deadline_kept(served: Served) -> None:
    with served.connect(deadline=5.0) as link:
        action = link.act(q=[1, 1])
        assert (action.deadline_ns, action.deadline_missed, action.overrun) == (5 * 10**9, 0, 0)
        assert link.act(q=[1, 1], deadline=7.0).deadline_ns == 7 * 10**9


def test_lockstep_has_none(served: Served) -> None:
    with served.connect(pacing="lockstep") as link:
        action = link.act(q=[1, 1])
        assert (action.deadline_ns, action.deadline_missed, action.overrun) == (0, False, False)


def test_no_answer_and_then_an_old_question_still_open(address: str) -> None:
    with FakeGateway(address, pair(), lambda _: []), isthmus.connect(address) as link:
        first, second = (link.act(q=[1, 1], deadline=0.02) for _ in range(2))
        assert (first.cause, first.deadline_missed) == ("deadline", True)
        assert (second.cause, second.deadline_missed) == ("unanswered", True)


def test_the_gateway_says_that_it_missed(address: str) -> None:
    answer = Action({}, outcome=Outcome.MISS)
    with FakeGateway(address, pair(), lambda _: [answer]), isthmus.connect(address) as link:
        action = link.act(q=[1, 1], deadline=5.0)
        assert (action.deadline_missed, action.overrun) == (True, False)


def test_another_fault_is_no_missed_deadline(served: Served) -> None:
    with served.connect() as link:
        action = link.act(q=[np.nan, 1])
        assert (action.cause, action.deadline_missed) == ("observation", False)


class Slow:
    """An observation whose reading takes longer than the deadline."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        time.sleep(0.02)
        return np.array([1.0, 1.0], np.float32)


def test_a_call_that_ends_after_its_deadline(served: Served) -> None:
    with served.connect() as link:
        action = link.act(q=Slow(), deadline=0.001)
        assert action.overrun
        assert action.deadline_missed
        assert action.timing.total > action.deadline_ns == 10**6
        assert link.stats()["overruns"] == 1


@pytest.mark.parametrize("pacing", ["realtime", "lockstep"])
def test_time_at_each_level_is_in_the_stats(served: Served, pacing: str) -> None:
    with served.connect(pacing=pacing) as link:
        link.act(q=[1, 1])
        levels = link.stats()["levels_s"]
        assert set(levels) == {"disarmed", "normal", "bridge", "stopped"}
        assert (sum(levels.values()) > 0) == (pacing == "realtime")
        assert levels["stopped"] == 0


WAYS: dict[str, dict[str, Any]] = {
    "shm": {},
    "unix": {"upgrade": False},
    "json": {"codec": "json"},
}


def heard(events: Events, type_: str) -> tuple[str, str]:
    """Question and session of the first event of a type."""
    event = until(lambda: events.of(type_), f"an event {type_}")[0]
    return event["corr_id"], event["session"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pacing", ["realtime", "lockstep"])
def test_an_action_has_the_id_of_its_question(served: Served, way: str, pacing: str) -> None:
    with served.connect(pacing=pacing, **WAYS[way]) as link:
        first, second = link.act(q=[1, 1]), link.act(q=[1, 1])
        assert first.corr_id == f"{link.session}-{first.seq}"
        assert second.corr_id == f"{link.session}-{first.seq + 1}"


@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_was_missed_is_found_in_the_events(way: str) -> None:
    events, let_go = Events(), threading.Event()

    def stuck(observation: dict[str, Any]) -> Any:
        if observation["q"][0, 0] == 3.0:
            let_go.wait(30)
        return half(observation)

    settings = Settings(executor="thread")
    with serving(policy(stuck, pair()), settings=settings, ledger=Ledger(events)) as served:
        with served.connect(**WAYS[way]) as link:
            assert link.act(q=[1, 1]).cause == ""
            missed = link.act(q=[3, 1], deadline=0.03)
            assert (missed.cause, missed.seq) == ("deadline", 0)
            assert heard(events, "deadline_miss") == (missed.corr_id, link.session)
            let_go.set()


def test_what_was_not_asked_has_no_id(served: Served, address: str) -> None:
    with served.connect() as link:
        assert link.act(q=[np.nan, 1]).corr_id == ""
    with FakeGateway(address, pair(), lambda _: []), isthmus.connect(address) as link:
        asked, unasked = (link.act(q=[1, 1], deadline=0.02) for _ in range(2))
        assert asked.corr_id and unasked.cause == "unanswered" and unasked.corr_id == ""
