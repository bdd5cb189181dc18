"""How well something reaches: the same episodes for every policy, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .env import RoArmReachEnv

__all__ = ["EVALUATION_SEED", "Evaluation", "evaluate"]

EVALUATION_SEED = 1_000_000
"""First seed of an evaluation; training seeds stay below it."""

Act = Callable[[dict[str, NDArray[np.float32]]], ArrayLike]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of some episodes.

    Attributes:
        seed: the first episode's; the others count up from it.
        randomize: whether domain randomization was on.
        successes: for each episode, whether it succeeded.
        distances: for each episode, tip to goal at its end, m.
        rewards: for each episode, the sum of rewards.
    """

    seed: int
    randomize: bool
    successes: tuple[bool, ...]
    distances: tuple[float, ...]
    rewards: tuple[float, ...]

    @property
    def episodes(self) -> int:
        """How many episodes were run."""
        return len(self.successes)

    @property
    def success_rate(self) -> float:
        """Part of the episodes that succeeded, 0..1."""
        return sum(self.successes) / len(self.successes)

    def to_dict(self) -> dict[str, Any]:
        """A summary in plain numbers, ready for JSON."""
        return {
            "episodes": self.episodes,
            "seed": self.seed,
            "randomize": self.randomize,
            "success_rate": round(self.success_rate, 4),
            "median_distance_m": round(float(np.median(self.distances)), 5),
            "p95_distance_m": round(float(np.quantile(self.distances, 0.95)), 5),
            "mean_reward": round(float(np.mean(self.rewards)), 3),
        }


def evaluate(
    act: Act,
    *,
    episodes: int = 200,
    seed: int = EVALUATION_SEED,
    randomize: bool = True,
    on_reset: Callable[[int, Mapping[str, Any]], None] | None = None,
) -> Evaluation:
    """Run episodes of the reaching task.

    Args:
        act: observation (`q`, `dq`, `goal`, `tip_error`; float32) -> delta (6,), rad.
        episodes: how many; episode i is seeded with `seed + i`.
        seed: the first seed.
        randomize: domain randomization on or off.
        on_reset: called with the seed and the reset's info before each episode's first `act`; the
            place to reset a link or a recurrent policy.

    Returns:
        The outcome of every episode.

    Raises:
        ValueError: `episodes` is less than 1.
    """
    if episodes < 1:
        raise ValueError(f"episodes: expected at least 1, got {episodes}")
    env = RoArmReachEnv(randomize=randomize)
    outcomes = []
    try:
        for episode_seed in range(seed, seed + episodes):
            observation, info = env.reset(seed=episode_seed)
            if on_reset is not None:
                on_reset(episode_seed, info)
            outcomes.append(_episode(env, observation, act))
    finally:
        env.close()
    successes, distances, rewards = zip(*outcomes, strict=True)
    return Evaluation(seed, randomize, successes, distances, rewards)


def _episode(
    env: RoArmReachEnv, observation: dict[str, NDArray[np.float32]], act: Act
) -> tuple[bool, float, float]:
    total, truncated, info = 0.0, False, {"is_success": False, "distance": 0.0}
    while not truncated:
        action = np.asarray(act(observation), dtype=np.float32)
        observation, reward, _, truncated, info = env.step(action)
        total += reward
    return bool(info["is_success"]), float(info["distance"]), total
