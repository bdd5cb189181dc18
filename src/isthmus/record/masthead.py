"""The top of the page: the verdict, the two sides, and four numbers. Pure."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import datetime, timezone

import numpy as np

from .svg import element
from .view import View

__all__ = ["masthead"]

TRANSPORTS: dict[str, str] = {
    "shm": "shared memory",
    "unix": "a Unix socket",
    "tcp": "TCP",
    "memory": "a direct call",
}


def masthead(view: View) -> str:
    """The top of the page: what came of the run, who took part, and four numbers."""
    meta, metrics = view.meta, view.metrics
    started = datetime.fromtimestamp(meta.get("started_ns", 0) / 1e9, tz=timezone.utc)
    brand = element(
        "div",
        element("span", element("b", "isthmus"), f" · {html.escape(str(meta.get('name', 'run')))}"),
        element("span", f"{started:%d %B %Y, %H:%M:%S} UTC · {html.escape(meta['run_id'])}"),
        class_="brand",
    )
    return element("header", brand, _verdict(view, metrics), _crossing(view), _tiles(view))


def _verdict(view: View, metrics: Mapping[str, object]) -> str:
    reached, episodes, which = _goals(view)
    misses = int(view.metrics["misses"])
    replaced = int(np.count_nonzero(~view.answered))
    good = element("em", f"{reached} of {episodes}", class_=None if _all(view) else "bad")
    state = view.meta.get("state")
    ended = {"running": " The program died before it could end.", "interrupted": " Interrupted."}
    deadline = f"the {view.deadline_ms:g}\u00a0ms deadline" if view.deadline_ms else "a deadline"
    kept = f"not one missed {deadline}" if not misses else f"{misses} had no answer"
    if replaced:
        those = (
            "it was" if replaced == 1 else "they were" if replaced == misses else f"{replaced} were"
        )
        kept += f", and {those} replaced by the declared fallback"
    lead = (
        f"<b>{metrics['steps']} actions</b> were asked of a policy in one Python by a simulator in "
        f"another, over {_transport(view)}; <b>{kept}</b>.{_stall(view)}{ended.get(str(state), '')}"
    )
    return element("h1", "The arm reached ", good, f" goals{which}") + element(
        "p", lead, class_="lead"
    )


def _goals(view: View) -> tuple[int, int, str]:
    """Goals reached, goals that count, and which those are where not all do."""
    if "stalled_ns" not in view.meta:
        return view.metrics["reached"], view.metrics["episodes"], ""
    reached = sum(map(view.reached, view.untouched))
    return reached, len(view.untouched), " that the stall did not touch"


def _all(view: View) -> bool:
    reached, episodes, _ = _goals(view)
    return episodes > 0 and reached == episodes


def _stall(view: View) -> str:
    if "stalled_ns" not in view.meta:
        return ""
    asked = float(view.meta.get("stall_seconds", 0.0))
    touched = len(view.episodes) - len(view.untouched)
    goals = "1 goal was" if touched == 1 else f"{touched} goals were"
    return (
        f" The gateway was <b>stopped on purpose</b> for {asked:g}\u00a0s: {goals} under way then "
        "and do not count."
    )


def _transport(view: View) -> str:
    name = str(view.meta.get("transport", "?"))
    return html.escape(TRANSPORTS.get(name, name))


def _crossing(view: View) -> str:
    sides = []
    for key, class_, words in (("sim", "sim", "simulator"), ("policy_side", "policy", "policy")):
        facts = view.meta.get(key, {})
        packages = facts.get("packages", {})
        shown = " · ".join(
            f"{name} {packages[name]}"
            for name in ("mujoco", "onnxruntime", "numpy")
            if name in packages
            and (name != "mujoco" or key == "sim")
            and (name != "onnxruntime" or key != "sim")
        )
        sides.append(
            element(
                "div",
                element("span", words),
                element("b", html.escape(f"Python {facts.get('python', '?')}")),
                element("span", html.escape(shown)),
                class_=f"side {class_}",
            )
        )
    total = view.metrics["latency_us"].get("total")
    trip = f"{total['p50'] / 1e3:.2f} ms there and back" if total else ""
    bridge = element(
        "div", element("span", _transport(view)), element("span", trip), class_="bridge"
    )
    return element("div", sides[0], bridge, sides[1], class_="crossing")


def _tiles(view: View) -> str:
    metrics = view.metrics
    total = metrics["latency_us"].get("total", {"p50": 0.0, "p99": 0.0})
    hz = 1 / view.control_dt
    reached, episodes, which = _goals(view)
    # What a stall that was asked for cost is no fault.
    untouched = [view.episodes[index].columns for index in view.untouched]
    at_fault = sum(int(np.count_nonzero(columns.get("miss", ()))) for columns in untouched)
    tiles = [
        (
            f"{reached}<small> of {episodes}</small>",
            f"goals reached and held{which and ','}{which}",
            "good" if _all(view) else "bad",
        ),
        (
            f"{metrics['misses']}<small> of {metrics['steps']}</small>",
            f"actions without an answer, at {hz:g} Hz",
            "bad" if at_fault else "" if metrics["misses"] else "good",
        ),
        (f"{total['p50'] / 1e3:.2f}<small> ms</small>", "act(), half are faster (p50)", ""),
        (f"{total['p99'] / 1e3:.2f}<small> ms</small>", "act(), 99 of 100 are faster (p99)", ""),
    ]
    return element(
        "div",
        *(
            element("div", element("b", value), element("span", words), class_=f"tile {class_}")
            for value, words, class_ in tiles
        ),
        class_="tiles",
    )
