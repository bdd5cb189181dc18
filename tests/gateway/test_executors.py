"""Who runs the policy: misses at the budget while a worker sleeps, and faults that stay faults."""

from __future__ import annotations

import threading
from asyncio import CancelledError
from typing import Any

import numpy as np
import pytest

from isthmus.errors import InferenceError
from isthmus.gateway import Settings, desk
from isthmus.gateway.batch import Batch
from isthmus.gateway.executor import Threaded
from isthmus.gateway.session import Job, Session
from isthmus.policy.step import StepArrays
from isthmus.protocol.messages import Action, ErrorAnswer, Observation, Outcome

from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.peers import BinaryPeer, RawPeer
from ..support.policies import Raw, Scripted, Summing, half, policy
from ..support.waiting import until

THREAD = Settings(executor="thread")
BUDGET = 20_000_000


def asked(peer: BinaryPeer, seq: int, value: float, budget_ns: int = 0) -> Action:
    arrays = {"q": np.array([[value, value]], np.float32)}
    peer.tell(Observation(arrays, seq, budget_ns=budget_ns))
    answer = peer.answer()
    assert isinstance(answer, Action), answer
    return answer


def test_a_miss_is_answered_while_the_policy_sleeps() -> None:
    scripted = Scripted()
    with serving(policy(scripted, pair()), settings=THREAD) as served:
        with BinaryPeer(served.unix) as slow, BinaryPeer(served.unix) as other:
            slow.greet(pair())
            other.greet(pair())
            missed = asked(slow, 1, 107.0, BUDGET)
            assert (missed.outcome, missed.arrays, missed.seq) == (Outcome.MISS, {}, 1)
            # it may ask again, and so may others: all are answered at their budgets
            for seq in (2, 3, 4):
                assert asked(slow, seq, 1.0, BUDGET).outcome == Outcome.MISS
                assert asked(other, seq, 1.0, BUDGET).outcome == Outcome.MISS
            counters = served.engine.counters
            assert counters.misses == 7
            waiting = served.engine._desk._executors["policy"]._waiting  # type: ignore[attr-defined]
            assert len(waiting) <= 2  # one a session, however long the policy hangs
            scripted.release.set()
            until(lambda: counters.late == 1, "the late inference was not noticed")
            back = asked(slow, 5, 3.0)
            assert (back.outcome, back.arrays["speed"].tolist()) == (Outcome.POLICY, [[1.5, 1.5]])


def test_who_leaves_while_a_policy_hangs_leaves_nothing() -> None:
    scripted = Scripted()
    with serving(policy(scripted, pair()), settings=THREAD) as served:
        counters = served.engine.counters
        desk = served.engine._desk
        with BinaryPeer(served.unix) as stays:
            stays.greet(pair(), pacing="lockstep")
            stays.tell(Observation({"q": np.full((1, 2), 107, np.float32)}, 1))
            until(lambda: counters.observations == 1)
            for times in range(5):
                with BinaryPeer(served.unix) as leaves:
                    leaves.greet(pair(), pacing="lockstep")
                    leaves.tell(Observation({"q": np.ones((1, 2), np.float32)}, 1))
                    until(lambda: counters.observations == times + 2)  # noqa: B023
                until(lambda: len(served.engine.sessions) == 1)
                assert len(desk.waiting) == 1
                assert len(desk._executors["policy"]._waiting) <= 1  # type: ignore[attr-defined]
            scripted.release.set()
            assert isinstance(stays.answer(), Action)


def test_what_was_missed_is_not_remembered() -> None:
    class Slow(Summing):
        scripted = Scripted()

        def infer(self, observation, action, state, next_state):  # type: ignore[no-untyped-def]
            super().infer(observation, action, state, next_state)
            if observation["q"][0, 0] == 107:
                self.scripted.release.wait(30)

    slow = Slow(pair())
    with serving(slow, settings=THREAD) as served, BinaryPeer(served.unix) as peer:
        peer.greet(pair())
        assert asked(peer, 1, 1.0).arrays["speed"].tolist() == [[1, 1]]
        assert asked(peer, 2, 107.0, BUDGET).outcome == Outcome.MISS
        slow.scripted.release.set()
        assert asked(peer, 3, 1.0).arrays["speed"].tolist() == [[2, 2]]


def test_an_inline_policy_that_sleeps_is_a_miss_afterwards() -> None:
    def sleepy(observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if observation["q"][0, 0] == 7:
            import time

            time.sleep(0.05)
        return {"speed": observation["q"]}

    settings = Settings(executor="inline")
    with serving(policy(sleepy, pair()), settings=settings) as served:
        with BinaryPeer(served.unix) as peer:
            peer.greet(pair())
            assert asked(peer, 1, 7.0, BUDGET).outcome == Outcome.MISS
            assert asked(peer, 2, 1.0).outcome == Outcome.POLICY
            assert served.engine.counters.misses == 1


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_a_policy_of_ones_own_may_raise_anything(executor: str) -> None:
    with serving(Raw(pair()), settings=Settings(executor=executor)) as served:
        with BinaryPeer(served.unix) as peer:
            peer.greet(pair())
            answer = peer.step(1, 101.0, 1.0)
            assert isinstance(answer, ErrorAnswer)
            assert answer.code == "inference_failed"
            assert "ZeroDivisionError" in answer.message
            assert peer.step(2, 1.0, 1.0).arrays["speed"].tolist() == [[0.5, 0.5]]
            assert served.engine.counters.by_code == {"inference_failed": 1}


@pytest.mark.parametrize(
    ("executor", "raised"),
    [
        ("inline", SystemExit),
        ("inline", CancelledError),
        ("thread", SystemExit),
        ("thread", CancelledError),
        ("thread", KeyboardInterrupt),
    ],
)
def test_a_policy_that_would_end_the_process_fails_alone(
    executor: str, raised: type[BaseException]
) -> None:
    def leaves(observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if observation["q"][0, 0] == 107:
            raise raised("enough")
        return half(observation)

    with serving(policy(leaves, pair()), settings=Settings(executor=executor)) as served:
        with BinaryPeer(served.unix) as peer:
            peer.greet(pair())
            answer = peer.step(1, 107.0, 1.0)
            assert isinstance(answer, ErrorAnswer)
            assert answer.code == "inference_failed"
            assert f"{raised.__name__}: enough" in answer.message
            assert asked(peer, 2, 1.0).arrays["speed"].tolist() == [[0.5, 0.5]]


def test_a_batch_that_has_no_room_fails_alone() -> None:
    class Small(Summing):
        def initial_state(self, num_envs: int) -> dict[str, np.ndarray]:
            if num_envs > 4:
                raise MemoryError("more than four")
            return super().initial_state(num_envs)

    batch = Batch(Small(pair()))
    arrays = StepArrays(Small(pair()), 3)
    session = Session(None, None, "", arrays=arrays)  # type: ignore[arg-type]
    observation = Observation({"q": np.ones((3, 2), np.float32)}, 1)
    jobs = [Job(session, observation, 0, 0, 0, 0) for _ in range(2)]
    batch.fill(jobs)
    batch.run()
    batch.split()
    assert ["MemoryError: more than four" in str(fault) for fault in batch.faults] == [True, True]
    batch.fill(jobs[:1])
    batch.run()
    assert batch.faults == [None]


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_a_policy_that_cannot_answer_zeros_is_not_served(executor: str) -> None:
    class Never(Raw):
        def infer(self, *arrays: object) -> None:
            raise ValueError("never")

    with pytest.raises(InferenceError, match="ValueError: never"):
        with serving(Never(pair()), settings=Settings(executor=executor)):
            pass


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_huge_numbers_are_finite_and_pass(executor: str) -> None:
    with serving(policy(Scripted(), pair()), settings=Settings(executor=executor)) as served:
        with BinaryPeer(served.unix) as peer:
            peer.greet(pair())
            answer = peer.step(1, 108.0, 1.0)
            assert isinstance(answer, Action)
            assert (answer.arrays["speed"] == np.float32(3e38)).all()


def test_the_gateway_closes_while_a_policy_sleeps() -> None:
    scripted = Scripted()
    with serving(policy(scripted, pair()), settings=THREAD) as served:
        with BinaryPeer(served.unix) as peer:
            peer.greet(pair())
            peer.tell(Observation({"q": np.full((1, 2), 107, np.float32)}, 1))
            until(lambda: served.engine.counters.observations == 1)
            served.engine.stop()
            assert type(peer.answer()).__name__ == "Bye"
            scripted.release.set()
            assert peer.closed()


def test_a_lone_json_line_while_the_policy_sleeps() -> None:
    scripted = Scripted()
    with serving(policy(scripted, pair()), settings=THREAD) as served:
        with RawPeer(served.unix) as peer:
            peer.say({"type": "obs", "data": {"q": [107, 1]}, "budget_ns": 30_000_000_000})
            peer.socket.shutdown(1)
            until(lambda: served.engine.counters.observations == 1)
            scripted.release.set()
            assert peer.hear()["type"] == "action"


# a policy that turns out to be slow ---------------------------------------------------------------


class Turns(Summing):
    """Recurrent; 7 takes a while, and 107 lasts until it is released."""

    name = "turns"

    def __init__(self) -> None:
        super().__init__(pair())
        self.release = threading.Event()

    def infer(self, observation: Any, action: Any, state: Any, next_state: Any) -> None:
        super().infer(observation, action, state, next_state)
        if (observation["q"] == 7).any():
            threading.Event().wait(0.05)
        if (observation["q"] == 107).any():
            self.release.wait(30)


def kinds(served: Served) -> list[str]:
    return [found.executor for found in served.engine.ledger.snapshot().policies]


def test_a_policy_that_becomes_slow_is_moved_to_a_worker(caplog: Any) -> None:
    turns = Turns()
    settings = Settings(deadline_ns=100_000_000)
    with serving(turns, settings=settings) as served:
        with BinaryPeer(served.unix) as peer, BinaryPeer(served.unix) as other:
            peer.greet(pair())
            other.greet(pair())
            assert asked(peer, 1, 1.0).arrays["speed"].tolist() == [[1, 1]]
            assert asked(other, 1, 2.0).arrays["speed"].tolist() == [[2, 2]]
            assert asked(peer, 2, 7.0).arrays["speed"].tolist() == [[8, 8]]
            assert asked(other, 2, 1.0).arrays["speed"].tolist() == [[3, 3]]
            # once may be the host's doing
            assert (served.engine.executors, kinds(served)) == ({"turns": "inline"}, ["inline"])
            peer.tell(Observation({"q": np.full((1, 2), 7, np.float32)}, 3))
            other.tell(Observation({"q": np.full((1, 2), 5, np.float32)}, 3))
            assert peer.answer().arrays["speed"].tolist() == [[15, 15]]  # type: ignore[union-attr]
            assert other.answer().arrays["speed"].tolist() == [[8, 8]]  # type: ignore[union-attr]
            until(lambda: served.engine.executors == {"turns": "thread"})
            until(lambda: kinds(served) == ["thread"])
            # from now on deadlines are kept, of everyone, and what was remembered still is
            assert asked(peer, 4, 107.0, BUDGET).outcome == Outcome.MISS
            assert asked(other, 4, 1.0, BUDGET).outcome == Outcome.MISS
            turns.release.set()
            assert asked(other, 5, 1.0).arrays["speed"].tolist() == [[9, 9]]
            assert asked(peer, 5, 7.0).arrays["speed"].tolist() == [[22, 22]]
    told = [record for record in caplog.records if "a worker thread runs it" in record.message]
    assert len(told) == 1


def test_an_inline_policy_stays_inline() -> None:
    settings = Settings(executor="inline", deadline_ns=100_000_000)
    with serving(Turns(), settings=settings) as served, BinaryPeer(served.unix) as peer:
        peer.greet(pair())
        for seq, value in enumerate((7.0, 7.0, 1.0), 1):
            asked(peer, seq, value)
        assert served.engine.executors == {"turns": "inline"}


def test_where_no_worker_can_be_started_it_stays_inline(
    monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def refused(*args: Any, **options: Any) -> Threaded:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(desk, "Threaded", refused)
    settings = Settings(deadline_ns=100_000_000)
    with serving(Turns(), settings=settings) as served, BinaryPeer(served.unix) as peer:
        peer.greet(pair())
        for seq, value in enumerate((7.0, 7.0, 1.0), 1):
            answer = asked(peer, seq, value)
        assert answer.arrays["speed"].tolist() == [[15, 15]]
        assert served.engine.executors == {"turns": "inline"}
    assert caplog.text.count("no worker can be started") == 1
