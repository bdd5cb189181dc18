"""The arm as a picture sees it: shaded parts in 3-D, per step. Pure.

A scene is prepared by whoever knows the robot's kinematics; a record knows none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError

__all__ = ["KINDS", "Camera", "Part", "Scene"]

KINDS: tuple[str, ...] = ("capsule", "cylinder")


@dataclass(frozen=True)
class Part:
    """One visible piece of a robot.

    Attributes:
        kind: `capsule` (round ends) or `cylinder` (flat ends).
        radius: m, > 0.
        colour: `#rrggbb`.
    """

    kind: str
    radius: float
    colour: str

    def __post_init__(self) -> None:
        """Check."""
        if self.kind not in KINDS:
            raise RecordError(f"part kind {self.kind!r}: use one of {', '.join(KINDS)}")
        digits = self.colour[1:]
        if self.colour[:1] != "#" or len(digits) != 6 or not set(digits.lower()) <= _HEX:
            raise RecordError(f"part colour {self.colour!r}: expected '#rrggbb'")


_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, eq=False)
class Scene:
    """One episode in space. Metres, world frame, z up, the floor at z = 0.

    Attributes:
        parts: what is drawn.
        ends: float (steps, parts, 2, 3), both ends of each part's axis at each step.
        tip: float (steps, 3), the tool's path.
        goal: float (3,), where the tip should go.
        goal_radius: m, how near counts as there.
    """

    parts: tuple[Part, ...]
    ends: NDArray[Any]
    tip: NDArray[Any]
    goal: NDArray[Any]
    goal_radius: float = 0.02

    def __post_init__(self) -> None:
        """Check shapes against each other."""
        steps = len(self.tip)
        wanted = {
            "ends": (self.ends, (steps, len(self.parts), 2, 3)),
            "tip": (self.tip, (steps, 3)),
            "goal": (self.goal, (3,)),
        }
        for name, (array, shape) in wanted.items():
            if array.shape != shape:
                raise RecordError(f"scene {name}: expected shape {shape}, got {array.shape}")

    def __len__(self) -> int:
        return len(self.tip)

    @property
    def distance(self) -> NDArray[Any]:
        """Float (steps,): from tip to goal, m."""
        return np.asarray(np.linalg.norm(self.tip - self.goal, axis=1))


@dataclass(frozen=True)
class Camera:
    """An orthographic camera.

    Attributes:
        azimuth: rad, where the camera stands, counted from +x towards +y.
        elevation: rad above the horizon.
        scale: pixels per metre.
        target: m, the point in the middle of the picture.
        centre: px, where the target is drawn.
    """

    azimuth: float
    elevation: float
    scale: float
    target: tuple[float, float, float]
    centre: tuple[float, float]

    @property
    def axes(self) -> NDArray[Any]:
        """Float (3, 3): rows point right, up, and towards the viewer."""
        ca, sa = math.cos(self.azimuth), math.sin(self.azimuth)
        ce, se = math.cos(self.elevation), math.sin(self.elevation)
        return np.array([[-sa, ca, 0.0], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]])

    def project(self, points: NDArray[Any]) -> NDArray[Any]:
        """World (..., 3) m to picture (..., 3): x px, y px (down), nearness m."""
        seen = (np.asarray(points, float) - self.target) @ self.axes.T
        seen[..., 0] = self.centre[0] + seen[..., 0] * self.scale
        seen[..., 1] = self.centre[1] - seen[..., 1] * self.scale
        return np.asarray(seen)
