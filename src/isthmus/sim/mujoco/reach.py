"""The reaching task: bring the gripper's tip to a goal and keep it there.

One `Reach` is one arm with one goal. It knows nothing of Gymnasium: `env.py` and `vector.py` wrap
it for one arm and for many in one process.

A step: the delta received is held to the arm's speed and position limits, becomes a new joint
target, waits `action_delay` control steps in a queue, and drives the physics for 40 ms.
An episode is 60 steps and never ends early, so holding still at the goal is part of the task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ContractError
from .arm import Arm
from .kinematics import joint_limits, link_frames, tip_position
from .randomization import RandomizationRanges
from .spec import JOINT_NAMES, max_delta

__all__ = ["EPISODE_STEPS", "HOLD_STEPS", "TOLERANCE", "Reach", "sample_pose"]

EPISODE_STEPS = 60
"""Control steps in an episode, 2.4 s."""

TOLERANCE = 0.02
"""How near the goal counts, m."""

HOLD_STEPS = 5
"""For how many last steps the tip must be that near."""

# Joint angles that starts and goals are drawn from, rad: folded forward, clear of the base. The
# hand starts part open; it moves no tip.
POSE_RANGES: dict[str, tuple[float, float]] = {
    "base_link_to_link1": (-1.4, 1.4),
    "link1_to_link2": (-0.6, 1.2),
    "link2_to_link3": (0.6, 2.4),
    "link3_to_link4": (-0.6, 1.3),
    "link4_to_link5": (-1.5, 1.5),
    "link5_to_gripper_link": (0.2, 0.8),
}

CLEARANCE = 0.07
"""Lowest height of elbow, wrist and tip in such a pose, m."""

AHEAD = 0.13
"""How far the tip is before the base's axis in such a pose, at least, m."""

OPTIONS = ("randomize", "randomization", "q", "goal", "keep_pose")
"""Names `Reach.reset` takes."""


def sample_pose(rng: np.random.Generator) -> NDArray[np.float64]:
    """A pose in the workspace: above the floor and in front of the base.

    Args:
        rng: where the draws come from.

    Returns:
        float64 (6,), rad.
    """
    low, high = np.array(list(POSE_RANGES.values())).T
    while True:
        q = rng.uniform(low, high)
        _, origins = link_frames(q)
        tip = tip_position(q)
        lowest = min(float(np.min(origins[3:, 2])), float(tip[2]))
        ahead = float(tip[0] * np.cos(q[0]) + tip[1] * np.sin(q[0]))
        if lowest >= CLEARANCE and ahead >= AHEAD:
            return np.asarray(q)


class Reach:
    """One arm reaching for one goal.

    Attributes:
        arm: the simulated arm.
        goal: float64 (3,), m.
        target: the joint targets as commanded, before the delay; float64 (6,), rad.
        drawn: the values this episode is to run with.
        randomization: the values it runs with, read back once they were applied.
        steps: control steps since the last reset.
        held: how many of the last steps in a row the tip was within `TOLERANCE`.
    """

    def __init__(self, *, randomize: bool, ranges: RandomizationRanges | None = None) -> None:
        self.arm = Arm()
        self.goal = np.zeros(3)
        self.target = np.zeros(len(JOINT_NAMES))
        self.drawn = self.randomization = self.arm.nominal
        self.steps = 0
        self.held = 0
        self._randomize = randomize
        self._ranges = ranges or RandomizationRanges()
        self._low, self._high = joint_limits()
        self._max_delta = max_delta()
        self._last_delta = np.zeros(len(JOINT_NAMES))
        self._queue: deque[NDArray[np.float64]] = deque()
        self._distance = 0.0

    def reset(self, rng: np.random.Generator, options: Mapping[str, Any] | None = None) -> None:
        """Start an episode.

        Args:
            rng: where every draw comes from.
            options: any of
                `randomize` (bool): instead of the constructor's;
                `randomization` (mapping): values to apply, as `Randomization.to_dict` names them;
                `q` (6,), rad: start pose; `goal` (3,), m;
                `keep_pose` (bool): go on from where the arm is, with a new goal.

        Raises:
            ContractError: an unknown option, or a value that does not fit.
        """
        given = dict(options or {})
        for name in given:
            if name not in OPTIONS:
                raise ContractError(f"reset: unknown option {name!r}; known: {', '.join(OPTIONS)}")
        # Always the same draws in the same order: an option changes one thing, not the rest.
        sample = self._ranges.sample(self.arm.nominal, rng)
        start, goal = sample_pose(rng), tip_position(sample_pose(rng))
        if not given.get("randomize", self._randomize):
            sample = self.arm.nominal
        self.drawn = sample = sample.override(given.get("randomization", {}))
        if "goal" in given:
            goal = _vector("goal", given["goal"], 3)
        if "q" in given:
            start = np.clip(_vector("q", given["q"], len(start)), self._low, self._high)
        applied = self.arm.apply(sample)
        if given.get("keep_pose", False):
            # As after any reset, the target starts from the measured pose: a link's does too.
            start = np.clip(self.arm.q, self._low, self._high)
            self.arm.restart_clock()
        else:
            self.arm.reset(start)
        self.target = start
        self._last_delta = np.zeros_like(start)
        self.goal = goal
        self.arm.show_goal(goal)
        self._queue = deque([self.target] * sample.action_delay)
        self.randomization = replace(applied, action_delay=len(self._queue))
        self.steps = 0
        self.held = 0
        self._distance = self.distance

    @property
    def distance(self) -> float:
        """From the tip to the goal, m."""
        return float(np.linalg.norm(self.goal - self.arm.tip))

    @property
    def truncated(self) -> bool:
        """True once the episode's steps are used up. There is no termination."""
        return self.steps >= EPISODE_STEPS

    @property
    def is_success(self) -> bool:
        """True if the episode is over and the tip was at the goal for its last steps."""
        return self.truncated and self.held >= HOLD_STEPS

    def observe(self, out: Mapping[str, NDArray[np.float32]]) -> None:
        """Write the observation into float32 arrays `q` (6,), `dq` (6,), `goal`, `tip_error` (3,).

        Args:
            out: the arrays, or rows of larger ones.
        """
        out["q"][:] = self.arm.q
        out["dq"][:] = self.arm.dq
        out["goal"][:] = self.goal
        out["tip_error"][:] = self.goal - self.arm.tip

    def step(self, delta: ArrayLike) -> float:
        """Run one control step.

        Args:
            delta: (6,), rad; change of the joint targets. Held to the arm's limits here.

        Returns:
            The reward: the way made towards the goal, up to 1 for being there, less for
            changes of speed and for touching the floor.

        Raises:
            ContractError: wrong shape, or not finite.
        """
        wanted = self._limit(_vector("delta", delta, len(self.target)))
        self.target = self.target + wanted
        change = (wanted - self._last_delta) / self._max_delta
        self._last_delta = wanted
        self._queue.append(self.target)
        self.arm.step(self._queue.popleft())
        self.steps += 1
        distance = self.distance
        self.held = self.held + 1 if distance <= TOLERANCE else 0
        progress, self._distance = self._distance - distance, distance
        near = float(np.exp(-((distance / TOLERANCE) ** 2)))
        return 10.0 * progress + near - 0.02 * float(change @ change) - 0.2 * self.arm.touches_floor

    def _limit(self, delta: NDArray[np.float64]) -> NDArray[np.float64]:
        # The acceleration limit is the link's to keep. Cutting here what it let through would part
        # the target from the sum of the deltas that it keeps.
        delta = np.clip(delta, -self._max_delta, self._max_delta)
        return np.asarray(np.clip(self.target + delta, self._low, self._high) - self.target)


def _vector(name: str, value: ArrayLike, size: int) -> NDArray[np.float64]:
    vector = np.asarray(value, dtype=np.float64)
    if vector.shape != (size,) or not np.isfinite(vector).all():
        raise ContractError(
            f"{name}: expected {size} finite numbers, got shape {vector.shape}: {vector}"
        )
    return vector
