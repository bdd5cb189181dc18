"""No answer in time: what the robot gets instead, and what becomes of the late answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import ActionField, Limits
from isthmus.gateway import Settings
from isthmus.protocol.messages import Action, ErrorAnswer, Message, Observation, Outcome, Pong

from ..support.contracts import DELTA, POSITION, SPEED, pair
from ..support.gateways import serving
from ..support.peers import FakeGateway
from ..support.policies import Scripted, policy

LONG, SHORT = 20.0, 0.01


@dataclass
class Script:
    """A fake gateway that answers while `answering`, and keeps its answers back otherwise."""

    fake: FakeGateway = field(init=False)
    answering: bool = True
    kept: list[Message] = field(default_factory=list)

    def reply(self, observation: Observation) -> list[Message]:
        action = self.fake.action(*(observation.arrays["q"][0] / 2).tolist())
        if self.answering:
            return [action]
        self.kept.append(action._replace(seq=observation.seq, epoch=observation.epoch))
        return []

    def send_kept(self) -> None:
        while self.kept:
            self.fake.send(self.kept.pop(0))


@contextmanager
def scripted(address: str, **contract: Any) -> Iterator[tuple[Script, isthmus.Link]]:
    script = Script()
    with FakeGateway(address, pair(**contract), script.reply) as script.fake:
        with isthmus.connect(address, deadline=LONG) as link:
            yield script, link


def miss(link: isthmus.Link, **fields: Any) -> Any:
    return link.act(deadline=SHORT, **(fields or {"q": [1.0, 1.0]}))


def test_disarmed_until_the_first_valid_action(address: str) -> None:
    with scripted(address) as (script, link):
        script.answering = False
        first = miss(link)
        assert (first.status, first.cause) == ("disarmed", "deadline")
        assert first["speed"].tolist() == [0.0, 0.0]
        script.send_kept()
        script.answering = True
        assert link.act(q=[1.0, 1.0]).status == "policy"
        assert link.stats()["misses"] == 0  # disarmed counts nothing


def test_a_late_answer_is_taken_off_the_wire_and_dropped(address: str) -> None:
    with scripted(address) as (script, link):
        assert link.act(q=[1.0, 1.0]).status == "policy"
        script.answering = False
        missed = miss(link, q=[8.0, 8.0])
        assert (missed.status, missed.cause, missed.seq) == ("bridged", "deadline", 0)
        script.send_kept()  # 4.0, to a question that nobody asks any more
        script.answering = True
        action = link.act(q=[2.0, 2.0])
        assert (action.status, action.seq) == ("policy", 3)
        assert action["speed"].tolist() == [1.0, 1.0]
        stats = link.stats()
        assert (stats["stale"], stats["misses"], stats["reconnects"]) == (1, 1, 0)
        assert stats["causes"] == {"deadline": 1}


def test_nothing_new_is_asked_while_a_question_is_open(address: str) -> None:
    with scripted(address) as (script, link):
        assert link.act(q=[1.0, 1.0]).status == "policy"
        script.answering = False
        causes = [miss(link).cause for _ in range(4)]
        assert causes == ["deadline", "unanswered", "unanswered", "unanswered"]
        assert [one.seq for one in script.fake.observations] == [1, 2]


def test_a_question_open_for_too_long_is_given_up_with_its_connection(address: str) -> None:
    with scripted(address) as (script, link):
        assert link.act(q=[1.0, 1.0]).status == "policy"
        script.answering = False
        rate = isthmus.Rate(200)
        seen = []
        while link.stats()["reconnects"] == 0 and len(seen) < 4000:
            seen.append(miss(link).cause)
            rate.sleep()
        assert link.stats()["reconnects"] == 1
        assert seen[0] == "deadline"
        assert set(seen[1:]) <= {"unanswered", "disconnected", "deadline"}
        hellos = script.fake.hellos
        assert [one.epoch for one in hellos] == [0, 1]
        assert (hellos[1].session, hellos[1].token) == ("session", "token")
        assert hellos[1].interface_hash == link.interface_hash
        # the answers of the first epoch are not answers any more
        script.send_kept()
        script.answering = True
        link.reset()
        action = link.act(q=[2.0, 2.0])
        assert (action.status, action["speed"].tolist()) == ("policy", [1.0, 1.0])


FALLBACKS = {
    "velocity zero": (SPEED, {}, None, [0.0, 0.0]),
    "velocity decay": (
        SPEED,
        {"fallback": "decay"},
        Limits(max_acceleration=(5.0, 5.0)),
        [0.4, 0.4],
    ),
    "position hold": (POSITION, {}, None, [0.5, 0.5]),
    "delta zero": (DELTA, {}, None, [0.0, 0.0]),
    "opaque value": (
        ActionField(
            "speed",
            (2,),
            "float32",
            semantics="opaque",
            fallback="value",
            fallback_value=(0.25, -0.25),
        ),
        {},
        None,
        [0.25, -0.25],
    ),
    "torque robot": (
        ActionField("speed", (2,), "float32", "N*m", semantics="torque"),
        {"fallback": "robot"},
        None,
        [0.5, 0.5],
    ),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_the_fallback_is_the_contracts(address: str, name: str) -> None:
    action, changes, limit, expected = FALLBACKS[name]
    contract = {"action": action, "field": changes, "limit": limit}
    with scripted(address, **contract) as (script, link):
        for step in range(20):  # a velocity with a limited acceleration takes some steps
            action = link.act(q=[1.0, 1.0], sim_time=step * 0.02)
        assert action["speed"].tolist() == [0.5, 0.5]
        script.answering = False
        missed = miss(link, q=[1.0, 1.0], sim_time=20 * 0.02)
        assert missed.status == "bridged"
        assert missed["speed"].tolist() == pytest.approx(expected, abs=1e-6)
        assert missed.robot_hold == name.endswith("robot")


ANSWERS: dict[str, tuple[Any, str]] = {
    "a miss": (lambda fake: Action({}, outcome=Outcome.MISS), "deadline"),
    "numbers of a fallback": (
        lambda fake: fake.action(1.0, 1.0, outcome=Outcome.FALLBACK),
        "deadline",
    ),
    "an error": (lambda fake: ErrorAnswer("inference_failed", "no luck"), "inference_failed"),
    "NaN": (lambda fake: fake.action(np.nan, 0.0), "not_finite"),
    "infinity": (lambda fake: fake.action(0.0, -np.inf), "not_finite"),
    "no answer to this": (lambda fake: Pong(), "disconnected"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_no_action(address: str, name: str) -> None:
    make, cause = ANSWERS[name]
    bad = False

    def reply(observation: Observation) -> list[Message]:
        return [make(fake) if bad else fake.action(0.5, 0.5)]

    with FakeGateway(address, pair(), reply) as fake:
        with isthmus.connect(address, deadline=LONG) as link:
            assert link.act(q=[1.0, 1.0]).status == "policy"
            bad = True
            action = link.act(q=[1.0, 1.0])
            assert (action.status, action.cause) == ("bridged", cause)
            assert action["speed"].tolist() == [0.0, 0.0]
            bad = False
            while (action := link.act(q=[1.0, 1.0])).status != "policy":
                assert action.status in ("bridged", "stopped", "disarmed")
                link.reset()
            assert action["speed"].tolist() == [0.5, 0.5]


def test_an_answer_to_another_question_is_no_answer(address: str) -> None:
    def reply(observation: Observation) -> list[Message]:
        seq, epoch = observation.seq, observation.epoch
        return [
            fake.action(9.0, 9.0, seq=seq - 1 or 7, epoch=epoch),
            fake.action(9.0, 9.0, seq=seq + 1, epoch=epoch),
            fake.action(9.0, 9.0, seq=seq, epoch=epoch + 1),
            fake.action(0.5, 0.5, seq=seq, epoch=epoch),
            fake.action(9.0, 9.0, seq=seq, epoch=epoch),  # a duplicate
        ]

    with FakeGateway(address, pair(), reply) as fake:
        with isthmus.connect(address, deadline=LONG) as link:
            for seq in range(1, 6):
                action = link.act(q=[1.0, 1.0])
                assert (action.seq, action["speed"].tolist()) == (seq, [0.5, 0.5])


@pytest.mark.parametrize("rubbish", [b"\0" * 200, b"rubbish" * 40, b'{"type":"action"}\n' * 20])
def test_rubbish_instead_of_an_answer(address: str, rubbish: bytes) -> None:
    bad = False

    def reply(observation: Observation) -> list[Message]:
        if not bad:
            return [fake.action(0.5, 0.5)]
        fake.send_bytes(rubbish)
        return []

    with FakeGateway(address, pair(), reply) as fake:
        with isthmus.connect(address, deadline=LONG) as link:
            assert link.act(q=[1.0, 1.0]).status == "policy"
            bad = True
            assert link.act(q=[1.0, 1.0]).cause == "disconnected"
            bad = False
            while link.act(q=[1.0, 1.0]).status != "policy":
                link.reset()
            assert link.stats()["reconnects"] >= 1


@pytest.mark.parametrize("executor", ["inline", "thread"])
@pytest.mark.parametrize("upgrade", [True, False])
def test_a_busy_gateway(executor: str, upgrade: bool) -> None:
    busy = Scripted()
    with serving(policy(busy, pair()), settings=Settings(executor=executor)) as served:
        with served.connect(upgrade=upgrade) as link:
            assert link.act(q=[1.0, 1.0]).status == "policy"
            missed = link.act(q=[107.0, 1.0], deadline=0.02)
            assert (missed.status, missed.cause) == ("bridged", "deadline")
            busy.release.set()
            rate = isthmus.Rate(100)
            while (action := link.act(q=[2.0, 2.0])).status != "policy":
                assert action["speed"].tolist() == [0.0, 0.0]
                rate.sleep()
            assert action["speed"].tolist() == [1.0, 1.0]
            assert link.stats()["reconnects"] == 0


def test_the_budget_is_what_is_left_of_the_deadline(address: str) -> None:
    with scripted(address) as (script, link):
        link.act(q=[1.0, 1.0], deadline=LONG)
        assert 0 < script.fake.observations[-1].budget_ns <= LONG * 1e9


def test_a_full_socket_is_a_miss(address: str, tmp_path: Path) -> None:
    # A frame larger than the socket's buffer, towards a gateway that has stopped reading.
    import threading

    from isthmus import Contract, Field

    wide = Contract("wide", (Field("q", (4_000_000,), "float32"),), (SPEED,), 20_000_000)
    go_on = threading.Event()

    def reply(observation: Observation) -> list[Message]:
        return [fake.action(0.5, 0.5)]

    with FakeGateway(address, wide, reply) as fake:
        with isthmus.connect(address, deadline=LONG) as link:
            q = np.ones(4_000_000, np.float32)
            assert link.act(q=q).status == "policy"

            def stop(observation: Observation) -> list[Message]:
                go_on.wait(30)
                return []

            fake.reply = stop
            assert link.act(q=q, deadline=0.2).cause == "deadline"
            causes = {link.act(q=q, deadline=0.2).cause for _ in range(3)}
            assert causes <= {"deadline", "unanswered", "disconnected"}
            go_on.set()
