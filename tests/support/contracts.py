"""Small contracts, one per semantics, and one with every dtype."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from isthmus import ActionField, Contract, Field, Limits

JOINTS = ("a", "b")
DT_NS = 20_000_000

SPEED = ActionField(
    "speed", (2,), "float32", "rad/s", JOINTS, semantics="velocity", fallback="zero"
)
POSITION = ActionField(
    "speed", (2,), "float32", "rad", JOINTS, semantics="position", measured_position="q"
)
DELTA = ActionField(
    "speed", (2,), "float32", "rad", JOINTS, semantics="delta", measured_position="q"
)
DTYPES = (
    "float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "uint32", "uint64", "bool",
)  # fmt: skip


def pair(action: ActionField = SPEED, *, limit: Limits | None = None, **changes: Any) -> Contract:
    """Two joints; the one action field is always called `speed`."""
    return Contract(
        name="pair",
        observation=(Field("q", (2,), "float32", "rad", JOINTS),),
        action=(replace(action, **changes.pop("field", {})),),
        control_dt_ns=changes.pop("control_dt_ns", DT_NS),
        limits={} if limit is None else {"speed": limit},
        **changes,
    )


def mirror() -> Contract:
    """Every dtype goes over and comes back: `in_X` is answered as `out_X`."""
    return Contract(
        name="mirror",
        observation=tuple(Field(f"in_{dtype}", (2, 3), dtype) for dtype in DTYPES),
        action=tuple(
            ActionField(
                f"out_{dtype}", (2, 3), dtype, semantics="opaque", fallback="value",
                fallback_value=(0.0, 0.0, 0.0),
            )
            for dtype in DTYPES
        ),
        control_dt_ns=DT_NS,
    )  # fmt: skip
