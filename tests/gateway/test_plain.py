"""What the gateway does for clients without a link: limits, joints, hints."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from isthmus import Contract, Limits
from isthmus.gateway import Settings
from isthmus.gateway.inside import Inside, as_measured
from isthmus.gateway.ledger import Ledger
from isthmus.gateway.plain import JointWatch
from isthmus.policy.constant import ConstantPolicy

from ..support.contracts import DELTA, POSITION, pair
from ..support.gateways import serving
from ..support.peers import RawPeer
from ..support.policies import Arrays, policy
from ..support.waiting import until

BOX = Limits(low=(-1.0, -2.0), high=(1.0, 2.0))
SPECIFIED = Settings(joints=2)


def contract(limits: Limits = BOX, **changes: Any) -> Contract:
    return pair(replace(DELTA, reference="measured", fallback="zero"), limit=limits, **changes)


def obs(*q: float, **more: Any) -> dict[str, Any]:
    return {"type": "obs", "data": {"q": list(q)}, **more}


class Sink:
    """Events, as they are emitted."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def emit(self, event: Any) -> None:
        self.events.append(dict(event))

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("type") == type_]


# the joints of all plain clients ----------------------------------------------------------------


def test_a_run_of_empty_states_is_told_when_it_changes() -> None:
    watch = JointWatch(None, 0)
    assert [watch.empties(joints) for joints in (2, 0, 0, 0, 2, 2, 0)] == [
        None,
        1,
        2,
        3,
        0,
        None,
        1,
    ]


def test_another_number_of_joints_is_said_once_in_a_while() -> None:
    watch = JointWatch(2, 100)
    assert [watch.differs(joints) for joints in (0, 1, 2, 3)] == [False, True, False, True]
    assert not JointWatch(None, 100).differs(3)
    assert [watch.due(now) for now in (5, 50, 104, 105, 106, 300)] == [
        True, False, False, True, False, True,
    ]  # fmt: skip


def test_they_are_counted_over_connections() -> None:
    sink = Sink()
    ledger = Ledger(sink)
    still = ConstantPolicy(contract(), 0.0)
    with serving(still, settings=SPECIFIED, ledger=ledger) as served:
        for q in ((), (), (), (1, 2, 3), (1,), (0, 0)):
            with RawPeer(served.tcp) as peer:
                answer = peer.ask(obs(*q))
                assert answer["type"] == ("action" if len(q) == 2 else "error")
                if len(q) != 2:
                    assert answer["error"] == "schema_violation"
        counters = served.engine.counters
        assert (counters.empty_joint_state, counters.joint_spec_mismatch) == (3, 2)
    [event] = sink.of("joint_spec_mismatch")  # the second within the cooldown
    assert (event["expected"], event["actual"]) == (2, 3)
    assert sink.of("empty_joint_state")


# q + delta stays inside -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rate", [None, 5.0])
def test_q_plus_delta_swept_through_its_limits(dtype: str, rate: float | None) -> None:
    limits = replace(BOX, max_rate=None if rate is None else (rate, rate))
    described = contract(limits, field={"dtype": dtype})
    inside = Inside(described)
    values = np.array([-9, -1.9, -1.001, -1, -0.999, -0.1, 0, 0.3, 0.999, 1, 1.001, 1.9, 9])
    most = (1.0 if rate is None else rate) * described.control_dt  # half of the range, 2, a second
    for q, wanted in itertools.product(values.astype(np.float32), values.astype(dtype)):
        observation = {"q": np.array([[q, 0.0]], np.float32)}
        action = {"speed": np.array([[wanted, 0.0]], dtype)}
        [[delta, other]] = inside.keep(action, observation)["speed"]
        assert other == 0
        if -1 <= float(q) + float(wanted) <= 1 or abs(q) > 2:  # a broken measurement is not his
            assert delta == wanted
            continue
        if abs(q) > 1:
            assert abs(float(delta)) <= most * (1 + 1e-3)
        if abs(float(q)) < 1 + most * (1 - 1e-3):
            assert -1 <= float(q) + float(delta) <= 1
        else:
            assert abs(delta) == pytest.approx(most)
            assert abs(q + delta) < abs(q)


def test_what_has_no_limits_is_left_alone() -> None:
    action = {"speed": np.full((1, 2), 9, np.float32)}
    observation = {"q": np.zeros((1, 2), np.float32)}
    for described in (pair(DELTA), pair(POSITION, limit=BOX), contract(Limits(max_rate=(1, 1)))):
        assert Inside(described).keep(action, observation)["speed"] is action["speed"]
        assert as_measured(described) == described


def test_a_delta_is_held_against_the_q_that_came_with_it() -> None:
    """A client may set its arm anywhere between two messages, and says so only by its `q`."""
    walk = ConstantPolicy(pair(DELTA, limit=BOX), 0.125)
    with serving(walk, settings=SPECIFIED) as served, RawPeer(served.tcp) as peer:
        for _ in range(20):
            assert peer.ask(obs(0.0, 0.0))["data"]["speed"] == [0.125, 0.125]
        data = peer.ask(obs(0.9375, 0.0))["data"]
        assert data["speed"][0] == pytest.approx(0.0625, abs=1e-5)
        assert 0.9375 + data["speed"][0] <= 1
        assert (data["joint_limit_clipped"], data["clipped_joint_indices"]) == (True, [0])
        until(lambda: served.engine.counters.joint_limit_violation == 1)


def test_limits_that_change_actions_are_told_of_once_in_a_row() -> None:
    sink = Sink()
    walk = ConstantPolicy(pair(DELTA, limit=BOX), 0.125)
    with serving(walk, settings=SPECIFIED, ledger=Ledger(sink)) as served:
        with RawPeer(served.tcp) as peer:
            for q in (0.0, 0.9375, 0.9375, 0.0, 0.9375):
                peer.ask(obs(q, 0.0))
        until(lambda: served.engine.counters.joint_limit_violation == 3)
    assert [event["joints"] for event in sink.of("joint_limit_violation")] == [[0], [0]]
    assert all(event["corr_id"] for event in sink.of("joint_limit_violation"))


def test_an_arm_that_is_outside_is_led_back_also_by_the_fallback() -> None:
    def nowhere(observation: Arrays) -> Arrays:
        return {"speed": np.full_like(observation["q"], 9.0)}  # far out of range: rejected

    found = policy(nowhere, contract())
    with serving(found, settings=SPECIFIED) as served, RawPeer(served.tcp) as peer:
        data = peer.ask(obs(1.5, 0.0))["data"]
        step = 1.0 * contract().control_dt  # half of the range, 2, a second
        assert data["speed"] == [pytest.approx(-step), 0]
        data = peer.ask(obs(1 + step / 2, 0.0))["data"]
        assert data["speed"] == [pytest.approx(-step / 2, abs=1e-5), 0]
        assert 1 + step / 2 + data["speed"][0] <= 1
        assert data["clipped_joint_indices"] == [0, 1]
        assert data["deadline_miss"] is False  # it was in time, and not let through


# what they are told -----------------------------------------------------------------------------


@pytest.mark.parametrize("hint", [None, 0.25])
def test_the_hint_is_sent_and_changes_nothing(hint: float | None) -> None:
    settings = Settings(action_scale=hint)
    with serving(ConstantPolicy(contract(), 0.125), settings=settings) as served:
        with RawPeer(served.tcp) as peer:
            data = peer.ask(obs(0.0, 0.0))["data"]
    assert data["speed"] == [0.125, 0.125]
    assert data.get("action_scale_hint") == hint
    assert data["policy_kind"] == "constant"
