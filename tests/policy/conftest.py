from __future__ import annotations

import pytest

from isthmus.contract import ActionField, Contract, Field, Limits

JOINTS = ("base", "shoulder", "elbow")


@pytest.fixture
def contract() -> Contract:
    """Three joints, a goal, delta actions at 25 Hz."""
    return Contract(
        name="small",
        observation=(
            Field("q", (3,), "float32", "rad", JOINTS),
            Field("dq", (3,), "float32", "rad/s", JOINTS),
            Field("goal", (2,), "float64", "m"),
        ),
        action=(
            ActionField(
                "delta", (3,), "float32", "rad", JOINTS, semantics="delta", measured_position="q"
            ),
        ),
        control_dt_ns=40_000_000,
        limits={"delta": Limits(max_rate=(3.0, 3.0, 3.0))},
    )
