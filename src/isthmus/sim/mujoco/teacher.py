"""A teacher that reaches by inverse kinematics: proof that the task can be done.

It sees what a policy sees and answers what a policy answers. It is no baseline to beat, but an
environment it cannot solve is broken.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .kinematics import inverse, joint_limits
from .spec import max_delta

__all__ = ["Teacher"]


class Teacher:
    """Solves for a pose when the goal changes, then moves every joint towards it.

    Args:
        gain: part of the remaining way asked for in one control step. Small enough to stay
            stable when actions come two steps late.
        lag: how far ahead of the measured pose the drives' targets are taken to be, s.
    """

    def __init__(self, *, gain: float = 0.18, lag: float = 0.06) -> None:
        self._gain = gain
        self._lag = lag
        self._goal: NDArray[np.float64] = np.full(3, np.nan)
        self._pose: NDArray[np.float64] = np.zeros(6)
        self._max_delta = max_delta()

    def __call__(self, observation: Mapping[str, ArrayLike]) -> NDArray[np.float32]:
        """Choose the next change of the joint targets.

        Args:
            observation: `q` (6,) rad, `dq` (6,) rad/s, `goal` (3,) m.

        Returns:
            float32 (6,), rad.
        """
        q = np.asarray(observation["q"], dtype=np.float64)
        dq = np.asarray(observation["dq"], dtype=np.float64)
        goal = np.asarray(observation["goal"], dtype=np.float64)
        if not np.array_equal(goal, self._goal):
            low, high = joint_limits()
            self._goal = goal
            self._pose, _ = inverse(goal, np.clip(q, low, high))
        way = self._pose - (q + self._lag * dq)
        way[-1] = 0.0  # the hand stays as it is
        return np.clip(self._gain * way, -self._max_delta, self._max_delta).astype(np.float32)
