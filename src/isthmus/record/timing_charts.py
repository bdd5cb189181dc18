"""Charts of time: where it goes, how it spreads, and when it was too much. Pure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import Axis, Plot, log_ticks, ticks
from .layout import STATUSES
from .svg import element, picture, text
from .view import View

__all__ = ["SIDES", "histogram", "legend", "stage_bar", "stage_timeline", "timeline"]

SIDES: dict[str, str] = {
    "encode": "simulator",
    "wire": "between",
    "queue": "policy",
    "infer": "policy",
    "decode": "simulator",
}
"""Stage -> on which side of the boundary its time is spent."""


def stage_bar(view: View, width: float) -> str:
    """A typical step as one bar, cut into its stages' medians."""
    height = 80.0
    answered = view.answered
    medians = {s: float(np.median(v[answered])) for s, v in view.stages_ms.items()}
    whole = sum(medians.values()) or 1.0
    drawn, x = [], 0.0
    for stage, value in medians.items():
        share = value / whole * width
        drawn.append(
            element(
                "rect", x=x, y=22.0, width=max(share - 2, 0.5), height=30.0, class_=f"s-{stage}"
            )
        )
        if share > 9 * len(stage):
            drawn.append(text(x + 1, 14, stage, "t head"))
            drawn.append(text(x + 1, 70, f"{value * 1e3:.0f} µs", "t tick"))
        x += share
    return picture(
        width, height, *drawn, label="Median time of each stage of a step, to scale", class_="bar"
    )


def _latency_range(view: View) -> tuple[float, float]:
    total = view.total_ms
    least = max(float(np.quantile(total, 0.005)) * 0.9, 1e-3)
    power = 10.0 ** math.floor(math.log10(least))
    low = max(m * power for m in (1, 2, 5) if m * power <= least)
    high = max(float(total.max()) * 1.2, (view.deadline_ms or 0.0) * 1.6)
    return low, high


def _kinds(view: View) -> dict[str, NDArray[Any]]:
    """Class of a mark -> which steps it stands for: answered, not waited for, waited in vain."""
    waited = view.waited
    return {
        "b-in": view.answered,
        "b-held": ~view.answered & ~waited,
        "b-miss": ~view.answered & waited,
    }


def histogram(view: View, width: float) -> str:
    """How long `act()` took, on a logarithmic axis up to the deadline, misses apart."""
    height = 300.0
    low, high = _latency_range(view)
    x = Axis(low, high, 44, width - 12, log=True)
    edges = np.geomspace(low, high, 64)
    heights = {
        class_: np.histogram(view.total_ms[chosen], edges)[0]
        for class_, chosen in _kinds(view).items()
    }
    most = max(1, int(sum(heights.values()).max()))
    plot = Plot(x, Axis(0.0, most * 1.12, height - 44, 30))
    bars, under = [], np.zeros(len(edges) - 1)
    for class_, counts in heights.items():
        for i in np.flatnonzero(counts):
            left, right = x.at(float(edges[i])), x.at(float(edges[i + 1]))
            top, bottom = plot.y.at(float(under[i] + counts[i])), plot.y.at(float(under[i]))
            # A single step among hundreds must stay visible: never under 2 px.
            tall = max(bottom - top, 2.0)
            bars.append(
                element(
                    "rect",
                    x=left + 0.5,
                    y=bottom - tall,
                    width=max(right - left - 1, 1.0),
                    height=tall,
                    class_=class_,
                )
            )
        under = under + counts
    marks = "".join(
        plot.upright(float(np.quantile(view.total_ms, q)), "quantile")
        + text(x.at(float(np.quantile(view.total_ms, q))), 24, name, "t tick", text_anchor="middle")
        for name, q in (("p50", 0.5), ("p99", 0.99))
    )
    deadline = ""
    if view.deadline_ms:
        at = x.at(view.deadline_ms)
        words = f"deadline {view.deadline_ms:g} ms"
        deadline = (
            plot.stripe(view.deadline_ms, high, "late")
            + plot.upright(view.deadline_ms, "deadline")
            + text(at - 6, 46, words, "t deadline-t", text_anchor="end")
        )
    return picture(
        width,
        height,
        deadline,
        plot.rows(ticks(0, most, 6)),
        plot.columns(log_ticks(low, high, dense=width > 500)),
        *bars,
        plot.floor(),
        marks,
        plot.titles("act(), ms (log)", "steps"),
        label="Histogram of the time of each act(), with the deadline",
    )


def timeline(view: View, width: float) -> str:
    """Every step of the run: how long its `act()` took, misses, and where its action came from."""
    height = 270.0
    low, high = _latency_range(view)
    seconds = view.seconds
    x = Axis(0.0, float(seconds[-1]) + view.control_dt, 48, width - 12)
    plot = Plot(x, Axis(low, high, height - 66, 26, log=True))
    fences = [plot.upright(float(seconds[start]), "fence") for start in view.starts[1:]]
    # One path of zero-length strokes with round caps draws all dots of a kind in one element.
    shapes = {"b-in": "h0", "b-held": "h0", "b-miss": "m-3.5 -3.5l7 7m0-7l-7 7"}
    dots = [
        element(
            "path",
            d="".join(
                f"M{px:.1f} {py:.1f}{shapes[class_]}"
                for px, py in plot.points(seconds[chosen], view.total_ms[chosen])
            ),
            class_=f"dots {class_}",
        )
        for class_, chosen in _kinds(view).items()
    ]
    deadline = ""
    if view.deadline_ms:
        deadline = plot.band(view.deadline_ms, high, "late") + plot.level(
            view.deadline_ms, f"deadline {view.deadline_ms:g} ms", "deadline"
        )
    return picture(
        width,
        height,
        deadline,
        plot.rows(log_ticks(low, high)),
        *fences,
        *dots,
        _ribbon(view, x, height - 60),
        Plot(x, Axis(0, 1, height - 46, 0)).columns(ticks(0.0, x.high, 10 if width > 700 else 5)),
        text(width - 12, height - 10, "time in the run, s", "t title", text_anchor="end"),
        plot.titles("", "act(), ms (log)"),
        label="Time of every act() over the run, misses crossed",
    )


def _ribbon(view: View, x: Axis, y: float) -> str:
    """A stripe that says at each step who decided: the policy, a bridge, a stop."""
    status, seconds = view.status, view.seconds
    if not len(status):
        return ""
    cuts = [0, *(np.flatnonzero(np.diff(status)) + 1).tolist(), len(status)]
    stripes = []
    for start, end in zip(cuts[:-1], cuts[1:], strict=True):
        left = x.at(seconds[start])
        right = x.at(seconds[end] if end < len(seconds) else x.high)
        name = STATUSES[int(status[start])]
        stripes.append(
            element(
                "rect",
                element("title", f"{name}, {end - start} steps"),
                x=left,
                y=y,
                width=max(right - left, 1.0),
                height=10.0,
                class_=f"st-{name}",
            )
        )
    return "".join(stripes)


def stage_timeline(view: View, width: float) -> str:
    """Stages stacked at every answered step, linear; steps off the scale carry an arrow."""
    height = 230.0
    answered, seconds = view.answered, view.seconds
    stages = view.stages_ms
    whole = np.sum(list(stages.values()), axis=0)
    top = float(np.quantile(whole[answered], 0.95)) * 1.6
    x = Axis(0.0, float(seconds[-1]) + view.control_dt, 48, width - 12)
    plot = Plot(x, Axis(0.0, top, height - 44, 26))
    step = (x.end - x.start) * view.control_dt / x.high
    under = np.zeros(len(seconds))
    layers = []
    for stage, values in stages.items():
        over = under + values
        drawn = "".join(
            f"M{x.at(seconds[i]):.1f} {plot.y.at(under[i]):.1f}V{plot.y.at(over[i]):.1f}"
            for i in np.flatnonzero(answered & (under < top))
        )
        stroke = f"{max(step * 0.8, 0.7):.2f}"
        layers.append(element("path", d=drawn, class_=f"stack l-{stage}", stroke_width=stroke))
        under = over
    arrows = "".join(
        f"M{x.at(seconds[i]) - 3:.1f} 25l3 -5l3 5z"
        for i in np.flatnonzero(answered & (whole > top))
    )
    fences = [plot.upright(float(seconds[start]), "fence") for start in view.starts[1:]]
    return picture(
        width,
        height,
        plot.rows(ticks(0.0, top, 4)),
        *fences,
        *layers,
        element("path", d=arrows, class_="arrows"),
        plot.columns(ticks(0.0, x.high, 10 if width > 700 else 5)),
        plot.floor(),
        plot.titles("time in the run, s", "answered steps by stage, ms"),
        label="Time of each stage at every answered step, stacked",
    )


def legend(names: dict[str, str]) -> str:
    """Class of the swatch -> what it stands for, as HTML."""
    items = [
        element("span", element("i", class_=class_), words, class_="key")
        for class_, words in names.items()
    ]
    return element("p", *items, class_="legend")
