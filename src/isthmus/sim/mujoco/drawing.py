"""The arm as lines with a thickness, for pictures where there is no OpenGL. Needs numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .kinematics import link_frames
from .model import arm_model

__all__ = ["VIEWS", "Capsule", "capsules", "svg"]

Array = NDArray[np.float64]
Vector = tuple[float, float, float]

VIEWS: Mapping[str, tuple[Vector, Vector, Vector]] = {
    "side": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    "front": ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
    "top": ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "overview": ((0.742, 0.671, 0.0), (-0.235, 0.260, 0.937), (0.628, -0.695, 0.351)),
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

    def flat(points: ArrayLike) -> Array:
        gap = np.asarray(points, dtype=np.float64) - np.array(centre)
        return np.asarray(size / 2 + scale * np.stack([gap @ right, -(gap @ up)], axis=-1))

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}">']
    if view in ("side", "front"):
        floor = flat((0.0, 0.0, 0.0))[1]
        lines.append(f'<path d="M0 {floor:.1f}H{size}" stroke="#b8bec6" stroke-width="1.5"/>')
    for shape in sorted(capsules(q), key=lambda c: float(np.add(c.start, c.end) @ eye)):
        depth = float(np.subtract(shape.end, shape.start) @ eye)
        lines.append(_outline(shape, flat([shape.start, shape.end]), depth, scale))
    if path is not None:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in flat(np.atleast_2d(path)))
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="#d6336c" stroke-width="1.5"/>'
        )
    if goal is not None:
        x, y = flat(goal)
        lines.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.02 * scale:.1f}" fill="#1ab85c"'
            ' fill-opacity="0.35" stroke="#1ab85c" stroke-width="1.5"/>'
        )
    return "\n".join([*lines, "</svg>"])


def _outline(shape: Capsule, ends: Array, depth: float, scale: float) -> str:
    """One shape's silhouette, and the end of a cylinder that faces the eye.

    Seen without perspective, either end of a capsule is a circle and either end of a cylinder is
    an ellipse, as narrow as its axis is turned away; the silhouette joins two half ends.

    Args:
        shape: what to draw.
        ends: (2, 2), pixels.
        depth: by how much `end` is nearer to the eye than `start`, m.
        scale: pixels in a metre.
    """
    length = float(np.linalg.norm(np.subtract(shape.end, shape.start)))
    turned = min(1.0, abs(depth) / length) if length else 1.0
    (x1, y1), (x2, y2) = ends
    angle = float(np.arctan2(y2 - y1, x2 - x1))
    r = shape.radius * scale
    minor = r if shape.round_ends else r * turned
    vx, vy = -r * np.sin(angle), r * np.cos(angle)
    arc = f"A{minor:.2f} {r:.2f} {np.degrees(angle):.1f} 0 1"
    path = (
        f"M{x1 + vx:.1f} {y1 + vy:.1f}{arc} {x1 - vx:.1f} {y1 - vy:.1f}"
        f"L{x2 - vx:.1f} {y2 - vy:.1f}{arc} {x2 + vx:.1f} {y2 + vy:.1f}Z"
    )
    drawn = f'<path d="{path}" fill="{_rgb(shape, 1.0)}" stroke="{_rgb(shape, 0.6)}"/>'
    if shape.round_ends or turned < 0.05:
        return drawn
    x, y = (x2, y2) if depth > 0 else (x1, y1)
    return drawn + (
        f'<ellipse rx="{minor:.2f}" ry="{r:.2f}" fill="{_rgb(shape, 1.15)}"'
        f' transform="translate({x:.1f} {y:.1f}) rotate({np.degrees(angle):.1f})"/>'
    )


def _rgb(shape: Capsule, brightness: float) -> str:
    red, green, blue = (min(255, round(255 * c * brightness)) for c in shape.colour[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"
