"""The arm as lines with a thickness, for pictures where there is no OpenGL. Needs numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .kinematics import link_frames
from .model import arm_model

__all__ = ["VIEWS", "Capsule", "capsules", "svg"]

Vector = tuple[float, float, float]

VIEWS: Mapping[str, tuple[Vector, Vector, Vector]] = {
    "side": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    "front": ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
    "top": ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "overview": ((0.74, 0.67, 0.0), (-0.24, 0.26, 0.935), (0.63, -0.70, 0.35)),
}
"""View -> the world direction that points right, up, and towards the eye."""


@dataclass(frozen=True, slots=True)
class Capsule:
    """A visible shape in the world.

    Attributes:
        name: as in the MJCF.
        start: one end of the axis, m.
        end: the other end, m.
        radius: m.
        colour: red, green, blue, opacity; each 0..1.
        round_ends: True for a capsule, False for a cylinder.
    """

    name: str
    start: Vector
    end: Vector
    radius: float
    colour: tuple[float, float, float, float]
    round_ends: bool


def capsules(q: ArrayLike) -> list[Capsule]:
    """Every visible shape of the arm in a pose.

    Args:
        q: (6,), rad.

    Returns:
        The shapes, base first, in the world's frame.
    """
    rotations, origins = link_frames(q)
    shapes = []
    for link, rotation, origin in zip(arm_model().links, rotations, origins, strict=True):
        for part in link.parts:
            start = (origin + rotation @ np.array(part.start)).tolist()
            end = (origin + rotation @ np.array(part.end)).tolist()
            shapes.append(
                Capsule(
                    part.name,
                    (start[0], start[1], start[2]),
                    (end[0], end[1], end[2]),
                    part.radius,
                    part.colour,
                    part.kind == "capsule",
                )
            )
    return shapes


def svg(
    q: ArrayLike,
    *,
    view: str = "side",
    goal: ArrayLike | None = None,
    path: ArrayLike | None = None,
    centre: tuple[float, float, float] = (0.12, 0.0, 0.24),
    span: float = 0.9,
    size: int = 360,
) -> str:
    """The arm as an SVG element, seen without perspective.

    Args:
        q: (6,), rad.
        view: a key of `VIEWS`.
        goal: (3,), m; drawn as a ring 2 cm in radius.
        path: (n, 3), m; where the tip has been.
        centre: what the picture is centred on, m.
        span: width and height of what is seen, m.
        size: width and height of the picture, pixels.

    Returns:
        One self-contained `<svg>` element.

    Raises:
        KeyError: no such view.
    """
    right, up, eye = (np.array(axis) for axis in VIEWS[view])
    scale = size / span

    def flat(points: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        gap = np.asarray(points, dtype=np.float64) - np.array(centre)
        return size / 2 + scale * np.stack([gap @ right, -(gap @ up)], axis=-1)

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}">']
    if abs(up[2]) > 0.9:
        floor = flat((0.0, 0.0, 0.0))[1]
        lines.append(
            f'<path d="M0 {floor:.1f}H{size}" stroke="#b8bec6" stroke-width="1.5" fill="none"/>'
        )
    nearest_last = sorted(capsules(q), key=lambda c: float((np.add(c.start, c.end) / 2) @ eye))
    for shape in nearest_last:
        lines.append(_stroke(shape, flat([shape.start, shape.end]), scale))
    if path is not None and len(np.atleast_2d(path)) > 1:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in flat(path))
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="#d9480f" stroke-width="1.5"'
            ' stroke-opacity="0.8"/>'
        )
    if goal is not None:
        x, y = flat(goal)
        lines.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.02 * scale:.1f}" fill="#1ab85c"'
            ' fill-opacity="0.35" stroke="#1ab85c" stroke-width="1.5"/>'
        )
    return "\n".join([*lines, "</svg>"])


def _stroke(
    shape: Capsule, ends: np.ndarray[tuple[int, ...], np.dtype[np.float64]], scale: float
) -> str:
    (x1, y1), (x2, y2) = ends
    red, green, blue = (round(255 * channel) for channel in shape.colour[:3])
    # A cylinder seen end on would vanish with flat ends, so it is drawn round.
    end_on = np.hypot(x2 - x1, y2 - y1) < shape.radius * scale
    cap = "round" if shape.round_ends or end_on else "butt"
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-linecap="{cap}"'
        f' stroke="rgb({red},{green},{blue})" stroke-width="{2 * shape.radius * scale:.1f}"/>'
    )
