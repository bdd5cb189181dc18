"""The reaching environment as Stable-Baselines3 wants it: flat, scaled, without the hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from isthmus.sim.mujoco import RoArmReachVectorEnv, contract, max_delta

REACH_JOINTS = 5
"""The policy moves the first five joints. The hand moves no tip, so it is left alone."""

INPUT_FIELDS = ("q", "dq", "goal", "tip_error")
"""Observation fields, in the order in which the network reads them."""

# Field -> size of a typical value, which the network sees as 1. Constants rather than running
# statistics: they fold exactly into the exported graph, and into an MLP's first layer.
FIELD_SCALES = {"q": 1.0, "dq": 2.0, "goal": 0.25, "tip_error": 0.1}


def observation_scale() -> NDArray[np.float32]:
    """What the flat observation is divided by, float32 (18,)."""
    shapes = {field.name: field.shape for field in contract().observation}
    return np.concatenate(
        [np.full(shapes[name], FIELD_SCALES[name], np.float32) for name in INPUT_FIELDS]
    )


def action_scale() -> NDArray[np.float32]:
    """Joint target change at an action of 1, float32 (6,), rad: the fastest the joint may go.

    Rounded down: rounded to the nearest, full speed could be a hair above the limit.
    """
    exact = max_delta()
    scale = exact.astype(np.float32)
    return np.where(scale > exact, np.nextafter(scale, np.float32(0)), scale)


def flatten(observation: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """One row for each arm, float32 (num_envs, 18), in physical units."""
    return np.concatenate([observation[name] for name in INPUT_FIELDS], axis=-1)


class ReachVecEnv(VecEnv):
    """Many arms in one process; observations scaled, actions -1..1 for the first five joints.

    Args:
        num_envs: how many arms.
        seed: of the first arm; the others count up from it.
    """

    def __init__(self, num_envs: int, seed: int) -> None:
        self._envs = RoArmReachVectorEnv(num_envs)
        self._scale = observation_scale()
        self._action_scale = action_scale()
        self._seed_all: int | None = seed
        self._actions: NDArray[np.float32] = np.zeros((num_envs, 6), np.float32)
        self.successes: list[bool] = []
        super().__init__(
            num_envs,
            spaces.Box(-np.inf, np.inf, self._scale.shape, np.float32),
            spaces.Box(-1.0, 1.0, (REACH_JOINTS,), np.float32),
        )

    def reset(self) -> NDArray[np.float32]:
        """Start every arm's episode."""
        observation, _ = self._envs.reset(seed=self._seed_all)
        self._seed_all = None
        return self._flat(observation)

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take actions, float32 (num_envs, 5), -1..1."""
        self._actions[:, :REACH_JOINTS] = actions * self._action_scale[:REACH_JOINTS]

    def step_wait(self) -> Any:
        """Step every arm; one that ends starts again at once."""
        observation, rewards, _, truncated, final = self._envs.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if truncated.any():
            last = self._flat(final["final_obs"])
            for i in np.flatnonzero(truncated):
                infos[i] = {"terminal_observation": last[i], "TimeLimit.truncated": True}
                self.successes.append(bool(final["final_info"]["is_success"][i]))
        return self._flat(observation), rewards.astype(np.float32), truncated, infos

    def _flat(self, observation: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        return flatten(observation) / self._scale

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """One value for each arm; only the render mode is ever asked for."""
        return [getattr(self, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not needed: arms are configured by the constructor."""
        raise AttributeError(f"{attr_name!r} cannot be set on arms")

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Not needed: arms are driven by step and reset alone."""
        raise AttributeError(f"arms have no method {method_name!r} to call")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No arm is wrapped."""
        return [False] * self.num_envs
