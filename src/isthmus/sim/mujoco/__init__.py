"""The Waveshare RoArm-M3 in MuJoCo, and the task of reaching with it.

Importing this registers `isthmus/RoArmReach-v0` where Gymnasium is installed::

    import gymnasium
    import isthmus.sim.mujoco

    env = gymnasium.make("isthmus/RoArmReach-v0")

Names are loaded when first used. Kinematics, contract and `capsules` (a drawing of the arm) need
numpy only; the environment needs the `mujoco` extra.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arm import CAMERAS, Arm
    from .drawing import VIEWS, Capsule, capsules, svg
    from .env import RoArmReachEnv
    from .evaluation import Evaluation, evaluate
    from .kinematics import inverse, joint_limits, link_frames, tip_jacobian, tip_position
    from .model import arm_model, mjcf
    from .randomization import Randomization, RandomizationRanges
    from .reach import EPISODE_STEPS, HOLD_STEPS, TOLERANCE, Reach
    from .spec import CONTROL_DT_NS, JOINT_NAMES, MAX_ACCELERATION, MAX_RATE, contract, max_delta
    from .teacher import Teacher
    from .vector import RoArmReachVectorEnv

ENV_ID = "isthmus/RoArmReach-v0"
"""What `gymnasium.make` calls the reaching task."""

# Module -> the names it gives this package.
_HOME = {
    "arm": ("CAMERAS", "Arm"),
    "drawing": ("VIEWS", "Capsule", "capsules", "svg"),
    "env": ("RoArmReachEnv",),
    "evaluation": ("Evaluation", "evaluate"),
    "kinematics": ("inverse", "joint_limits", "link_frames", "tip_jacobian", "tip_position"),
    "model": ("arm_model", "mjcf"),
    "randomization": ("Randomization", "RandomizationRanges"),
    "reach": ("EPISODE_STEPS", "HOLD_STEPS", "TOLERANCE", "Reach"),
    "spec": (
        "CONTROL_DT_NS",
        "JOINT_NAMES",
        "MAX_ACCELERATION",
        "MAX_RATE",
        "contract",
        "max_delta",
    ),
    "teacher": ("Teacher",),
    "vector": ("RoArmReachVectorEnv",),
}
_MODULES = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "CAMERAS",
    "CONTROL_DT_NS",
    "ENV_ID",
    "EPISODE_STEPS",
    "HOLD_STEPS",
    "JOINT_NAMES",
    "MAX_ACCELERATION",
    "MAX_RATE",
    "TOLERANCE",
    "VIEWS",
    "Arm",
    "Capsule",
    "Evaluation",
    "Randomization",
    "RandomizationRanges",
    "Reach",
    "RoArmReachEnv",
    "RoArmReachVectorEnv",
    "Teacher",
    "arm_model",
    "capsules",
    "contract",
    "evaluate",
    "inverse",
    "joint_limits",
    "link_frames",
    "max_delta",
    "mjcf",
    "register",
    "svg",
    "tip_jacobian",
    "tip_position",
]


def register() -> None:
    """Register the environment with Gymnasium, once; without Gymnasium do nothing."""
    if find_spec("gymnasium") is None:
        return
    gymnasium = import_module("gymnasium")
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            id=ENV_ID,
            entry_point="isthmus.sim.mujoco.env:RoArmReachEnv",
            vector_entry_point="isthmus.sim.mujoco.vector:RoArmReachVectorEnv",
        )


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, and keep it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})


register()
