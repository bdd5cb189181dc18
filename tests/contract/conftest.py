from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isthmus.contract import ActionField, Contract, Field, Limits

JOINTS = ("base", "shoulder", "elbow")


@pytest.fixture
def arm() -> Callable[..., Contract]:
    """Makes a contract of a three-joint arm; keywords replace its parts."""

    def make(**parts: Any) -> Contract:
        values: dict[str, Any] = {
            "name": "arm",
            "observation": (
                Field("q", (3,), "float32", "rad", JOINTS),
                Field("dq", (3,), "float32", "rad/s", JOINTS),
                Field("goal", (3,), "float32", "m", ("x", "y", "z")),
            ),
            "action": (
                ActionField(
                    "delta",
                    (3,),
                    "float32",
                    "rad",
                    JOINTS,
                    semantics="delta",
                    measured_position="q",
                    measured_velocity="dq",
                ),
            ),
            "control_dt_ns": 40_000_000,
            "limits": {
                "delta": Limits(low=(-1.0,) * 3, high=(1.0, 1.5, 2.0), max_rate=(4.0, 3.5, 3.0))
            },
            "robot_id": "arm-1",
        }
        return Contract(**{**values, **parts})

    return make
