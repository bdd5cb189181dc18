"""The report as one picture: when, in which session, and how far from what was expected. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from ..axes import Axis, Plot, ticks
from ..svg import element, text
from .describe import finding, off, safe
from .mismatch import Mismatch
from .parameters import Parameter
from .report import DriftReport, utc

__all__ = ["plot"]

WIDTH = 1120.0
_LEFT, _RIGHT = 150.0, WIDTH - 24
_BINS = 160
_FEW = 64
"""Mismatches that are drawn as they came: they have no pace yet."""
_LEAST_GAPS, _MANY_GAPS = 4.0, 64.0
"""Periods of a loop in a slice of time: at least, and from where on their number is no matter."""
_MOST_LANES = 8
_MOST_CLUSTERS = 400
_COLOURS = ("#d9601a", "#1f7a99", "#8a4fb0", "#1b8f5c", "#c98a11")
_OTHER, _UNNAMED = "other parameters", "parameter unknown"

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2126 }
.tick, .note { font-size: 12px; fill: #6a6f76 } .head { font-size: 21px; font-weight: 650 }
.h { font-size: 14px; font-weight: 600 } .paper { fill: #fffdf9 } .grid { stroke: #e2ded4 }
.axis, .zero { stroke: #8b8f95 } .quiet { fill: #f3eee3 } path { fill: none }
"""

_STEPS: tuple[float, ...] = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
    900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000,
)  # fmt: skip
"""Seconds between two ticks of time."""


def plot(report: DriftReport) -> str:
    """The report as an SVG file that loads nothing.

    From above: mismatches over time by parameter, on the clusters they belong to; the same by
    session; and of the parameter that differs most often, how far it was from what was expected.
    """
    found = report.log.mismatches
    drawn = [element("style", _STYLE), text(24, 38, _title(report), "head")]
    bottom = 66.0
    for line in _lines(report):
        drawn.append(text(24, bottom, line, "note"))
        bottom += 18
    if found:
        picture = _Picture(report)
        for panel in (picture.counts, picture.lanes, picture.offsets):
            markup, bottom = panel(bottom)
            drawn.append(markup)
    paper = element("rect", x=0.0, y=0.0, width=WIDTH, height=bottom + 14, class_="paper")
    return element(
        "svg",
        paper,
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {bottom + 14:g}",
        width="100%",
        role="img",
        aria_label=_title(report),
    )


def _title(report: DriftReport) -> str:
    if not report.total:
        return "Randomization drift: no mismatch"
    sessions = f"{len(report.sessions)} session{'s' * (len(report.sessions) != 1)}"
    mismatches = f"{report.total} mismatch{'es' * (report.total != 1)}"
    return f"Randomization drift: {mismatches} in {sessions}"


def _lines(report: DriftReport) -> list[str]:
    return [_cut(_line(each), 165) for each in report.parameters[:3]]


def _line(parameter: Parameter) -> str:
    if not parameter.key or parameter.offsets is None:
        return finding(parameter)
    where = f"session {safe(parameter.session)}" if parameter.session else "an unnamed session"
    since = f"{parameter.count} times since {utc(parameter.first)}"
    return f"{safe(parameter.key)} in {where}, {since}: {off(parameter.offsets)}"


class _Picture:
    """The panels of one report, which share their axis of time and their colours."""

    def __init__(self, report: DriftReport) -> None:
        self._report = report
        found = report.log.mismatches
        self._times = np.array([mismatch.ts for mismatch in found])
        low, high = float(self._times[0]), float(self._times[-1])
        pad = max((high - low) * 0.02, 0.5)
        self._x = Axis(low - pad, high + pad, _LEFT, _RIGHT)
        self._names, self._chosen = _by_parameter(found)
        colours = dict(zip(self._names, _COLOURS, strict=False))
        self._colours = {**colours, _OTHER: "#b9b4a8", _UNNAMED: "#6a6f76"}

    def counts(self, top: float) -> tuple[str, float]:
        """Mismatches in each slice of time, stacked by parameter."""
        edges = _slices(self._times, self._x.low, self._x.high)
        heights = {
            name: np.histogram(self._times[self._chosen == index], edges)[0]
            for index, name in enumerate(self._names)
        }
        most = max(1, int(sum(heights.values()).max()))
        y = Axis(0.0, most * 1.1, top + 190, top + 44)
        slot = Plot(self._x, y)
        strongest = sorted(self._report.clusters, key=lambda each: -each.score)[:_MOST_CLUSTERS]
        drawn = [slot.stripe(each.first, each.last, "quiet") for each in strongest]
        drawn.append(slot.rows([v for v in ticks(0, most, 4) if v == int(v)]))
        under = np.zeros(len(edges) - 1)
        for name, counts in heights.items():
            for index in np.flatnonzero(counts).tolist():
                low, high = under[index], under[index] + counts[index]
                end = min(edges[index + 1], self._x.high)
                drawn.append(self._bar(edges[index], end, y.at(low), y.at(high), name))
            under = under + counts
        heading = f"Mismatches in each {_span(edges[1] - edges[0])}, by parameter; shaded: clusters"
        drawn += [slot.floor(), self._clock(slot), text(24, top + 24, heading, "h")]
        drawn.append(self._legend(top + 236))
        return "".join(drawn), top + 246

    def lanes(self, top: float) -> tuple[str, float]:
        """One row for each session, with a mark where it had a mismatch."""
        found = self._report.log.mismatches
        shown = self._report.sessions[:_MOST_LANES]
        names = np.array([mismatch.session for mismatch in found], dtype=object)
        edges = np.linspace(self._x.low, self._x.high, 4 * _BINS + 1)
        drawn = [text(24, top + 24, "By session", "h")]
        for lane, session in enumerate(shown):
            y = top + 48 + 24 * lane
            label = _cut(safe(session.session) or "unnamed", 18)
            drawn.append(text(_LEFT - 8, y + 5, label, "tick", text_anchor="end"))
            drawn.append(element("path", d=f"M{_LEFT:g} {y:g}H{_RIGHT:g}", class_="grid"))
            for index, name in enumerate(self._names):
                times = self._times[(names == session.session) & (self._chosen == index)]
                for at in np.flatnonzero(np.histogram(times, edges)[0]).tolist():
                    drawn.append(self._bar(edges[at], edges[at + 1], y + 7, y - 7, name))
        if len(self._report.sessions) > len(shown):
            more = f"and {len(self._report.sessions) - len(shown)} more sessions"
            drawn.append(text(_LEFT, top + 52 + 24 * len(shown), more, "note"))
        return "".join(drawn), top + 62 + 24 * len(shown)

    def offsets(self, top: float) -> tuple[str, float]:
        """How far the value that differs most often was from the expected one."""
        numbers = [each for each in self._report.parameters if each.key and each.offsets]
        if not numbers:
            return "", top
        key = numbers[0].key
        pairs = [
            (mismatch.ts, offset)
            for mismatch in self._report.log.mismatches
            if mismatch.key == key and (offset := mismatch.offset) is not None
        ]
        times, offsets = (np.array(column) for column in zip(*pairs, strict=True))
        low, high = min(0.0, float(offsets.min())), max(0.0, float(offsets.max()))
        room = (high - low) * 0.1 or 1.0
        y = Axis(low - room, high + room, top + 230, top + 44)
        slot = Plot(self._x, y)
        heading = f"{_cut(safe(key), 60)}: actual value minus expected value"
        drawn = [
            text(24, top + 24, heading, "h"),
            slot.rows(ticks(low - room, high + room, 5)),
            slot.floor(),
            self._clock(slot),
            slot.level(0.0, class_="zero"),
        ]
        colour = self._colours.get(key, self._colours[_OTHER])
        for x, point in _thinned(slot.points(times, offsets)):
            drawn.append(element("circle", cx=x, cy=point, r=2.2, fill=colour))
        return "".join(drawn), top + 262

    def _bar(self, start: float, end: float, low: float, high: float, name: str) -> str:
        left, right = self._x.at(start), self._x.at(end)
        top, bottom = min(low, high), max(low, high)
        return element(
            "rect",
            x=left,
            y=top,
            width=max(right - left - 0.5, 1.2),
            height=max(bottom - top, 1.0),
            fill=self._colours[name],
        )

    def _clock(self, slot: Plot) -> str:
        values, labels = _clock_ticks(self._x.low, self._x.high)
        return slot.columns(values, labels)

    def _legend(self, y: float) -> str:
        drawn, x = [], _LEFT
        for name in self._names:
            words = _cut(safe(name), 34)
            drawn.append(
                element("rect", x=x, y=y - 10, width=12.0, height=12.0, fill=self._colours[name])
            )
            drawn.append(text(x + 18, y, words, "tick"))
            x += 44 + 7.2 * len(words)
        return "".join(drawn)


def _by_parameter(found: Sequence[Mismatch]) -> tuple[list[str], NDArray[np.int64]]:
    """The names that get a colour, and of each mismatch which of them is its own."""
    counts = Counter(mismatch.key for mismatch in found if mismatch.key)
    common = [key for key, _ in counts.most_common(len(_COLOURS))]
    names = list(common)
    if len(counts) > len(common):
        names.append(_OTHER)
    if any(not mismatch.key for mismatch in found):
        names.append(_UNNAMED)
    index = {key: at for at, key in enumerate(common)}
    other = len(common)
    chosen = [index.get(m.key, other) if m.key else len(names) - 1 for m in found]
    return names, np.array(chosen)


def _slices(times: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Edges of equal slices of time, from low to high or a little further.

    Mismatches of a loop come at its pace. A slice is then a whole number of its periods, and of
    several: else neighbours would hold now one, now none, and the picture would show its own grid.
    """
    width = (high - low) / _BINS
    gap = float(np.median(np.diff(times))) if len(times) > _FEW else 0.0
    if gap > width / _MANY_GAPS:
        width = gap * max(_LEAST_GAPS, math.ceil(width / gap))
    count = math.ceil((high - low) / width)
    return np.array([low + width * index for index in range(count + 1)])


def _clock_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Round times from low to high, and what they are called, in UTC."""
    step = next((s for s in _STEPS if (high - low) / s <= 9), (high - low) / 4)
    first = int(np.ceil(low / step))
    values = [index * step for index in range(first, int(high // step) + 1)]
    form = "%Y-%m-%d" if step >= 86400 else "%d %b %H:%M" if high - low > 86400 else "%H:%M:%S"
    labels = []
    for value in values:
        try:
            moment = datetime.fromtimestamp(value, tz=timezone.utc)
        except (OverflowError, ValueError, OSError):
            labels.append(f"{value:g} s")
            continue
        label = moment.strftime(form)
        labels.append(label if step >= 1 else f"{label}.{moment.microsecond // 1000:03d}")
    return values, labels


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """One of all points that would be drawn on the same pixel."""
    return list({(round(x), round(y)): (x, y) for x, y in points}.values())


def _span(seconds: float) -> str:
    for size, word in ((86400, "days"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {word}"
    return "instant"


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
