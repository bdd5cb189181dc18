"""Whatever a policy answers, the robot gets finite numbers of the right shape inside the limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus import ActionField, Limits

from ..support.contracts import DELTA, POSITION, SPEED, pair
from ..support.gateways import serving
from ..support.policies import policy

LIMIT = Limits(low=(-1.0, -0.5), high=(1.0, 0.75), max_rate=(2.0, 4.0), max_acceleration=(90.0, 90))
OPAQUE = ActionField("speed", (2,), "float32", semantics="opaque", fallback="value",
                     fallback_value=(0.25, 0.25))  # fmt: skip
KINDS = {"velocity": SPEED, "position": POSITION, "delta": DELTA, "opaque": OPAQUE}

number = st.one_of(
    st.floats(width=32),
    st.floats(-2, 2, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, -0.0, 0.0, 1e19]),
)
answer = st.one_of(
    st.lists(number, min_size=2, max_size=2),
    st.sampled_from(["raise", "shape", "name", "dtype", "text", None]),
)
pose = st.lists(st.one_of(st.floats(-1, 1, width=32), number), min_size=2, max_size=2)
events = st.sampled_from(["step", "step", "step", "reset", "late"])
script = st.lists(st.tuples(events, answer, pose), min_size=1, max_size=12)


class Hostile:
    """Answers what the test wants."""

    def __init__(self) -> None:
        self.next: Any = [0.0, 0.0]

    def __call__(self, observation: dict[str, Any]) -> Any:
        found = self.next
        if found == "raise":
            raise OSError("no")
        if found == "shape":
            return {"speed": np.zeros((7, 7), np.float32)}
        if found == "name":
            return {"torque": np.zeros((1, 2), np.float32)}
        if found == "dtype":
            return {"speed": np.zeros((1, 2), np.int64)}
        if found == "text":
            return {"speed": [["a", "b"]]}
        if found is None:
            return None
        return {"speed": np.array([found], np.float32)}


@pytest.fixture(scope="module", params=KINDS)
def hostile(request: pytest.FixtureRequest) -> Iterator[tuple[str, Hostile, Any]]:
    found = Hostile()
    limit = LIMIT if request.param != "opaque" else Limits(low=LIMIT.low, high=LIMIT.high)
    contract = pair(KINDS[request.param], limit=limit)
    with serving(policy(found, contract)) as served:
        yield request.param, found, served


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(script=script)
def test_always_finite_and_inside(hostile: tuple[str, Hostile, Any], script: list[Any]) -> None:
    kind, policy_, served = hostile
    policy_.next = [0.0, 0.0]
    with served.connect(deadline=10.0) as link:
        time = 0.0
        before: Any = None
        low, high = np.array(LIMIT.low, np.float32), np.array(LIMIT.high, np.float32)
        for event, said, q in script:
            policy_.next = said
            if event == "reset":
                link.reset()
                before = None
            time += 0.02
            observation = np.array(q, np.float32)
            action = link.act(
                q=observation, sim_time=time, deadline=1e-6 if event == "late" else None
            )
            command = action["speed"]
            assert command.shape == (2,)
            assert command.dtype == np.float32
            assert np.isfinite(command).all()
            if kind != "delta":
                # A robot that stands outside its limits is held there, and led back in.
                stands = np.where(np.isfinite(observation), observation, 0)
                low, high = np.minimum(low, stands), np.maximum(high, stands)
                assert ((command >= low) & (command <= high)).all() or action.robot_hold
            if kind == "velocity":
                assert (np.abs(command) <= np.array(LIMIT.max_rate, np.float32)).all()
            if kind == "position" and action.status == "policy" and before is not None:
                step = np.abs(command.astype(float) - before)
                assert (step <= np.array(LIMIT.max_rate) * 0.04 + 1e-6).all()
            if kind == "position" and not action.robot_hold:
                before = command.astype(float)
            if action.status != "policy":
                assert action.cause
