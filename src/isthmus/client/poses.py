"""Where a robot's further joints are: those that no action commands, and that must stay there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Contract

__all__ = ["Poses"]


class Poses:
    """The last finite measurement of each joint, for the position actions of a contract."""

    def __init__(self, contract: Contract) -> None:
        """Nothing is known yet."""
        self._fields = {
            field.name: field.measured_position
            for field in contract.action
            if field.semantics == "position" and field.measured_position
        }
        self._last: dict[str, NDArray[Any]] = {}

    def of(self, name: str, robot: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any] | None, bool]:
        """Measured positions for an action field, and whether all of them are known.

        Args:
            name: of the action field.
            robot: this step's observation in the robot's order of joints, (num_envs, ...) each.

        Returns:
            The latest finite value of each joint, 0 where there never was one; None for a field
            that needs no pose.
        """
        if name not in self._fields:
            return None, True
        pose = robot[self._fields[name]]
        finite = np.isfinite(pose)
        if finite.all():
            self._last[name] = pose.copy()
            return pose, True
        last = self._last.get(name)
        if last is None:
            last = np.full_like(pose, np.nan)
        pose = self._last[name] = np.where(finite, pose, last)
        known = np.isfinite(pose)
        return np.where(known, pose, pose.dtype.type(0)), bool(known.all())
