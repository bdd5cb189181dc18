"""`Articulation` and `RigidPrim`: Warp arrays, and assertions where there is no state."""

from __future__ import annotations

from typing import Any

import numpy as np
from fake_kit import STAGE, robot_at

_NOT_VALID = (
    "Instance's physics tensor entity is not valid. "
    "Play the simulation/timeline to re-initialize it"
)


class WarpArray:
    """What the example may do with one: ask for numpy."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values, np.float32)
        self.shape = self._values.shape

    def numpy(self) -> Any:
        """A copy on the host."""
        return self._values.copy()


class _Prims:
    def __init__(self, paths: str | list[str]) -> None:
        self._robot = robot_at(paths if isinstance(paths, str) else paths[0])


class Articulation(_Prims):
    """Robots; here one."""

    @property
    def dof_names(self) -> list[str]:
        """The names in the simulator's order; known from the file, before physics is ready."""
        return list(self._robot.dofs)

    def get_dof_positions(self, *, indices: Any = None, dof_indices: Any = None) -> WarpArray:
        """Float32 (N, D)."""
        assert STAGE.ready, _NOT_VALID
        return WarpArray(self._robot.q[None])

    def get_dof_velocities(self, *, indices: Any = None, dof_indices: Any = None) -> WarpArray:
        """Float32 (N, D)."""
        assert STAGE.ready, _NOT_VALID
        return WarpArray(self._robot.dq[None])

    def set_dof_position_targets(
        self, positions: Any, *, indices: Any = None, dof_indices: Any = None
    ) -> None:
        """Set position targets, broadcast to (N, D)."""
        self._robot.command(np.broadcast_to(positions, (1, len(self._robot.dofs)))[0])


class RigidPrim(_Prims):
    """Links; here one."""

    def get_world_poses(self, *, indices: Any = None) -> tuple[WarpArray, WarpArray]:
        """Positions float32 (N, 3) and orientations float32 (N, 4), w first."""
        return WarpArray(self._robot.tip()[None]), WarpArray([[1, 0, 0, 0]])
