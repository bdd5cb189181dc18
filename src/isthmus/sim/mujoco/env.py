"""`isthmus/RoArmReach-v0` for Gymnasium: one arm."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from ...contract import Contract
from .kinematics import joint_limits
from .randomization import RandomizationRanges
from .reach import EPISODE_STEPS, Reach
from .spec import CONTROL_DT_NS, contract, max_delta

__all__ = ["RoArmReachEnv", "action_space", "empty_observation", "observation_space"]

Observation = dict[str, NDArray[np.float32]]

_RENDER_FPS = round(1e9 / CONTROL_DT_NS)
_STOP_GIVE = 0.1  # rad: a joint's stop is a stiff spring, and a measurement may lie in it
_TOP_SPEED = 30.0  # rad/s, far above what the drives reach
_REACH = 2.0  # m, far above the arm's


def observation_space() -> spaces.Dict:
    """`q` (6,) rad, `dq` (6,) rad/s, `goal` (3,) m, `tip_error` = goal - tip (3,) m; float32."""
    low, high = joint_limits()
    return spaces.Dict(
        {
            "q": _box(low - _STOP_GIVE, high + _STOP_GIVE),
            "dq": _box(np.full(6, -_TOP_SPEED), np.full(6, _TOP_SPEED)),
            "goal": _box(np.full(3, -_REACH), np.full(3, _REACH)),
            "tip_error": _box(np.full(3, -_REACH), np.full(3, _REACH)),
        }
    )


def action_space() -> spaces.Box:
    """The contract's `delta`: change of each joint target, float32 (6,), rad."""
    return _box(-max_delta(), max_delta())


def empty_observation(*batch: int) -> Observation:
    """Zeros in the shape of an observation, with leading axes in front."""
    return {f.name: np.zeros((*batch, *f.shape), f.dtype) for f in contract().observation}


def _box(low: ArrayLike, high: ArrayLike) -> spaces.Box:
    return spaces.Box(np.asarray(low, np.float32), np.asarray(high, np.float32), dtype=np.float32)


class RoArmReachEnv(gymnasium.Env[Observation, NDArray[np.float32]]):  # type: ignore[misc]
    """Bring the tip within 2 cm of the goal and keep it there for the last 5 of 60 steps.

    Actions are joint target changes in rad, held to the arm's limits. Episodes are truncated
    after 60 steps and never terminate. `info["is_success"]` tells the outcome on the last step,
    `info["randomization"]` at reset what the episode runs with, as read back from the simulator,
    and `info["drawn"]` what it was to run with.

    Args:
        render_mode: `rgb_array` or None.
        randomize: draw masses, friction, drive gains and action delay for each episode.
        ranges: from where they are drawn; None for the defaults.
        width: of a picture, pixels.
        height: of a picture, pixels.
        camera: `overview`, `side` or `top`.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": ["rgb_array"],
        "render_fps": _RENDER_FPS,
    }

    def __init__(
        self,
        render_mode: str | None = None,
        *,
        randomize: bool = True,
        ranges: RandomizationRanges | None = None,
        width: int = 640,
        height: int = 480,
        camera: str = "overview",
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode: expected 'rgb_array' or None, got {render_mode!r}")
        self.render_mode = render_mode
        self.observation_space = observation_space()
        self.action_space = action_space()
        self._view = (width, height, camera)
        self.reach = Reach(randomize=randomize, ranges=ranges)

    @property
    def contract(self) -> Contract:
        """What this environment sends and takes; `isthmus contract from-gym` asks for it."""
        return contract()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; options as `Reach.reset`."""
        super().reset(seed=seed)
        self.reach.reset(self.np_random, options)
        return self._observation(), {
            **_facts(self.reach),
            "randomization": self.reach.randomization.to_dict(),
            "drawn": self.reach.drawn.to_dict(),
        }

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Apply joint target changes, float32 (6,), rad, for 40 ms."""
        reward = self.reach.step(action)
        return self._observation(), reward, False, self.reach.truncated, _facts(self.reach)

    def render(self) -> NDArray[np.uint8] | None:
        """The picture, uint8 (height, width, 3), or None without a render mode."""
        return None if self.render_mode is None else self.reach.arm.render(*self._view)

    def close(self) -> None:
        """Free the renderer."""
        self.reach.arm.close()

    def _observation(self) -> Observation:
        out = empty_observation()
        self.reach.observe(out)
        return out


def _facts(reach: Reach) -> dict[str, Any]:
    return {
        "is_success": reach.is_success,
        "distance": reach.distance,
        "steps": reach.steps,
        "steps_left": EPISODE_STEPS - reach.steps,
    }
