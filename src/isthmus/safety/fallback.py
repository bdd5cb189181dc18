"""Fallback: what is sent when nothing of the policy's may be.

One table, (semantics, fallback) -> rule. The level needs no row of its own, because what was
"last sent" already carries it: in DISARMED, after a reset or a rearm, it is the measured pose.
Position is never extrapolated, and a torque is never simply zeroed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from .delta import DeltaLimiter
from .limiter import Limiter

__all__ = ["RULES", "fall_back"]

Numbers = NDArray[Any]
Rule = Callable[[Limiter, Mapping[str, Numbers], int], tuple[Numbers, bool]]


def _rest(limiter: Limiter, measured: Mapping[str, Numbers], dt_ns: int) -> tuple[Numbers, bool]:
    """No increment, no velocity, the declared value."""
    limiter.rested()
    return limiter.rest.copy(), False


def _repeat(limiter: Limiter, measured: Mapping[str, Numbers], dt_ns: int) -> tuple[Numbers, bool]:
    """The last command; where none is known the robot must hold itself."""
    limiter.pause()
    command, known = limiter.last()
    return command, not known


def _decay(limiter: Limiter, measured: Mapping[str, Numbers], dt_ns: int) -> tuple[Numbers, bool]:
    """Towards 0 as fast as the limits allow: the limiter is asked for 0."""
    command = limiter.rest.copy()
    limiter.limit(command, measured, dt_ns)
    limiter.commit()
    return command, False


def _target(limiter: Limiter, measured: Mapping[str, Numbers], dt_ns: int) -> tuple[Numbers, bool]:
    """The increment that keeps the last target."""
    limiter.pause()
    if not isinstance(limiter, DeltaLimiter):
        raise TypeError(f"only increments lead to a target, not {limiter.field.semantics}")
    return limiter.to_target(measured, dt_ns), False


def _robot_rest(
    limiter: Limiter, measured: Mapping[str, Numbers], dt_ns: int
) -> tuple[Numbers, bool]:
    return _rest(limiter, measured, dt_ns)[0], True


def _robot_repeat(
    limiter: Limiter, measured: Mapping[str, Numbers], dt_ns: int
) -> tuple[Numbers, bool]:
    return _repeat(limiter, measured, dt_ns)[0], True


RULES: dict[tuple[str, str], Rule] = {
    ("position", "hold"): _repeat,
    ("position", "robot"): _robot_repeat,
    ("delta", "zero"): _rest,
    ("delta", "hold"): _target,
    ("delta", "robot"): _robot_rest,
    ("velocity", "decay"): _decay,
    ("velocity", "zero"): _rest,
    ("velocity", "robot"): _robot_rest,
    ("torque", "robot"): _robot_repeat,
    ("opaque", "value"): _rest,
    ("opaque", "hold"): _repeat,
    ("opaque", "zero"): _rest,
    ("opaque", "robot"): _robot_repeat,
}
"""(semantics, fallback) -> what is sent, and whether the robot must hold itself."""


def fall_back(
    limiters: Mapping[str, Limiter], measured: Mapping[str, Numbers], dt_ns: int
) -> tuple[dict[str, Numbers], bool]:
    """The fallback of every field.

    Args:
        limiters: field name -> its limiter; told what is sent.
        measured: the observation of this step.
        dt_ns: time since the last command was sent, >= 0.

    Returns:
        Field name -> fresh array, finite, in shape and dtype, inside the limits; and True if
        the robot must use its own hold mode for some field.
    """
    arrays: dict[str, Numbers] = {}
    robot_hold = False
    for name, limiter in limiters.items():
        rule = RULES[limiter.field.semantics, limiter.field.fallback]
        arrays[name], holds = rule(limiter, measured, dt_ns)
        robot_hold = robot_hold or holds
    return arrays, robot_hold
