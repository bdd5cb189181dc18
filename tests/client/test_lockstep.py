"""Lockstep: the simulation waits, and every fault is an exception."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.errors import (
    ConnectionLostError,
    DeadlineError,
    Error,
    InferenceError,
    LocalProtocolError,
    PeerError,
)
from isthmus.protocol.messages import Action, Bye, ErrorAnswer, Message, Observation, Outcome

from ..support.contracts import pair
from ..support.gateways import gateway, serving
from ..support.peers import FakeGateway
from ..support.policies import Scripted, policy
from ..support.waiting import until


@pytest.mark.parametrize("upgrade", [True, False])
def test_it_raises_at_once_when_the_gateway_dies(
    address: str, upgrade: bool, tmp_path: Any
) -> None:
    with gateway("tests.support.served:scripted", "--listen", f"unix:{tmp_path}/s") as found:
        link = isthmus.connect(f"unix:{tmp_path}/s", pacing="lockstep", upgrade=upgrade)
        assert link.act(q=[1, 1])["speed"].tolist() == [0.5, 0.5]
        killer = threading.Timer(0.05, os.kill, (found.pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(ConnectionLostError):
            link.act(q=[107, 1])  # the policy hangs; only the death of its process ends the wait
        with pytest.raises(ConnectionLostError, match="connect again"):
            link.act(q=[1, 1])
        killer.join()
        link.close()


ANSWERS: dict[str, tuple[Any, type[Error], str]] = {
    "a miss": (lambda fake: Action({}, outcome=Outcome.MISS), DeadlineError, "miss"),
    "NaN": (lambda fake: fake.action(np.nan, 1.0), InferenceError, "NaN"),
    "an error": (lambda fake: ErrorAnswer("internal", "no luck"), PeerError, "no luck"),
    "a goodbye": (lambda fake: Bye("tired"), ConnectionLostError, "tired"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_no_action_raises(address: str, name: str) -> None:
    make, kind, word = ANSWERS[name]

    def reply(observation: Observation) -> list[Message]:
        return [make(fake)]

    with FakeGateway(address, pair(), reply) as fake:
        with isthmus.connect(address, pacing="lockstep") as link:
            with pytest.raises(kind, match=word):
                link.act(q=[1, 1])


def test_a_failed_step_can_be_followed_by_a_good_one() -> None:
    with serving(policy(Scripted(), pair())) as served:
        with served.connect(pacing="lockstep") as link:
            for deed, code in ((101, "inference_failed"), (102, "not_finite")):
                with pytest.raises(PeerError) as caught:
                    link.act(q=[deed, 1])
                assert caught.value.code == code
                assert link.act(q=[1, 1])["speed"].tolist() == [0.5, 0.5]


def test_nothing_is_limited_and_nothing_replaced() -> None:
    from isthmus import Limits

    contract = pair(limit=Limits(low=(-0.1, -0.1), high=(0.1, 0.1)))
    with serving(policy(Scripted(), contract)) as served:
        with served.connect(pacing="lockstep") as link:
            assert link.act(q=[100, 100])["speed"].tolist() == [50, 50]


def test_the_deadline_does_not_count() -> None:
    scripted = Scripted()
    with serving(policy(scripted, pair())) as served:
        with served.connect(pacing="lockstep", deadline=0.001) as link:
            threading.Timer(0.05, scripted.release.set).start()
            assert link.act(q=[107, 1]).status == "policy"


def test_a_closed_link(served: Any) -> None:
    link = served.connect(pacing="lockstep")
    link.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        link.act(q=[1, 1])
    until(lambda: not served.engine.sessions)
