"""Axes: values to pixels, round ticks, and the lines and labels of a plot. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .svg import element, text

__all__ = ["Axis", "Plot", "ticks", "log_ticks"]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round values from low to high: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float, dense: bool = False) -> list[float]:
    """Powers of ten from low to high; with `dense` also 2 and 5 times each."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [m * 10.0**p for p in powers for m in ((1, 2, 5) if dense else (1,))]
    return [value for value in values if low * 0.999 <= value <= high * 1.001]


@dataclass(frozen=True)
class Axis:
    """A range of values and the pixels it covers; `start` may lie below or right of `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, values: ArrayLike) -> NDArray[Any]:
        """Values to pixels; what lies outside the range is drawn on its edge."""
        inside = np.clip(np.asarray(values, float), self.low, self.high)
        if self.log:
            share = np.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return np.asarray(self.start + share * (self.end - self.start))

    def at(self, value: float) -> float:
        """One value to one pixel."""
        return float(self(value))


@dataclass(frozen=True)
class Plot:
    """The area of a chart between its two axes."""

    x: Axis
    y: Axis

    def rows(self, values: Sequence[float], labels: Sequence[str] | None = None) -> str:
        """Horizontal grid lines with their labels on the left."""
        shown = [f"{v:g}" for v in values] if labels is None else labels
        return "".join(
            element("path", d=f"M{self.x.start:g} {y:.1f}H{self.x.end:g}", class_="grid")
            + text(self.x.start - 6, y + 4, words, "t tick", text_anchor="end")
            for y, words in zip((self.y.at(v) for v in values), shown, strict=True)
        )

    def columns(self, values: Sequence[float], labels: Sequence[str] | None = None) -> str:
        """Short ticks along the bottom with their labels under them."""
        shown = [f"{v:g}" for v in values] if labels is None else labels
        bottom = max(self.y.start, self.y.end)
        return "".join(
            element("path", d=f"M{x:.1f} {bottom:g}v4", class_="axis")
            + text(x, bottom + 17, words, "t tick", text_anchor="middle")
            for x, words in zip((self.x.at(v) for v in values), shown, strict=True)
        )

    def floor(self) -> str:
        """The line along the bottom."""
        bottom = max(self.y.start, self.y.end)
        return element("path", d=f"M{self.x.start:g} {bottom:g}H{self.x.end:g}", class_="axis")

    def titles(self, x: str = "", y: str = "") -> str:
        """What the axes measure: y above its labels, x under its right end."""
        top, bottom = sorted((self.y.start, self.y.end))
        drawn = ""
        if y:
            drawn += text(self.x.start - 6, top - 9, y, "t title", text_anchor="start", dx=-28)
        if x:
            drawn += text(self.x.end, bottom + 33, x, "t title", text_anchor="end")
        return drawn

    def points(self, x: ArrayLike, y: ArrayLike) -> list[tuple[float, float]]:
        """Values to pixels, pairwise."""
        return list(zip(self.x(x).tolist(), self.y(y).tolist(), strict=True))

    def band(self, low: float, high: float, class_: str) -> str:
        """A horizontal stripe across the plot."""
        top, bottom = sorted((self.y.at(low), self.y.at(high)))
        left, right = sorted((self.x.start, self.x.end))
        return element(
            "rect", x=left, y=top, width=right - left, height=bottom - top, class_=class_
        )

    def box(self, low: tuple[float, float], high: tuple[float, float], class_: str) -> str:
        """A rectangle between two corners, each x and y."""
        left, right = sorted((self.x.at(low[0]), self.x.at(high[0])))
        top, bottom = sorted((self.y.at(low[1]), self.y.at(high[1])))
        return element(
            "rect", x=left, y=top, width=right - left, height=bottom - top, class_=class_
        )

    def stripe(self, low: float, high: float, class_: str) -> str:
        """A vertical stripe across the plot."""
        left, right = sorted((self.x.at(low), self.x.at(high)))
        top, bottom = sorted((self.y.start, self.y.end))
        return element(
            "rect", x=left, y=top, width=max(right - left, 1.0), height=bottom - top, class_=class_
        )

    def level(self, value: float, words: str = "", class_: str = "mark") -> str:
        """A horizontal line with its meaning at the right end."""
        y = self.y.at(value)
        line = element("path", d=f"M{self.x.start:g} {y:.1f}H{self.x.end:g}", class_=class_)
        return line + text(self.x.end - 2, y - 5, words, f"t {class_}-t", text_anchor="end")

    def upright(self, value: float, class_: str = "mark") -> str:
        """A vertical line."""
        top, bottom = sorted((self.y.start, self.y.end))
        return element("path", d=f"M{self.x.at(value):.1f} {top:g}V{bottom:g}", class_=class_)
