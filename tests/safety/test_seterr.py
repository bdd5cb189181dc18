"""A simulator that has numpy raise for underflow and the like gets the same commands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.contract import Limits
from isthmus.safety import Guard

VALUES = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, -1e-45, 1e-38, 0.0, 0.5, -0.9]
LIMITS = [
    Limits((-1.0, -0.5), (1.0, 0.75), (2.0, 4.0), (90.0, 90.0)),
    Limits((-1.0, -0.5), (1.0, 0.75), (1e-300, 1e300)),
    Limits((-6e4, -6e4), (6e4, 6e4), max_acceleration=(1e-300, 1e300)),
]


def course(contract: Any, dtype: str) -> list[Any]:
    """What a guard sends for every value, at every pose, after steps of every length."""
    guard = Guard(contract, 3)
    guard.reset(0)
    found = []
    now = 0
    with np.errstate(all="ignore"):
        commands = [np.full((3, 2), value, dtype) for value in VALUES]
        poses = [np.full((3, 2), value, np.float32) for value in VALUES]
    for number, command in enumerate([*commands, None] * 3):
        for pose, dt_ns in zip(poses, [0, 1, 40_000_000] * 4, strict=False):
            now += dt_ns
            if number == 7:
                guard.reset(now, mask=np.array([True, False, False]))
            action = None if command is None else {"a": command}
            outcome = guard.apply(now, action, {"q": pose}, dt_ns, "late")
            found.append((outcome.status, outcome.arrays["a"].tolist()))
    return found


@pytest.mark.parametrize("semantics", ["position", "delta", "velocity", "torque"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("limits", LIMITS, ids=["usual", "slow", "wide"])
def test_numpys_error_state_changes_nothing(
    contracts: Any, path: str, semantics: str, dtype: str, limits: Limits
) -> None:
    if semantics == "torque":
        limits = Limits(limits.low, limits.high, limits.max_rate)
    contract = contracts.one(semantics, 2, limits, dtype)
    usual = course(contract, dtype)
    with np.errstate(all="raise"):
        assert course(contract, dtype) == usual
