"""Charts of the motion: way to the goal, tip seen from above and aside, joints over time. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import Axis, Plot, log_ticks, ticks
from .svg import element, path, picture, text
from .view import Joints, View

__all__ = ["approach", "from_above", "from_aside", "joint_panels"]

WIDTH, HEIGHT = 380.0, 300.0


def approach(view: View) -> str:
    """Distance from tip to goal over each episode's time, log scale, with the bar to pass."""
    scenes, tolerance = view.scenes, view.scenes[0].goal_radius
    longest = max(len(s) for s in scenes) * view.control_dt
    lowest = min(float(s.distance.min()) for s in scenes)
    low = min(1.0, 10.0 ** math.floor(math.log10(max(lowest * 1e3, 0.1))))
    high = max(float(s.distance.max()) for s in scenes) * 1.15e3
    plot = Plot(Axis(0.0, longest, 44, WIDTH - 12), Axis(low, high, HEIGHT - 44, 28, log=True))
    hold = view.meta.get("task", {}).get("hold_steps", 0) * view.control_dt
    lines = [
        path(
            plot.points(np.arange(len(s)) * view.control_dt, np.maximum(s.distance * 1e3, low)),
            class_="way " + ("good" if view.reached(index) else "bad"),
        )
        for index, s in enumerate(scenes)
    ]
    return picture(
        WIDTH,
        HEIGHT,
        plot.rows(log_ticks(low, high)),
        plot.box((longest - hold, low), (longest, tolerance * 1e3), "zone") if hold else "",
        plot.columns(ticks(0.0, longest, 6)),
        plot.floor(),
        *lines,
        plot.level(tolerance * 1e3, f"within {tolerance * 1e3:g} mm counts", "bar"),
        plot.titles("time in the episode, s", "tip to goal, mm (log)"),
        label="Distance from the tip to the goal over time, one line per episode",
    )


def from_above(view: View) -> str:
    """Tip paths and goals seen from above, x up, y to the left, as the arm's operator stands."""
    return _map(
        view,
        [(-s.tip[:, 1], s.tip[:, 0]) for s in view.scenes],
        [(-float(s.goal[1]), float(s.goal[0])) for s in view.scenes],
        ("to the right, cm", "forward, cm"),
        "Tip paths and goals seen from above",
    )


def from_aside(view: View) -> str:
    """Tip paths and goals in the arm's own plane: distance from the base's axis, and height."""
    return _map(
        view,
        [(np.hypot(s.tip[:, 0], s.tip[:, 1]), s.tip[:, 2]) for s in view.scenes],
        [(math.hypot(s.goal[0], s.goal[1]), float(s.goal[2])) for s in view.scenes],
        ("out from the base's axis, cm", "height, cm"),
        "Tip paths and goals in the plane of the arm",
        least=0.0,
    )


def _map(
    view: View,
    paths: Sequence[tuple[NDArray[Any], NDArray[Any]]],
    goals: Sequence[tuple[float, float]],
    titles: tuple[str, str],
    label: str,
    least: float = -math.inf,
) -> str:
    """Paths on a plane with equal scales on both axes, m in, cm shown, from `least` cm on."""
    radius = view.scenes[0].goal_radius
    xs = np.concatenate([p[0] for p in paths] + [np.array([g[0] for g in goals]), np.zeros(1)])
    ys = np.concatenate([p[1] for p in paths] + [np.array([g[1] for g in goals]), np.zeros(1)])
    left, right, top, bottom = 44.0, WIDTH - 12, 28.0, HEIGHT - 44
    span_x, span_y = (float(np.ptp(v)) + 4 * radius for v in (xs, ys))
    scale = max(span_x / (right - left), span_y / (bottom - top))
    low = float(xs.min() + xs.max()) / 2 - scale * (right - left) / 2
    floor = float(ys.min()) - 2 * radius
    x = Axis(low * 100, (low + scale * (right - left)) * 100, left, right)
    y = Axis(floor * 100, (floor + scale * (bottom - top)) * 100, bottom, top)
    plot = Plot(x, y)
    drawn = []
    for index, ((px, py), goal) in enumerate(zip(paths, goals, strict=True)):
        kind = "good" if view.reached(index) else "bad"
        points = plot.points(px * 100, py * 100)
        gx, gy = x.at(goal[0] * 100), y.at(goal[1] * 100)
        drawn.append(path(points, class_=f"way {kind}"))
        drawn.append(element("circle", cx=points[0][0], cy=points[0][1], r=2.2, class_="start"))
        drawn.append(element("circle", cx=gx, cy=gy, r=radius / scale, class_=f"target {kind}"))
        drawn.append(text(gx, gy + 4.2, str(index + 1), "t number", text_anchor="middle"))
    base = element("path", d=f"M{x.at(0) - 5:.1f} {y.at(0):.1f}h10m-5 -5v10", class_="base") + text(
        x.at(0) + 7, y.at(0) - 6, "base", "t tick"
    )
    return picture(
        WIDTH,
        HEIGHT,
        plot.rows(ticks(y.low, y.high, 5)),
        plot.columns([v for v in ticks(x.low, x.high, 6) if v >= least]),
        plot.floor(),
        base,
        *drawn,
        plot.titles(*titles),
        label=label,
    )


def joint_panels(view: View) -> list[str]:
    """One chart per joint: measured and commanded angle over the run, inside its limits."""
    joints = view.joints
    if joints is None:
        return []
    return [_joint(view, joints, index) for index in range(len(joints.names))]


def _joint(view: View, joints: Joints, index: int) -> str:
    width, height = 340.0, 190.0
    q = view.column(joints.column)[:, index]
    target = view.column("target")
    low = joints.low[index] if joints.low else float(q.min())
    high = joints.high[index] if joints.high else float(q.max())
    pad = 0.07 * max(high - low, 0.1)
    seconds = view.seconds
    x = Axis(0.0, float(seconds[-1]) + view.control_dt, 40, width - 8)
    plot = Plot(x, Axis(low - pad, high + pad, height - 30, 26))
    lines = []
    ends = [*view.starts[1:], len(q)]
    for start, end in zip(view.starts, ends, strict=True):
        part = slice(start, end)
        if len(target):
            wanted = plot.points(seconds[part], target[part, index])
            lines.append(path(wanted, class_="commanded"))
        lines.append(path(plot.points(seconds[part], q[part]), class_="measured"))
    fences = [plot.upright(float(seconds[start]), "fence") for start in view.starts[1:]]
    limits = ""
    if joints.low and joints.high:
        limits = (
            plot.band(low - pad, low, "beyond")
            + plot.band(high, high + pad, "beyond")
            + element("path", d=f"M{x.start:g} {plot.y.at(low):.1f}H{x.end:g}", class_="limit")
            + element("path", d=f"M{x.start:g} {plot.y.at(high):.1f}H{x.end:g}", class_="limit")
        )
    return picture(
        width,
        height,
        limits,
        plot.rows(ticks(low, high, 4)),
        plot.columns(ticks(0.0, x.high, 5)),
        *fences,
        *lines,
        text(4, 14, joints.names[index], "t head"),
        text(width - 8, 14, "rad over s", "t title", text_anchor="end"),
        label=f"Joint {joints.names[index]}: measured and commanded angle in rad over seconds",
    )
