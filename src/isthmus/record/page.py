"""The page: a verdict, the arm at work, the way to each goal, the time it took, the facts. Pure."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from importlib.resources import files

import numpy as np

from . import motion_charts, timing_charts
from .arm import portrait
from .masthead import masthead
from .playback import player
from .svg import element
from .tables import run_facts, side_facts, stage_table
from .timing_charts import legend
from .view import View

__all__ = ["page"]


def page(view: View) -> str:
    """The whole run as one HTML document that loads nothing from anywhere."""
    assets = files("isthmus.record")
    css = (assets / "report.css").read_text(encoding="utf-8")
    script = (assets / "player.js").read_text(encoding="utf-8")
    title = f"{view.meta.get('name', 'run')} · {view.meta.get('run_id', '')}"
    head = (
        element("meta", charset="utf-8")
        + element("meta", name="viewport", content="width=device-width, initial-scale=1")
        + element("title", html.escape(title))
        + element("style", css)
    )
    sections = [build(view) for build in (_work, _goals, _ways, _joints, _time, _facts)]
    body = masthead(view) + element("main", *sections) + _footer(view)
    if view.scenes and view.joints:
        body += element("script", script)
    return "<!doctype html>\n" + element(
        "html", element("head", head), element("body", body), lang="en"
    )


def _section(title: str, note: str, *parts: str) -> str:
    """Parts are markup; the note may hold markup too."""
    return element("section", element("h2", title), element("p", note, class_="note"), *parts)


def _panel(title: str, *parts: str) -> str:
    return element("div", element("h3", title) if title else "", *parts, class_="panel")


def _work(view: View) -> str:
    if not view.scenes or view.joints is None:
        return ""
    return _section(
        "The arm at work",
        "Replayed from the recorded joint angles. Drag the picture to turn it; pick a moment on "
        "the strip, whose hills are the distance to the goal.",
        player(view),
    )


def _goals(view: View) -> str:
    if not view.scenes:
        return ""
    cards = []
    for index, scene in enumerate(view.scenes):
        facts = view.episodes[index].facts
        gap = float(facts.get("distance", scene.distance[-1])) * 1e3
        good = view.reached(index)
        words = ("reached" if good else "not reached") + (
            "" if index in view.untouched else " in the stall"
        )
        picture = portrait(scene, len(scene) - 1, f"Goal {index + 1}, {words}, {gap:.0f} mm away")
        caption = element(
            "figcaption",
            element("span", f"Goal {index + 1}"),
            element("span", f"{words}, {gap:.0f} mm", class_="good" if good else "bad"),
        )
        cards.append(element("figure", picture, caption, class_="card"))
    stills = [
        element(
            "figure",
            element(
                "img",
                src="data:image/png;base64," + base64.b64encode(still.png).decode("ascii"),
                alt=html.escape(still.caption),
            ),
            element("figcaption", html.escape(still.caption)),
        )
        for still in view.stills
    ]
    return _section(
        "Every goal",
        "The pose at the last step of each episode, with the path of the tip. The ball is the goal "
        f"and shows how near counts: {view.scenes[0].goal_radius * 1e3:g} mm.",
        element("div", *cards, class_="cards"),
        element("div", *stills, class_="stills") if stills else "",
    )


def _ways(view: View) -> str:
    if not view.scenes:
        return ""
    hold = view.meta.get("task", {}).get("hold_steps")
    held = f" and stay there for the last {hold} steps" if hold else ""
    outcomes = {view.reached(index) for index in range(len(view.scenes))}
    keys = {"k-good": "tip, goal reached"} if True in outcomes else {}
    if False in outcomes:
        keys["k-bad"] = "tip, goal not reached"
    keys["k-goal"] = "goal, to scale"
    return _section(
        "The way there",
        f"To count, the tip must come within {view.scenes[0].goal_radius * 1e3:g} mm of the goal"
        f"{held}: the green box.",
        element(
            "div",
            _panel("How near", motion_charts.approach(view)),
            _panel("From above", motion_charts.from_above(view)),
            _panel("In the plane of the arm", motion_charts.from_aside(view)),
            class_="grid three",
        ),
        legend(keys),
    )


def _joints(view: View) -> str:
    panels = motion_charts.joint_panels(view)
    if not panels:
        return ""
    keys = {"k-measured": "measured"}
    if len(view.column("target")):
        keys["k-commanded"] = "commanded"
    keys["k-beyond"] = "beyond the joint's limits"
    return _section(
        "Joints",
        "Every joint over the whole run. Dotted lines part the episodes.",
        element("div", *(_panel("", chart) for chart in panels), class_="grid three"),
        legend(keys),
    )


def _time(view: View) -> str:
    if not len(view.total_ms) or not view.answered.any():
        return ""
    total = float(np.quantile(view.total_ms, 0.5))
    share = f" That is {total / view.deadline_ms:.1%} of the deadline." if view.deadline_ms else ""
    stages = {f"s-{s}": f"{s} ({timing_charts.SIDES[s]})" for s in view.stages_ms}
    seen = {f"st-{name}": name for name in view.metrics["status"]}
    spread = {"b-in": "the policy’s own"}
    if (~view.answered & ~view.waited).any():
        spread["b-held"] = "the fallback at once, nothing was asked"
    if (~view.answered & view.waited).any():
        spread["b-miss"] = "the fallback, after waiting in vain"
    return _section(
        "Time",
        f"Half of all actions were in the caller’s hands within <b>{total:.2f} ms</b> of asking."
        f"{share} The bar is a typical step, to scale.",
        _panel("", _both(timing_charts.stage_bar, view), legend(stages)),
        element(
            "div",
            _panel(
                "How long act() took",
                _both(timing_charts.histogram, view, wide=560.0),
                legend(spread),
            ),
            _panel("By stage, ms", stage_table(view)),
            class_="grid two stack-top",
            style="margin-top:14px",
        ),
        element(
            "div",
            _panel(
                "Every step",
                _both(timing_charts.timeline, view),
                legend(seen),
                _both(timing_charts.stage_timeline, view),
            ),
            style="margin-top:14px",
        ),
    )


def _both(chart: Callable[[View, float], str], view: View, wide: float = 1120.0) -> str:
    """A chart drawn twice, so that its text stays readable on a phone."""
    drawn = {"wide": chart(view, wide), "narrow": chart(view, 380.0)}
    return "".join(element("div", markup, class_=name) for name, markup in drawn.items())


def _facts(view: View) -> str:
    return _section(
        "Facts",
        "What it takes to run this again; all of it is in <code>meta.json</code>, every step in "
        "<code>episodes/</code>.",
        element(
            "div",
            _panel("Simulator", side_facts(view, "sim")),
            _panel("Policy", side_facts(view, "policy_side")),
            class_="grid two",
        ),
        element("div", _panel("Run", run_facts(view)), style="margin-top:14px"),
    )


def _footer(view: View) -> str:
    version = view.meta.get("sim", {}).get("packages", {}).get("isthmus", "")
    return element("footer", html.escape(f"isthmus {version} · loads nothing from a network"))
