"""Interleaved bursts and what they say: medians over bursts, p99 over everything, ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .processes import SubjectError
from .rows import Bar, Row
from .subjects import Live, Setting

Figures = dict[str, float]
PERCENTILES = (50, 90, 99)
LEAST_TO_TRIM = 50  # samples; a burst's first ones find cold caches, a short burst's are all it has


@dataclass(slots=True)
class Measured:
    """What was found for one subject of a row.

    Attributes:
        rounds: figures of each burst, in the row's unit.
        samples: every sample, in the row's unit.
        stages: medians of the parts of a step in each burst, where the subject knows them; us.
        missed: steps the policy did not answer in time.
        left_out: why it was not measured, or "".
    """

    rounds: list[Figures] = field(default_factory=list)
    samples: list[NDArray[np.float64]] = field(default_factory=list)
    stages: list[Figures] = field(default_factory=list)
    missed: int = 0
    left_out: str = ""

    def add(self, answer: dict[str, Any], scale: float) -> None:
        """Take in one burst."""
        samples = np.asarray(answer["samples"], np.float64) * scale
        if len(samples) >= LEAST_TO_TRIM:
            samples = samples[max(2, len(samples) // 50) :]
        figures = {f"p{p}": float(v) for p, v in zip(PERCENTILES, quantiles(samples), strict=True)}
        if "per_second" in answer:
            figures["per_second"] = float(answer["per_second"])
        if answer.get("stages"):
            self.stages.append(answer["stages"])
        self.missed += int(answer.get("missed", 0))
        self.rounds.append(figures)
        self.samples.append(samples)

    def summary(self) -> dict[str, Any]:
        """Medians over the bursts; the p99 over all samples, as a burst has few beyond it."""
        if self.left_out:
            return {"left_out": self.left_out}
        pooled = np.concatenate(self.samples)
        summary: dict[str, Any] = {
            **medians(self.rounds),
            "p99": float(quantiles(pooled)[-1]),
            "n": len(pooled),
            "missed": self.missed,
        }
        return {**summary, "stages": medians(self.stages)} if self.stages else summary


def quantiles(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The `PERCENTILES` of the samples."""
    return np.percentile(samples, PERCENTILES)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return float(np.median(values))


def medians(rounds: Sequence[Figures]) -> Figures:
    """The median of every figure over the rounds."""
    return {name: median([figures[name] for figures in rounds]) for name in rounds[0]}


def measure(row: Row, setting: Setting, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure one row: a burst of every subject in turn, again and again.

    Args:
        row: what to measure.
        setting: interpreters, placement, files.
        rounds: bursts of each subject.
        seconds: length of a burst.

    Returns:
        Figures by subject, and how each bar stands.
    """
    found = {name: Measured() for name in row.subjects}
    live: list[Live] = []
    try:
        for name in row.subjects:
            try:
                live.append(Live(name, row.payload, setting))
            except SubjectError as error:
                found[name].left_out = str(error)
        _interleave(row, live, found, rounds, seconds)
    finally:
        for one in live:
            one.end()
    return {
        "subjects": {name: one.summary() for name, one in found.items()},
        "bars": [stand(bar, found) for bar in row.bars],
    }


def _interleave(
    row: Row, live: list[Live], found: dict[str, Measured], rounds: int, seconds: float
) -> None:
    for turn in range(rounds):
        # Nobody always follows the same one: a burst leaves its traces in the caches.
        shift = turn % len(live) if live else 0
        for one in live[shift:] + live[:shift]:
            if found[one.name].left_out:
                continue
            try:
                found[one.name].add(one.burst(seconds, row.hz), row.scale)
            except SubjectError as error:
                found[one.name].left_out = str(error)


def stand(bar: Bar, found: dict[str, Measured]) -> dict[str, Any]:
    """How a bar stands: the median over rounds of its value in each round."""
    taken = [found[name] for name in (bar.of, bar.against) if name]
    facts = {
        "bar": bar.text,
        "of": bar.of,
        "against": bar.against,
        "figure": bar.figure,
        "difference": bar.difference,
        "limit": bar.limit,
    }
    if any(one.left_out for one in taken):
        return {**facts, "value": None, "met": None}
    series = [[figures[bar.figure] for figures in one.rounds] for one in taken]
    values = [bar.compare(*pair) for pair in zip(*series, strict=True)]
    value = median(values)
    return {
        **facts,
        "value": value,
        "low": min(values),
        "high": max(values),
        "met": bar.is_met(value),
    }
