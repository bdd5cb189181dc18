"""`isthmus/RoArmReach-v0` for Gymnasium: several arms in one process."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .env import (
    Observation,
    RoArmReachEnv,
    action_space,
    empty_observation,
    observation_space,
)
from .randomization import RandomizationRanges
from .reach import Reach

__all__ = ["RoArmReachVectorEnv"]


class RoArmReachVectorEnv(VectorEnv):  # type: ignore[misc,type-arg,unused-ignore]
    """Several arms, stepped one after the other in this process, without wrappers in between.

    An arm whose episode ends starts the next in the same step (`AutoresetMode.SAME_STEP`); the
    last observation and the outcome are in `final_obs` and `final_info`.

    Args:
        num_envs: how many arms.
        randomize: as `RoArmReachEnv`.
        ranges: as `RoArmReachEnv`.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": [],
        "render_fps": RoArmReachEnv.metadata["render_fps"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        randomize: bool = True,
        ranges: RandomizationRanges | None = None,
    ) -> None:
        self.num_envs = num_envs
        self.single_observation_space = observation_space()
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.reaches = [Reach(randomize=randomize, ranges=ranges) for _ in range(num_envs)]
        self._rngs = [np.random.default_rng() for _ in range(num_envs)]

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start every arm's episode; arm i is seeded with `seed + i` or `seed[i]`."""
        seeds = _seeds(seed, self.num_envs)
        for i, (reach, its_seed) in enumerate(zip(self.reaches, seeds, strict=True)):
            if its_seed is not None:
                self._rngs[i] = np.random.Generator(np.random.PCG64(its_seed))
            reach.reset(self._rngs[i], options)
        out = empty_observation(self.num_envs)
        for i, reach in enumerate(self.reaches):
            reach.observe({name: rows[i] for name, rows in out.items()})
        samples = np.array([r.randomization.to_dict() for r in self.reaches], dtype=object)
        return out, {"randomization": samples}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[
        Observation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Apply joint target changes, float32 (num_envs, 6), rad."""
        rewards = np.array(
            [reach.step(delta) for reach, delta in zip(self.reaches, actions, strict=True)]
        )
        truncated = np.array([reach.truncated for reach in self.reaches])
        out = empty_observation(self.num_envs)
        infos: dict[str, Any] = {}
        if truncated.any():
            final = empty_observation(self.num_envs)
            infos = {
                "final_obs": final,
                "final_info": {
                    "is_success": np.array([reach.is_success for reach in self.reaches]),
                    "distance": np.array([reach.distance for reach in self.reaches]),
                },
                "_final_obs": truncated,
                "_final_info": truncated,
            }
            for i in np.flatnonzero(truncated).tolist():
                self.reaches[i].observe({name: rows[i] for name, rows in final.items()})
                self.reaches[i].reset(self._rngs[i])
        for i, reach in enumerate(self.reaches):
            reach.observe({name: rows[i] for name, rows in out.items()})
        return out, rewards, np.zeros(self.num_envs, np.bool_), truncated, infos


def _seeds(seed: int | list[int | None] | None, count: int) -> list[int | None]:
    if seed is None:
        return [None] * count
    return [seed + i for i in range(count)] if isinstance(seed, int) else list(seed)
