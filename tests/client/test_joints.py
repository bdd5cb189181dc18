"""Joints by name: the robot's order in and out, further joints left alone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from isthmus import ActionField
from isthmus.errors import ObservationError

from ..support.contracts import DELTA, POSITION, SPEED, pair
from ..support.gateways import serving
from ..support.policies import half, policy
from .test_observation import Tensor

ROBOT = ["b", "x", "a"]
Q = [2.0, 7.0, 4.0]  # b, x, a


@pytest.mark.parametrize("pacing", ["realtime", "lockstep"])
@pytest.mark.parametrize(
    "action,extra", [(SPEED, 0.0), (DELTA, 0.0), (POSITION, 7.0)], ids=["velocity", "delta", "pos"]
)
def test_in_and_out_in_the_robots_order(action: ActionField, extra: float, pacing: str) -> None:
    with serving(policy(half, pair(action))) as served:
        with served.connect(joints=ROBOT, pacing=pacing) as link:
            for given in (Q, np.array(Q), Tensor(Q)):
                assert link.act(q=given)["speed"].tolist() == [1.0, extra, 2.0]
        with served.connect(joints=["a", "b"], pacing=pacing) as link:
            assert link.act(q=[4.0, 2.0])["speed"].tolist() == [2.0, 1.0]
        with served.connect(joints=ROBOT, pacing=pacing, num_envs=2) as link:
            both = link.act(q=[Q, [0.0, 1.0, 8.0]])["speed"].tolist()
            assert both == [[1.0, extra, 2.0], [0.0, 1.0 if extra else 0.0, 4.0]]


def test_every_joint_of_the_robot_is_given() -> None:
    with serving(policy(half, pair())) as served, served.connect(joints=ROBOT) as link:
        with pytest.raises(ObservationError, match=r"\(3,\).*\(2,\)"):
            link.act(q=[1, 2])


def test_further_joints_stay_where_they_were_last_seen() -> None:
    with serving(policy(half, pair(POSITION))) as served:
        with served.connect(joints=ROBOT) as link, warnings.catch_warnings():
            warnings.simplefilter("error")
            # nothing was ever measured: the arrays do not hold the robot, and say so
            blind = link.act(q=[np.nan, np.nan, np.nan])
            assert blind.status == "disarmed"
            assert blind.robot_hold
            assert np.isfinite(blind["speed"]).all()
            assert link.act(q=Q)["speed"].tolist() == [1.0, 7.0, 2.0]
            held = link.act(q=[np.nan, np.nan, 4.0])
            assert (held.status, held.cause) == ("bridged", "observation")
            assert held["speed"].tolist() == [1.0, 7.0, 2.0]
            assert not held.robot_hold
