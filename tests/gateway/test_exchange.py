"""The exchange of policies, where sessions do not move at once."""

from __future__ import annotations

from isthmus.gateway import Settings
from isthmus.gateway.answers import Answers
from isthmus.gateway.counters import Counters
from isthmus.gateway.desk import Desk
from isthmus.gateway.exchange import Exchange
from isthmus.gateway.loading import Loaded
from isthmus.gateway.register import Register
from isthmus.gateway.watch import Watch
from isthmus.policy.step import StepArrays

from ..support.contracts import pair
from ..support.policies import half, policy
from .ledgers import session

DEADLINE_NS = 1_000_000_000


def test_a_move_that_another_exchange_overtakes_is_forgotten() -> None:
    first, second, third = (policy(half, pair(), name) for name in ("first", "second", "third"))
    served = {first.name: first}
    answers = Answers(DEADLINE_NS, Counters())
    desk = Desk(served, {first.name: 1}, answers, executor="inline", alone=False)
    watch = Watch()
    exchange = Exchange(
        desk, Register(served, {first.name: 1}), watch,
        collect=lambda executor, _: executor.collect(), settings=Settings(),
    )  # fmt: skip
    robot = session()
    robot.admitted, robot.policy, robot.arrays = True, first, StepArrays(first, 1)
    robot.protocol.open_seq = 1  # it waits for an answer of the first policy
    exchange.replace(Loaded(second, 1), [robot], DEADLINE_NS)
    assert (robot.policy, list(exchange.moving)) == (first, [robot])
    robot.protocol.open_seq = None  # which it has now, and it has not been read since
    exchange.replace(Loaded(third, 1), [robot], DEADLINE_NS)
    assert (robot.policy, exchange.moving) == (third, {})
    exchange.close()
    desk.close()
    watch.close()
