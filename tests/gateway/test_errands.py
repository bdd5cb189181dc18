"""Questions answered beside the engine: nobody else waits, and whoever leaves is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from isthmus.gateway.session import Session
from isthmus.protocol.messages import AdminAck, Answer, ErrorAnswer, Message

from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.peers import RawPeer
from ..support.policies import half, policy
from ..support.waiting import LAST_RESORT, until

ADMIN = {"type": "admin", "op": "slow"}
Finish = Callable[[], Answer]


class Slow:
    """Answers every admin question by an errand that waits for `release`; says who did what."""

    def __init__(self, served: Served) -> None:
        self.release = threading.Event()
        self.began = threading.Event()
        self.threads: list[str] = []
        self.errands = served.engine._errands
        self.fail_at = ""
        served.engine._act_on = self.act_on  # type: ignore[method-assign]

    def act_on(self, session: Session, message: Message) -> None:
        self.errands.run(session, self.work)

    def work(self) -> Finish:
        self.threads.append(threading.current_thread().name)
        self.began.set()
        assert self.release.wait(LAST_RESORT)
        if self.fail_at == "work":
            raise OSError("the disk is gone")
        return self.finish

    def finish(self) -> Answer:
        self.threads.append(threading.current_thread().name)
        if self.fail_at == "finish":
            raise KeyError("nobody expected this")
        return AdminAck("slow", corr_id="done")


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(policy(half, pair())) as found:
        yield found


def test_others_are_answered_while_an_errand_runs(served: Served) -> None:
    slow = Slow(served)
    with RawPeer(served.tcp) as asks, RawPeer(served.tcp) as other:
        asks.say(ADMIN, ADMIN)
        assert slow.began.wait(LAST_RESORT)
        assert other.ask({"type": "obs", "data": {"q": [1.0, 2.0]}})["type"] == "action"
        slow.release.set()
        assert [asks.hear()["corr_id"] for _ in range(2)] == ["done", "done"]
    errand, engine = slow.threads[:2]
    assert errand == "isthmus-errands" and engine != errand
    assert slow.threads == [errand, engine] * 2


@pytest.mark.parametrize("fail_at", ["work", "finish"])
def test_an_errand_that_fails_is_told_and_hurts_nobody(served: Served, fail_at: str) -> None:
    slow = Slow(served)
    slow.fail_at = fail_at
    slow.release.set()
    with RawPeer(served.tcp) as asks:
        answer = asks.ask(ADMIN)
        assert (answer["type"], answer["error"]) == ("error", "internal")
        slow.fail_at = ""
        assert asks.ask(ADMIN)["corr_id"] == "done"


def test_who_leaves_before_its_errand_is_done_gets_no_answer(served: Served) -> None:
    slow = Slow(served)
    with RawPeer(served.unix) as asks:
        asks.say(ADMIN)
        assert slow.began.wait(LAST_RESORT)  # over a Unix socket, whose end is seen at once
    until(lambda: not served.engine.sessions)
    slow.release.set()
    until(lambda: len(slow.threads) == 2)
    with RawPeer(served.tcp) as other:
        assert other.ask(ADMIN)["corr_id"] == "done"
    assert ErrorAnswer("internal").code not in served.engine.counters.by_code


def test_what_hangs_in_one_lane_holds_up_no_other(served: Served) -> None:
    slow = Slow(served)
    with RawPeer(served.tcp) as asks, RawPeer(served.tcp) as other:
        asks.say(ADMIN)
        assert slow.began.wait(LAST_RESORT)

        def quick(session: Session, message: Message) -> None:
            slow.errands.run(session, lambda: lambda: AdminAck("slow", corr_id="quick"), "another")

        served.engine._act_on = quick  # type: ignore[method-assign]
        assert other.ask(ADMIN)["corr_id"] == "quick"
        slow.release.set()
        assert asks.hear()["corr_id"] == "done"
