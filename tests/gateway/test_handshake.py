"""Who is let in, and what the others are told."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Contract, Field
from isthmus.errors import ConnectError, InterfaceMismatchError, RefusedError
from isthmus.gateway import Settings
from isthmus.protocol.messages import ErrorAnswer, Welcome

from ..support.contracts import SPEED, mirror, pair
from ..support.gateways import Served, serving
from ..support.peers import BinaryPeer, hello
from ..support.policies import Counting, half, policy
from ..support.waiting import until
from .good import Good


def refused(served: Served, **changes: Any) -> ErrorAnswer:
    with BinaryPeer(served.unix) as peer:
        answer = peer.greet(pair(), **changes)
        assert isinstance(answer, ErrorAnswer)
        assert peer.closed()
        return answer


def test_who_comes_back_brings_a_newer_epoch(served: Served, good: Good) -> None:
    with BinaryPeer(served.unix) as first:
        welcome = first.greet(pair(), epoch=3)
        assert isinstance(welcome, Welcome)
        for epoch in (0, 3):
            back = {"session": welcome.session, "token": welcome.token, "epoch": epoch}
            error = refused(served, **back)
            assert error.code == "superseded"
            assert f"epoch {epoch}" in error.message and "in epoch 3" in error.message
        assert first.step(1, 2.0, 2.0, epoch=3).arrays["speed"].tolist() == [[1.0, 1.0]]
    good.asks()


def test_the_move_to_shared_memory_is_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "isthmus.gateway"):
        with served.connect() as link:
            assert link.transport == "shm"
            # The gateway says so after its answer, in a thread of its own.
            until(lambda: any("moved to shm" in each.getMessage() for each in caplog.records))


def test_rows_are_bounded_over_all_sessions() -> None:
    with serving(policy(half, pair()), settings=Settings(max_rows=10)) as served:
        words = str(refused(served, num_envs=11))
        assert "num_envs is 11" in words and "10 in all" in words
        with BinaryPeer(served.unix) as first:
            welcome = first.greet(pair(), num_envs=6)
            assert isinstance(welcome, Welcome)
            error = refused(served, num_envs=5)
            assert (error.code, error.retryable) == ("too_large", True)
            assert "the other sessions have 6" in error.message
            with BinaryPeer(served.unix) as again:  # its own former rows do not count
                came = again.greet(
                    pair(), num_envs=8, session=welcome.session, token=welcome.token, epoch=1
                )
                assert isinstance(came, Welcome)
                until(lambda: len(served.engine.sessions) == 1)
                assert refused(served, num_envs=3).code == "too_large"


BAD_HELLOS: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "wire version": ({"wire_version": 99}, "wire_version", ("99", "same isthmus")),
    "pacing": ({"pacing": "whenever"}, "pacing", ("realtime", "lockstep")),
    "policy": ({"policy": "nobody"}, "policy_unavailable", ("'nobody'", "policy")),
    "no environment": ({"num_envs": 0}, "too_large", ("num_envs",)),
    "too many": ({"num_envs": 1 << 21}, "too_large", ("num_envs",)),
    "interface": ({"interface_hash": "0" * 64}, "interface_mismatch", ("contract=None",)),
    "a contract that is none": (
        {"interface_hash": "0" * 64, "contract": {"name": 7}},
        "interface_mismatch",
        ("cannot be read",),
    ),
    "a contract that is none, without a hash": (
        {"contract": {"x": 1}},
        "interface_mismatch",
        ("cannot be read",),
    ),
    "another contract, without a hash": (
        {"contract": mirror().to_dict()},
        "interface_mismatch",
        ("link", "gateway", mirror().interface_hash[:16]),
    ),
    "another contract with the right hash": (
        {"contract": mirror().to_dict(), "interface_hash": pair().interface_hash},
        "interface_mismatch",
        ("link", "gateway"),
    ),
    "the right contract with another hash": (
        {"contract": pair().to_dict(), "interface_hash": mirror().interface_hash},
        "interface_mismatch",
        ("another hash",),
    ),
}


@pytest.mark.parametrize("name", BAD_HELLOS)
def test_a_hello_that_does_not_fit(served: Served, good: Good, name: str) -> None:
    changes, code, words = BAD_HELLOS[name]
    answer = refused(served, **changes)
    assert answer.code == code
    for word in words:
        assert word in answer.message
    good.asks()
    assert served.engine.counters.refused == 1
    assert served.engine.counters.by_code == {code: 1}


def test_a_mismatch_names_both_sides(served: Served, good: Good) -> None:
    ours = Contract(
        "pair",
        (Field("q", (2,), "float64", "rad", ("a", "b")), Field("dq", (2,), "float32", "rad/s")),
        (replace(SPEED, unit="m/s"),),
        40_000_000,
    )
    with pytest.raises(InterfaceMismatchError) as caught:
        served.connect(contract=ours)
    message = str(caught.value)
    for word in ("link", "gateway", "float64", "float32", "dq", "m/s", "rad/s"):
        assert word in message
    good.asks()


def test_a_policy_that_is_too_slow_is_refused_with_both_figures() -> None:
    import time

    def slow(observation: Any) -> Any:
        time.sleep(0.03)
        return half(observation)

    with serving(policy(slow, pair())) as served:
        assert served.engine.executors == {"policy": "thread"}
        for options in ({"deadline": 0.01}, {"deadline": None}):
            with pytest.raises(RefusedError) as caught:
                served.connect(**options)
            assert caught.value.code == "policy_too_slow"
            assert "ms for one inference" in str(caught.value)
            limit = "10.00" if options["deadline"] else "16.00"
            assert f"deadline is {limit} ms" in str(caught.value)
        with served.connect(deadline=5.0) as link:
            assert link.act(q=[1, 1]).status == "policy"
        with served.connect(deadline=None, pacing="lockstep") as link:
            assert link.act(q=[1, 1]).status == "policy"


def test_a_real_actuator_never_waits() -> None:
    contract = pair(actuator="real")
    with serving(policy(half, contract)) as served:
        with pytest.raises(RefusedError, match="lockstep"):
            served.connect(pacing="lockstep")


def test_two_policies_by_name() -> None:
    one = policy(half, pair(), "half")
    other = policy(lambda o: {"speed": o["q"]}, pair(), "whole")
    with serving(one, other) as served:
        with pytest.raises(RefusedError, match="half, whole"):
            served.connect()
        with served.connect(policy="half") as a, served.connect(policy="whole") as b:
            assert a.act(q=[1, 1])["speed"].tolist() == [0.5, 0.5]
            assert b.act(q=[1, 1])["speed"].tolist() == [1.0, 1.0]
            assert (a.policy["name"], b.policy["name"]) == ("half", "whole")


def test_a_full_gateway_refuses_and_has_room_again() -> None:
    with serving(policy(half, pair()), settings=Settings(max_sessions=2)) as served:
        with served.connect() as one:
            two = served.connect(url=served.unix.replace("unix", "shm"))
            assert one.transport == two.transport == "shm"  # the last one may move too
            with pytest.raises(RefusedError) as caught:
                served.connect(timeout=0.05)
            assert caught.value.code == "too_many_sessions"
            assert caught.value.retryable
            assert one.act(q=[1, 1]).status == two.act(q=[1, 1]).status == "policy"
            two.close()
            with served.connect(timeout=20) as three:
                assert three.act(q=[1, 1]).status == "policy"


def test_a_second_hello_ends_the_session(served: Served, good: Good) -> None:
    with BinaryPeer(served.unix) as peer:
        assert isinstance(peer.greet(pair()), Welcome)
        peer.tell(hello())
        answer = peer.answer()
        assert isinstance(answer, ErrorAnswer)
        assert "HELLO" in answer.message
        assert peer.closed()
    good.asks()
    assert served.engine.counters.by_code == {"schema_violation": 1}


def test_the_same_session_again_takes_over(served: Served, good: Good) -> None:
    with BinaryPeer(served.unix) as first, BinaryPeer(served.unix) as second:
        welcome = first.greet(pair())
        assert isinstance(welcome, Welcome)
        assert not welcome.resumed
        first.step(1, 1.0, 1.0)
        again = second.greet(pair(), session=welcome.session, token=welcome.token, epoch=1)
        assert isinstance(again, Welcome)
        assert again.resumed
        assert again.session == welcome.session
        told = first.answer()
        assert isinstance(told, ErrorAnswer)
        assert told.code == "superseded"
        assert first.closed()
        assert second.step(2, 2.0, 2.0, epoch=1).arrays["speed"].tolist() == [[1.0, 1.0]]
    good.asks()


@pytest.mark.parametrize("token", ["", "0" * 32, "é", "\ud800"])
def test_a_session_cannot_be_taken_without_its_secret(
    served: Served, good: Good, token: str
) -> None:
    with BinaryPeer(served.unix) as first, BinaryPeer(served.unix) as second:
        welcome = first.greet(pair())
        assert isinstance(welcome, Welcome)
        again = second.greet(pair(), session=welcome.session, token=token, epoch=1)
        if isinstance(again, Welcome):
            assert not again.resumed
            assert again.session != welcome.session
        assert first.step(1, 2.0, 2.0).arrays["speed"].tolist() == [[1.0, 1.0]]
    good.asks()


def test_a_json_client_cannot_be_impersonated(served: Served) -> None:
    from ..support.peers import RawPeer

    with RawPeer(served.tcp) as plain, BinaryPeer(served.unix) as thief:
        name = plain.ask({"type": "ping"})["corr_id"].rpartition("-")[0]
        welcome = thief.greet(pair(), session=name, token="")
        assert isinstance(welcome, Welcome)
        assert not welcome.resumed
        assert plain.ask({"type": "ping"})["type"] == "ack"


def test_a_link_that_can_reset_is_never_answered_twice() -> None:
    from isthmus.protocol.messages import Observation, Ready, Reset

    counting = Counting()
    with serving(policy(counting, pair())) as served:
        with BinaryPeer(served.unix) as first:
            welcome = first.greet(pair(), can_reset=True)
            assert isinstance(welcome, Welcome)
            first.codec.bind(pair(), 1, training=True, asks=True)
            first.tell(Ready(1))
            assert isinstance(first.answer(), Reset)
            assert first.step(2, 1.0, 3.0).arrays["speed"].tolist() == [[0.5, 1.5]]
        inferences = len(counting.rows)
        with BinaryPeer(served.unix) as second:
            changes = {"session": welcome.session, "token": welcome.token, "epoch": 1}
            again = second.greet(pair(), can_reset=True, **changes)
            assert isinstance(again, Welcome)
            assert again.resumed
            second.codec.bind(pair(), 1, training=True, asks=True)
            q = np.array([[1.0, 3.0]], np.float32)
            second.tell(Observation({"q": q}, 2, 1))
            repeated = second.answer()
            assert (repeated.seq, repeated.epoch) == (2, 1)
            assert repeated.arrays["speed"].tolist() == [[0.5, 1.5]]
            assert len(counting.rows) == inferences
            assert second.step(3, 2.0, 2.0, epoch=1).arrays["speed"].tolist() == [[1.0, 1.0]]


def test_nobody_listens() -> None:
    with pytest.raises(ConnectError, match="isthmus serve MODEL"):
        isthmus.connect("unix:/nonexistent/s", timeout=0.05)


def test_an_offer_of_shared_memory_works_once(served: Served, good: Good) -> None:
    from isthmus.protocol.messages import Attach, Attached

    with BinaryPeer(served.unix) as peer:
        welcome = peer.greet(pair())
        assert isinstance(welcome, Welcome)
        nonce = welcome.upgrade["nonce"]
        for session, secret in ((welcome.session, "0" * 32), ("nobody", "x")):
            with BinaryPeer(served.unix) as thief:
                thief.tell(Attach(session, secret))
                answer = thief.answer()
                assert isinstance(answer, ErrorAnswer)
                assert answer.code == "upgrade_refused"
        with BinaryPeer(served.unix) as mover, BinaryPeer(served.unix) as second:
            mover.tell(Attach(welcome.session, nonce))
            assert isinstance(mover.answer(), Attached)
            second.tell(Attach(welcome.session, nonce))
            assert isinstance(second.answer(), ErrorAnswer)
            assert peer.closed()  # it moved
    until(lambda: len(served.engine.sessions) == 1)
    good.asks()
