"""Pictures of the arm: tubes and discs, shaded, far ones first. Pure.

Light comes from the upper left of the picture. Each tube is three strokes (dark, body, shine), each
disc an ellipse: enough to read a pose, small enough to draw by the hundred.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scene import Camera, Part, Scene
from .svg import element, number, path, picture

__all__ = ["portrait", "shade"]

SIZE = (320.0, 272.0)
CAMERA = Camera(-0.95, 0.42, 372.0, (0.1, 0.0, 0.255), (160.0, 136.0))
RINGS = (0.2, 0.4)
"""Radii of the circles drawn on the floor, m."""


def shade(colour: str, factor: float) -> str:
    """A colour made darker (factor < 1) or lighter (> 1, towards white)."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    if factor <= 1:
        mixed = [value * factor for value in parts]
    else:
        mixed = [value + (255 - value) * (factor - 1) for value in parts]
    return "#" + "".join(f"{min(255, max(0, round(value))):02x}" for value in mixed)


def portrait(scene: Scene, step: int, label: str) -> str:
    """One pose with its shadow, the goal, and the tip's path up to it.

    Args:
        scene: the episode.
        step: which step, counted from 0.
        label: what the picture shows, in words.
    """
    camera = CAMERA
    goal = camera.project(scene.goal)
    return picture(
        *SIZE,
        _floor(camera),
        _shadow(scene.ends[step], scene.parts, camera),
        _goal_on_floor(scene, camera),
        _parts(scene.ends[step], scene.parts, camera, float(goal[2]), _goal(scene, camera)),
        _trail(scene.tip[: step + 1], camera),
        label=label,
        class_="arm",
    )


def _floor(camera: Camera) -> str:
    turn = np.linspace(0, 2 * math.pi, 65)
    drawn = []
    for radius in RINGS:
        ring = np.stack([radius * np.cos(turn), radius * np.sin(turn), 0 * turn], axis=1)
        drawn.append(path(_xy(camera.project(ring)), class_="ring"))
    return "".join(drawn)


def _shadow(ends: NDArray[Any], parts: tuple[Part, ...], camera: Camera) -> str:
    flat = np.array(ends, float)
    flat[..., 2] = 0.0
    seen = camera.project(flat)
    strokes = [
        path(_xy(line), stroke_width=number(1.7 * part.radius * camera.scale))
        for part, line in zip(parts, seen, strict=True)
    ]
    return element("g", *strokes, class_="shadow")


def _goal_on_floor(scene: Scene, camera: Camera) -> str:
    foot = np.array([scene.goal, [scene.goal[0], scene.goal[1], 0.0]])
    seen = camera.project(foot)
    radius = scene.goal_radius * camera.scale
    return path(_xy(seen), class_="plumb") + element(
        "ellipse",
        cx=float(seen[1, 0]),
        cy=float(seen[1, 1]),
        rx=radius,
        ry=radius * math.sin(camera.elevation),
        class_="foot",
    )


def _goal(scene: Scene, camera: Camera) -> str:
    x, y, _ = camera.project(scene.goal)
    radius = scene.goal_radius * camera.scale
    ball = element("circle", cx=float(x), cy=float(y), r=radius, class_="goal")
    return ball + element("circle", cx=float(x), cy=float(y), r=1.6, class_="goal-core")


def _trail(tip: NDArray[Any], camera: Camera) -> str:
    return path(_xy(camera.project(tip)), class_="trail")


def _parts(
    ends: NDArray[Any], parts: tuple[Part, ...], camera: Camera, goal_depth: float, goal: str
) -> str:
    seen = camera.project(ends)
    drawn = [(goal_depth, goal)]
    for part, line in zip(parts, seen, strict=True):
        draw = _tube if part.kind == "capsule" else _drum
        drawn.append((float(line[:, 2].mean()), draw(part, line, camera.scale)))
    return "".join(markup for _, markup in sorted(drawn, key=lambda item: item[0]))


def _tube(part: Part, line: NDArray[Any], scale: float) -> str:
    width = 2 * part.radius * scale
    lift = 0.13 * width
    strokes = [
        path(
            [(x - lift * shift, y - lift * shift) for x, y in _xy(line)],
            stroke=shade(part.colour, tone),
            stroke_width=number(max(width * share, 0.6)),
        )
        for share, shift, tone in ((1.0, 0.0, 0.6), (0.76, 0.5, 1.0), (0.26, 1.2, 1.4))
    ]
    return element("g", *strokes, class_="tube")


def _drum(part: Part, line: NDArray[Any], scale: float) -> str:
    """A cylinder: the far cap, the side, and the near cap on top."""
    far, near = sorted(line, key=lambda end: float(end[2]))
    dx, dy = float(near[0] - far[0]), float(near[1] - far[1])
    length = math.hypot(dx, dy)
    depth = float(near[2] - far[2]) * scale
    radius = part.radius * scale
    facing = depth / max(math.hypot(length, depth), 1e-9)
    angle = math.degrees(math.atan2(dy, dx)) if length > 1e-6 else 0.0
    # In a frame turned so that x runs along the drum's axis, its caps are upright ellipses.
    caps = [
        element("ellipse", cx=at, cy=0.0, rx=radius * facing, ry=radius, fill=fill)
        for at, fill in ((0.0, shade(part.colour, 0.6)), (length, shade(part.colour, 1.12)))
    ]
    side = element(
        "rect", x=0.0, y=-radius, width=length, height=2 * radius, fill=shade(part.colour, 0.72)
    )
    where = f"translate({number(far[0])} {number(far[1])}) rotate({number(angle)})"
    return element("g", caps[0], side, caps[1], transform=where)


def _xy(points: NDArray[Any]) -> list[tuple[float, float]]:
    return [(float(p[0]), float(p[1])) for p in points]
