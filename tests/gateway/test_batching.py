"""Everything that is ready is answered by one inference, and a bad row hurts nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest

from isthmus.gateway import Settings
from isthmus.protocol.messages import Action, ErrorAnswer, Observation, Outcome

from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.peers import BinaryPeer
from ..support.policies import Arrays, Counting, Scripted, half, policy
from ..support.waiting import until


class Held:
    """A policy that waits inside an inference until it is released, so that questions gather."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.holding = False

    def __call__(self, observation: Arrays) -> Any:
        if self.holding and observation["q"][0, 0] == 99:
            self.inside.set()
            assert self.go_on.wait(30)
        return self.inner(observation)

    def hold(self, peer: BinaryPeer) -> None:
        """Make the engine busy with `peer`'s question."""
        self.holding = True
        peer.tell(Observation({"q": np.full((1, 2), 99, np.float32)}, 1))
        assert self.inside.wait(30)

    def release(self) -> None:
        """Go on."""
        self.holding = False
        self.go_on.set()


@contextmanager
def together(inner: Any, count: int, **settings: Any) -> Iterator[tuple[Any, list[BinaryPeer]]]:
    held = Held(inner)
    with serving(policy(held, pair()), settings=Settings(**settings)) as served, ExitStack() as on:
        peers = [on.enter_context(BinaryPeer(served.unix)) for _ in range(count + 1)]
        for peer in peers:
            peer.greet(pair())
        busy, rest = peers[0], peers[1:]

        def ask(rows: list[float]) -> list[Any]:
            held.hold(busy)
            for peer, value in zip(rest, rows, strict=True):
                peer.tell(Observation({"q": np.full((1, 2), value, np.float32)}, 1))
            held.release()
            busy.answer()
            return [peer.answer() for peer in rest]

        yield ask, rest


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_64_sessions_share_one_inference(executor: str) -> None:
    counting = Counting()
    with together(counting, 64, executor=executor) as (ask, _):
        counting.rows.clear()
        answers = ask([float(index) for index in range(64)])
        for index, answer in enumerate(answers):
            assert answer.arrays["speed"].tolist() == [[index / 2, index / 2]]
        # the first call is the one that kept the engine busy; a worker may start on what came
        # first, and everything else waits for it together
        assert sum(counting.rows) == 65
        assert len(counting.rows) <= 3
        assert max(counting.rows) >= 32


def test_deterministic_is_one_session_a_call() -> None:
    counting = Counting()
    with together(counting, 8, executor="inline", deterministic=True) as (ask, _):
        counting.rows.clear()
        ask([1.0] * 8)
        assert counting.rows == [1] * 9


@pytest.mark.parametrize("executor", ["inline", "thread"])
@pytest.mark.parametrize(
    "deed,code",
    [(101, "inference_failed"), (102, "not_finite"), (103, "not_finite"), (104, "inference_failed"),
     (105, "inference_failed"), (106, "inference_failed")],
)  # fmt: skip
def test_only_the_bad_row_gets_the_error(executor: str, deed: int, code: str) -> None:
    with together(Scripted(), 5, executor=executor) as (ask, _):
        answers = ask([1.0, 2.0, float(deed), 4.0, 5.0])
        bad = answers.pop(2)
        assert isinstance(bad, ErrorAnswer)
        assert bad.code == code
        assert [answer.arrays["speed"][0, 0] for answer in answers] == [0.5, 1.0, 2.0, 2.5]
        assert all(answer.outcome == Outcome.POLICY for answer in answers)


def test_sessions_of_many_sizes_share_a_call(served: Served) -> None:
    held = Held(half)
    with serving(policy(held, pair())) as served, ExitStack() as on:
        busy = on.enter_context(BinaryPeer(served.unix))
        busy.greet(pair())
        sizes = [1, 3, 2, 7]
        peers = [on.enter_context(BinaryPeer(served.unix)) for _ in sizes]
        for peer, size in zip(peers, sizes, strict=True):
            peer.greet(pair(), num_envs=size)
        held.hold(busy)
        for index, (peer, size) in enumerate(zip(peers, sizes, strict=True)):
            q = np.arange(size * 2, dtype=np.float32).reshape(size, 2) + index * 100
            peer.tell(Observation({"q": q}, 1))
        held.release()
        busy.answer()
        for index, (peer, size) in enumerate(zip(peers, sizes, strict=True)):
            expected = (np.arange(size * 2, dtype=np.float32).reshape(size, 2) + index * 100) / 2
            answer = peer.answer()
            assert isinstance(answer, Action)
            assert np.array_equal(answer.arrays["speed"], expected)


@pytest.mark.parametrize("executor", ["inline", "thread"])
def test_a_session_that_dies_in_the_middle_of_a_pass(executor: str) -> None:
    held = Held(half)
    with serving(policy(held, pair()), settings=Settings(executor=executor)) as served:
        with ExitStack() as on:
            peers = [on.enter_context(BinaryPeer(served.unix)) for _ in range(4)]
            for peer in peers:
                peer.greet(pair())
            held.hold(peers[0])
            for peer in peers[1:]:
                peer.tell(Observation({"q": np.ones((1, 2), np.float32)}, 1))
            peers[2].__exit__(None, None, None)
            held.release()
            for peer in (peers[0], peers[1], peers[3]):
                assert isinstance(peer.answer(), Action)
            until(lambda: len(served.engine.sessions) == 3)
            assert peers[1].step(2, 3.0, 3.0).arrays["speed"].tolist() == [[1.5, 1.5]]
