"""What crosses between this arm and its policy: names, rates and the contract."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...contract import ActionField, Contract, Field, Limits
from .model import arm_model

__all__ = [
    "CONTROL_DT_NS",
    "JOINT_NAMES",
    "MAX_ACCELERATION",
    "MAX_RATE",
    "contract",
    "max_delta",
]

CONTROL_DT_NS = 40_000_000
"""25 Hz: what the arm's serial line carries with room to spare."""

# Joint -> working speed, rad/s. Slower than what the servos can do.
MAX_RATE: dict[str, float] = {
    "base_link_to_link1": 4.0,
    "link1_to_link2": 3.5,
    "link2_to_link3": 3.0,
    "link3_to_link4": 3.0,
    "link4_to_link5": 4.0,
    "link5_to_gripper_link": 2.5,
}

JOINT_NAMES: tuple[str, ...] = tuple(MAX_RATE)
"""The vendor URDF's names; the order of every joint vector here."""

MAX_ACCELERATION = 100.0
"""rad/s^2, every joint: from rest to full speed within one control step, but no full reversal."""


def max_delta() -> NDArray[np.float64]:
    """The largest change of each joint target in one control step, float64 (6,), rad."""
    return np.array(list(MAX_RATE.values())) * (CONTROL_DT_NS / 1e9)


@lru_cache(maxsize=1)
def contract() -> Contract:
    """The contract of the reaching task on this arm.

    `goal` is where the tip should be; `tip_error` is goal minus tip. `delta` moves the joint
    targets. The hand does not move the tip: it crosses, because it is a joint of this arm, and a
    reaching policy leaves it alone.
    """
    joints = {link.joint: link for link in arm_model().joints}
    shape = (len(JOINT_NAMES),)
    return Contract(
        name="roarm_m3_reach",
        observation=(
            Field("q", shape, "float32", unit="rad", labels=JOINT_NAMES),
            Field("dq", shape, "float32", unit="rad/s", labels=JOINT_NAMES),
            Field("goal", (3,), "float32", unit="m"),
            Field("tip_error", (3,), "float32", unit="m"),
        ),
        action=(
            ActionField(
                "delta",
                shape,
                "float32",
                unit="rad",
                labels=JOINT_NAMES,
                semantics="delta",
                reference="target",
                measured_position="q",
                measured_velocity="dq",
                fallback="zero",
            ),
        ),
        control_dt_ns=CONTROL_DT_NS,
        actuator="simulated",
        limits={
            "delta": Limits(
                low=tuple(joints[name].low for name in JOINT_NAMES),
                high=tuple(joints[name].high for name in JOINT_NAMES),
                max_rate=tuple(MAX_RATE.values()),
                max_acceleration=(MAX_ACCELERATION,) * len(JOINT_NAMES),
            )
        },
        robot_id="roarm_m3",
    )
