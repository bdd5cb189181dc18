"""What the page's player plays: small integers as base64, and the markup around it. Pure."""

from __future__ import annotations

import base64
import html
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import Axis
from .layout import STATUSES
from .svg import element, number
from .view import View

__all__ = ["player", "playback_data"]

VIEWS: dict[str, tuple[float, float]] = {
    "Corner": (-0.95, 0.36),
    "Front": (0.0, 0.12),
    "Side": (-1.5708, 0.06),
    "Top": (3.1416, 1.5708),
}
"""Name of a view -> azimuth and elevation, rad."""

TARGET = (0.1, 0.0, 0.27)
"""The point in the middle of the picture, m."""


def playback_data(view: View) -> str:
    """The run as the player's JSON. Lengths to 0.1 mm, angles to 0.1 mrad."""
    scenes, joints = view.scenes, view.joints
    assert joints is not None
    q = view.column(joints.column)
    low = joints.low or tuple(q.min(axis=0).tolist())
    high = joints.high or tuple(q.max(axis=0).tolist())
    steps = len(q)
    blank = np.zeros(steps)
    status = view.status if len(view.status) else blank
    total = view.total_ms if len(view.total_ms) else blank
    data = {
        "steps": steps,
        "dt": view.control_dt,
        "poster": view.starts[-1] + len(scenes[-1]) // 3,
        "target": TARGET,
        "goal_radius": scenes[0].goal_radius,
        "statuses": STATUSES,
        "parts": [
            {"kind": p.kind, "radius": p.radius, "colour": p.colour} for p in scenes[0].parts
        ],
        "episodes": [
            {"start": start, "goal": [round(float(v), 5) for v in scene.goal]}
            for start, scene in zip(view.starts, scenes, strict=True)
        ],
        "joints": {"names": joints.names, "low": low, "high": high},
        "ends": _packed(np.concatenate([s.ends for s in scenes]) * 1e4, "<i2"),
        "tip": _packed(np.concatenate([s.tip for s in scenes]) * 1e4, "<i2"),
        "q": _packed(q * 1e4, "<i2"),
        "act_us": _packed(total * 1e3, "<u4"),
        "status": _packed(status, "u1"),
    }
    # "<" never appears raw, so no text in the data can end the script element.
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _missed(view: View, x: Axis, height: float) -> list[str]:
    """One red stripe for every run of misses."""
    edges = np.flatnonzero(np.diff(view.miss.astype(int), prepend=0, append=0)).tolist()
    return [
        element(
            "rect",
            x=x.at(start),
            y=0.0,
            width=max(x.at(end) - x.at(start), 2.0),
            height=height,
            class_="missed",
        )
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def _packed(values: NDArray[Any], dtype: str) -> str:
    kind = np.dtype(dtype)
    bounds = np.iinfo(kind)
    whole = np.clip(np.rint(np.asarray(values, float)), bounds.min, bounds.max).astype(kind)
    return base64.b64encode(whole.tobytes()).decode("ascii")


def player(view: View) -> str:
    """The player's markup: stage, read-outs, joints, scrubber."""
    buttons = "".join(
        element("button", name, type="button", data_azimuth=azimuth, data_elevation=elevation)
        for name, (azimuth, elevation) in VIEWS.items()
    )
    stage = element(
        "div",
        element("canvas", id="stage", aria_label="The arm in 3-D; drag to turn it", role="img"),
        element("div", buttons, class_="views"),
        class_="stage",
    )
    return (
        element("div", stage, _readings(view), class_="player")
        + _scrubber(view)
        + element("script", playback_data(view), type="application/json", id="playback")
    )


def _readings(view: View) -> str:
    joints = view.joints
    assert joints is not None
    rows = "".join(
        element(
            "div",
            element("span", html.escape(name)),
            element("b", "", id=f"angle-{i}"),
            element("div", element("i", id=f"joint-{i}"), class_="slide"),
            class_="joint",
        )
        for i, name in enumerate(joints.names)
    )
    facts = "".join(
        element("div", element("span", words), element("b", "", id=id_))
        for words, id_ in (
            ("goal", "now-goal"),
            ("time", "now-time"),
            ("action from", "now-status"),
            ("act() took", "now-act"),
        )
    )
    gap = element("p", element("b", "", id="now-gap"), " mm to the goal", class_="gap")
    return element(
        "div",
        gap,
        element("div", facts, class_="facts"),
        element("p", "joints within their limits, rad", class_="small"),
        rows,
        class_="readings",
    )


def _scrubber(view: View) -> str:
    """A slider over a strip: hills of distance to the goal, one colour per outcome."""
    width, height = 1000.0, 44.0
    steps = sum(len(s) for s in view.scenes)
    x = Axis(0.0, max(steps - 1, 1), 0.0, width)
    most = max(float(s.distance.max()) for s in view.scenes)
    hills = []
    for index, (start, scene) in enumerate(zip(view.starts, view.scenes, strict=True)):
        tops = "L".join(
            f"{number(x.at(start + i))} {number(height - 4 - 36 * float(d) / most)}"
            for i, d in enumerate(scene.distance)
        )
        right = number(x.at(start + len(scene) - 1))
        kind = "good" if view.reached(index) else "bad"
        shape = f"M{number(x.at(start))} {number(height)}L{tops}L{right} {number(height)}Z"
        hills.append(element("path", d=shape, class_=f"hill {kind}"))
    strip = element(
        "svg",
        *hills,
        *_missed(view, x, height),
        viewBox=f"0 0 {number(width)} {number(height)}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    slider = element(
        "input",
        type="range",
        id="scrub",
        min=0,
        max=max(steps - 1, 0),
        value=0,
        aria_label="step of the run",
    )
    return element(
        "div",
        element("button", "Play", type="button", id="play"),
        element("div", strip, element("i", id="cursor"), slider, class_="strip"),
        class_="transport",
    )
