"""What the gateway does for clients without a link: limits, joints, hints."""

from __future__ import annotations

import itertools
from dataclasses import replace
from time import monotonic_ns
from typing import Any

import numpy as np
import pytest

from isthmus import Contract, Limits
from isthmus.gateway import Settings
from isthmus.gateway.inside import Inside, as_measured
from isthmus.gateway.ledger import Ledger
from isthmus.gateway.plain import JointWatch, dress
from isthmus.gateway.session import Session
from isthmus.policy.constant import ConstantPolicy
from isthmus.policy.step import StepArrays
from isthmus.protocol import JsonCodec, ServerProtocol
from isthmus.safety import Guard

from ..support.contracts import DELTA, DT_NS, POSITION, pair
from ..support.gateways import serving
from ..support.peers import RawPeer
from ..support.policies import Arrays, half, policy
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
        [[delta, other]] = inside.keep(action, observation, described.control_dt_ns)["speed"]
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


def test_the_sum_is_that_of_the_number_as_it_is_written() -> None:
    rng = np.random.default_rng(18)
    nearly = 0
    inside = Inside(contract())
    for q in rng.uniform(-1, 1, 300).round(3).astype(np.float32):
        # the largest delta that is allowed, and the few beside it
        delta = np.nextafter(np.float32(1 - float(q)), np.float32(0))
        for wanted in (delta, np.nextafter(delta, np.float32(9))):
            observation = {"q": np.array([[q, 0.0]], np.float32)}
            action = {"speed": np.array([[wanted, 0.0]], np.float32)}
            [[kept, _]] = inside.keep(action, observation, DT_NS)["speed"]
            assert float(q) + float(f"{kept:.9g}") <= 1
            nearly += float(q) + float(wanted) <= 1 < float(q) + float(f"{wanted:.9g}")
    assert nearly  # it was needed


def test_what_has_no_limits_is_left_alone() -> None:
    action = {"speed": np.full((1, 2), 9, np.float32)}
    observation = {"q": np.zeros((1, 2), np.float32)}
    for described in (pair(DELTA), pair(POSITION, limit=BOX), contract(Limits(max_rate=(1, 1)))):
        assert Inside(described).keep(action, observation, DT_NS)["speed"] is action["speed"]
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


def test_the_way_back_takes_as_long_as_time_passes() -> None:
    inside = Inside(contract())
    observation = {"q": np.array([[1.5, 0.0]], np.float32)}
    action = {"speed": np.zeros((1, 2), np.float32)}
    for step_ns in (0, 1, DT_NS // 2, DT_NS, 2 * DT_NS):
        [[delta, _]] = inside.keep(action, observation, step_ns)["speed"]
        assert delta == pytest.approx(-1.0 * step_ns / 1e9)
    observation["q"][...] = -1.25
    one_sided = contract(Limits(low=(-1.0, -1.0)))  # no range, no rate: nothing to lead back by
    assert Inside(one_sided).keep(action, observation, 0)["speed"] is action["speed"]


# time -------------------------------------------------------------------------------------------

RATED = replace(BOX, low=(-9.0, -9.0), high=(9.0, 9.0), max_rate=(1.0, 1.0))


def leap(observation: Arrays) -> Arrays:
    return {"speed": np.full_like(observation["q"], 0.5)}


def walked(peer: RawPeer, moments: Any) -> list[float]:
    """A client that adds every delta up: where it stood."""
    q, places = 0.0, []
    for moment in moments:
        more = {} if moment is None else {"sim_time": moment}
        answer = peer.ask({"type": "obs", "data": {"q": [q, 0.0], **more}})
        q += answer["data"]["speed"][0]
        places.append(q)
    return places


@pytest.mark.parametrize("settings", [Settings(), SPECIFIED])
@pytest.mark.parametrize("actuator", ["simulated", "real"])
def test_a_rate_holds_in_simulation_time(settings: Settings, actuator: str) -> None:
    fast = policy(leap, contract(RATED, actuator=actuator))
    with serving(fast, settings=settings) as served, RawPeer(served.tcp) as peer:
        moments = [0.0005 * step for step in range(41)]  # forty times as often as control_dt
        places = walked(peer, moments)
        assert places[-1] <= moments[-1] + DT_NS / 1e9  # the first step has no time before it
        still = walked(peer, [7.0] * 6)  # after one of the longest steps, nothing moves
        assert still == [still[0]] * 6
        assert still[0] <= 2 * DT_NS / 1e9
        assert walked(peer, [6.0, 6.01]) == pytest.approx([0.0, 0.01], rel=1e-5)


def test_without_it_a_robots_rate_is_that_of_the_clock() -> None:
    fast = policy(leap, contract(RATED, actuator="real"))
    with serving(fast) as served, RawPeer(served.tcp) as peer:
        began = monotonic_ns()
        places = walked(peer, [None] * 200)
        assert places[-1] <= (monotonic_ns() - began + DT_NS) / 1e9


def test_without_it_a_simulator_keeps_its_own_pace() -> None:
    fast = policy(leap, contract(RATED))
    with serving(fast) as served, RawPeer(served.tcp) as peer:
        assert walked(peer, [None] * 50)[-1] == pytest.approx(50 * DT_NS / 1e9, rel=1e-5)


def test_a_reset_begins_with_a_time_of_its_own() -> None:
    fast = policy(leap, contract(RATED))
    with serving(fast) as served, RawPeer(served.tcp) as peer:
        walked(peer, [5.0, 5.02])
        data = peer.ask(
            {"type": "obs", "data": {"q": [0.0, 0.0], "sim_time": 0.0}, "reset": {"mask": None}}
        )["data"]
        assert data["speed"][0] == pytest.approx(DT_NS / 1e9, rel=1e-5)


# the guard of a session --------------------------------------------------------------------------


def test_before_a_valid_action_an_arm_is_held_where_it_stands() -> None:
    described = pair(POSITION, limit=Limits(low=(-1.0, -1.0), high=(1.0, 1.0)))
    found = policy(lambda observation: {"speed": observation["q"] * 0 + np.float32(50)}, described)
    with serving(found) as served, RawPeer(served.tcp) as peer:
        for q in ([1.25, 0.0], [0.5, 0.5], [-0.5, 0.25], [0.0, 0.0]):
            assert peer.ask(obs(*q))["data"]["speed"] == q


@pytest.mark.parametrize("after", ["real", "simulated"])
def test_another_policy_leaves_a_stopped_robot_stopped(after: str) -> None:
    codec = JsonCodec()
    session = Session(None, ServerProtocol(codec), "", plain=True)  # type: ignore[arg-type]

    def dressed(actuator: str, most: float) -> Guard:
        found = policy(half, contract(replace(BOX, high=(most, 2.0)), actuator=actuator))
        dress(session, found, StepArrays(found, 1), Settings())
        assert session.guard is not None
        return session.guard

    def applied(guard: Guard, now_ns: int, wanted: Any) -> tuple[str, str]:
        measured = {"q": np.zeros((1, 2), np.float32)}
        outcome = guard.apply(now_ns, wanted, measured, None, "deadline")
        return outcome.status, outcome.cause

    good = {"speed": np.zeros((1, 2), np.float32)}
    before = dressed("real", 1.0)
    assert applied(before, 1, good) == ("policy", "")
    assert applied(before, 10**10, None) == ("stopped", "deadline")
    guard = dressed(after, 0.5)
    assert guard is not before
    assert applied(guard, 10**10 + 1, None) == ("stopped", "deadline")
    for _ in range(3):
        assert applied(guard, 10**10 + 2, good) == ("stopped", "latched")
    guard.reset(10**10 + 3)
    assert applied(guard, 10**10 + 4, good) == ("stopped", "latched")
    guard.rearm(10**10 + 5)
    assert applied(guard, 10**10 + 6, good) == ("policy", "")


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
