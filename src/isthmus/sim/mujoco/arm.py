"""The arm in MuJoCo: physics and pictures, no task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import MissingDependencyError
from .model import arm_model, mjcf
from .randomization import Randomization
from .spec import CONTROL_DT_NS, JOINT_NAMES

__all__ = ["CAMERAS", "Arm"]

CAMERAS: tuple[str, ...] = ("overview", "side", "top")
"""Cameras the MJCF places."""

RAMP_STEPS = 4
"""In how many parts a change of target is spread over its control step."""


class Arm:
    """One simulated arm that follows joint targets.

    Attributes:
        nominal: the model's own masses, friction and drives, before any randomization.
        substeps: physics steps in one control step.
    """

    def __init__(self) -> None:
        self._model = mujoco.MjModel.from_xml_string(mjcf())
        self._data = mujoco.MjData(self._model)
        self._bodies = np.array([self._model.body(link.name).id for link in arm_model().joints])
        joints = [self._model.joint(name) for name in JOINT_NAMES]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._tip_id = self._model.site("tip").id
        self._nominal_mass = self._model.body_mass[self._bodies].copy()
        self._nominal_inertia = self._model.body_inertia[self._bodies].copy()
        self._renderer: Any = None
        self.nominal = self._applied(action_delay=0)
        self.substeps = round(CONTROL_DT_NS / 1e9 / self._model.opt.timestep)
        self._ramp = np.linspace(0.0, 1.0, RAMP_STEPS + 1)[1:, None]

    @property
    def q(self) -> NDArray[np.float64]:
        """Joint positions, float64 (6,), rad; a copy."""
        return np.asarray(self._data.qpos[self._qpos])

    @property
    def dq(self) -> NDArray[np.float64]:
        """Joint velocities, float64 (6,), rad/s; a copy."""
        return np.asarray(self._data.qvel[self._dofs])

    @property
    def tip(self) -> NDArray[np.float64]:
        """The gripper's tip, float64 (3,), m; a copy."""
        return np.array(self._data.site_xpos[self._tip_id])

    @property
    def touches_floor(self) -> bool:
        """True while a link rests on the floor."""
        return bool(self._data.ncon)

    @property
    def time(self) -> float:
        """Simulation time since the last reset, s."""
        return float(self._data.time)

    def reset(self, q: ArrayLike) -> None:
        """Stand still in a pose, with the drives holding it.

        Args:
            q: (6,), rad.
        """
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[self._qpos] = q
        self._data.ctrl[:] = q
        mujoco.mj_forward(self._model, self._data)

    def restart_clock(self) -> None:
        """Set simulation time to zero and leave everything else as it is."""
        self._data.time = 0.0

    def step(self, target: ArrayLike) -> None:
        """Run one control step towards joint targets.

        The drives are led there at a steady speed, as bus servos do when the command carries the
        speed that fits the step; a jump of 40 ms would make them race and wait.

        Args:
            target: (6,), rad.
        """
        last = self._data.ctrl.copy()
        for ctrl in last + self._ramp * (np.asarray(target) - last):
            self._data.ctrl[:] = ctrl
            mujoco.mj_step(self._model, self._data, nstep=self.substeps // RAMP_STEPS)
        # mj_step leaves body poses one physics step behind the joints.
        mujoco.mj_kinematics(self._model, self._data)

    def apply(self, sample: Randomization) -> Randomization:
        """Give the arm other masses, friction and drives.

        Args:
            sample: what to apply; `action_delay` is the task's, not the arm's.

        Returns:
            The same values read back from the model: what really runs.
        """
        model = self._model
        mass = np.array(sample.link_mass)
        model.body_mass[self._bodies] = mass
        model.body_inertia[self._bodies] = (
            self._nominal_inertia * (mass / self._nominal_mass)[:, None]
        )
        model.dof_frictionloss[self._dofs] = sample.joint_friction
        model.actuator_gainprm[:, 0] = sample.drive_stiffness
        model.actuator_biasprm[:, 1] = -np.array(sample.drive_stiffness)
        model.actuator_biasprm[:, 2] = -np.array(sample.drive_damping)
        state = self._data.qpos.copy(), self._data.qvel.copy()
        mujoco.mj_setConst(model, self._data)  # derived quantities; it moves the pose to qpos0
        self._data.qpos[:], self._data.qvel[:] = state
        mujoco.mj_forward(model, self._data)
        return self._applied(sample.action_delay)

    def show_goal(self, goal: ArrayLike) -> None:
        """Move the goal marker.

        Args:
            goal: (3,), m.
        """
        self._data.mocap_pos[0] = goal
        mujoco.mj_kinematics(self._model, self._data)

    def render(self, width: int, height: int, camera: str = "overview") -> NDArray[np.uint8]:
        """A picture of the arm.

        Args:
            width: pixels.
            height: pixels.
            camera: one of `CAMERAS`.

        Returns:
            uint8 (height, width, 3), RGB.

        Raises:
            MissingDependencyError: this machine has no OpenGL that MuJoCo can use.
        """
        if self._renderer is None or (self._renderer.width, self._renderer.height) != (
            width,
            height,
        ):
            self.close()
            try:
                self._renderer = mujoco.Renderer(self._model, height, width)
            except Exception as exc:  # the binding raises whatever the GL platform raised
                raise MissingDependencyError(
                    f"MuJoCo cannot render here: {type(exc).__name__}: {exc}. Without a display "
                    "set MUJOCO_GL=egl (or osmesa) and install libegl1 (or libosmesa6); "
                    "isthmus.sim.mujoco.svg draws without OpenGL"
                ) from exc
        self._renderer.update_scene(self._data, camera=camera)
        return np.asarray(self._renderer.render())

    def close(self) -> None:
        """Free the renderer, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _applied(self, action_delay: int) -> Randomization:
        model = self._model
        return Randomization(
            link_mass=_floats(model.body_mass[self._bodies]),
            joint_friction=_floats(model.dof_frictionloss[self._dofs]),
            drive_stiffness=_floats(model.actuator_gainprm[:, 0]),
            drive_damping=_floats(-model.actuator_biasprm[:, 2]),
            action_delay=action_delay,
        )


def _floats(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
