"""`SingleArticulation` and `SingleRigidPrim`: numpy arrays, and None where there is no state."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from fake_kit import STAGE, robot_at
from isaacsim.core.utils.types import ArticulationAction


class _Single:
    def __init__(self, prim_path: str, name: str = "prim") -> None:
        self._robot = robot_at(prim_path)
        self._initialized = False

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Make the handles."""
        self._initialized = True

    def _has_state(self, call: str) -> bool:
        if not (self._initialized and STAGE.ready):
            print(
                f"[Warning] Physics Simulation View is not created yet in order to use {call}",
                file=sys.stderr,
            )
        return self._initialized and STAGE.ready


class SingleArticulation(_Single):
    """One robot."""

    @property
    def dof_names(self) -> list[str] | None:
        """The names in the simulator's order."""
        return list(self._robot.dofs) if self._has_state("dof_names") else None

    def get_joint_positions(self) -> Any:
        """Float32 (D,), or None."""
        return self._robot.q.copy() if self._has_state("get_joint_positions") else None

    def get_joint_velocities(self) -> Any:
        """Float32 (D,), or None."""
        return self._robot.dq.copy() if self._has_state("get_joint_velocities") else None

    def apply_action(self, control_actions: ArticulationAction) -> None:
        """Set position targets."""
        if control_actions.joint_positions is not None and self._has_state("apply_action"):
            self._robot.command(control_actions.joint_positions)


class SingleRigidPrim(_Single):
    """One link."""

    def get_world_pose(self) -> tuple[Any, Any]:
        """Position float32 (3,) and orientation float32 (4,), w first."""
        return self._robot.tip(), np.array([1, 0, 0, 0], np.float32)
