"""What a page shows of a run, gathered once from meta, episodes and scenes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layout import STATUSES
from .metrics import STAGES
from .run import Episode
from .scene import Scene

__all__ = ["Joints", "Still", "View"]


@dataclass(frozen=True)
class Still:
    """A rendered picture to show beside the drawings.

    Attributes:
        caption: what is seen, in words.
        png: the file's bytes.
    """

    caption: str
    png: bytes


@dataclass(frozen=True)
class Joints:
    """Which recorded columns are joints, and what bounds them.

    Attributes:
        names: one per joint.
        column: the measured positions' column.
        low: rad, or None where the contract bounds nothing.
        high: rad, or None.
    """

    names: tuple[str, ...]
    column: str
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None


@dataclass(frozen=True)
class View:
    """A run, ready to be drawn.

    Attributes:
        meta: what `meta.json` holds.
        metrics: what `metrics.json` holds.
        episodes: in order.
        scenes: one per episode, or none at all.
        stills: rendered pictures, if there were a renderer.
    """

    meta: Mapping[str, Any]
    metrics: Mapping[str, Any]
    episodes: Sequence[Episode]
    scenes: Sequence[Scene] = ()
    stills: Sequence[Still] = field(default=())

    def column(self, name: str) -> NDArray[Any]:
        """One column over all episodes; empty where it was not recorded."""
        found = [e.columns[name] for e in self.episodes if name in e.columns]
        return np.concatenate(found) if found else np.empty(0)

    @cached_property
    def control_dt(self) -> float:
        """Seconds between two actions."""
        return float(self.meta.get("contract", {}).get("control_dt_ns", 40_000_000)) / 1e9

    @cached_property
    def deadline_ms(self) -> float | None:
        """The deadline of each action, or None where there was none."""
        found = self.meta.get("deadline_ns")
        return None if found is None else float(found) / 1e6

    @cached_property
    def seconds(self) -> NDArray[Any]:
        """When each step was taken, s since the first."""
        wall = self.column("wall_ns")
        if len(wall):
            return np.asarray((wall - wall[0]) / 1e9)
        return np.arange(sum(len(e) for e in self.episodes)) * self.control_dt

    @cached_property
    def starts(self) -> list[int]:
        """Index of each episode's first step."""
        lengths = [len(e) for e in self.episodes]
        return [0, *np.cumsum(lengths[:-1]).tolist()] if lengths else []

    @cached_property
    def miss(self) -> NDArray[Any]:
        """Bool per step: no valid answer by the deadline."""
        return self.column("miss").astype(bool)

    @cached_property
    def status(self) -> NDArray[Any]:
        """Per step, an index into `STATUSES`."""
        return self.column("status").astype(np.int64)

    @cached_property
    def answered(self) -> NDArray[Any]:
        """Bool per step: the action is the policy's own."""
        return np.asarray(self.status == STATUSES.index("policy"))

    @cached_property
    def waited(self) -> NDArray[Any]:
        """Bool per step: the whole deadline went by, rather than nothing being asked."""
        if self.deadline_ms is None:
            return np.zeros(len(self.total_ms), bool)
        return np.asarray(self.total_ms > 0.5 * self.deadline_ms)

    @cached_property
    def total_ms(self) -> NDArray[Any]:
        """How long each `act()` took, ms."""
        return np.asarray(self.column("total_ns") / 1e6)

    @cached_property
    def stages_ms(self) -> dict[str, NDArray[Any]]:
        """Per stage of an `act()`, how long it took at each step, ms."""
        found = {s: self.column(f"{s}_ns") / 1e6 for s in STAGES if s != "total"}
        return {stage: values for stage, values in found.items() if len(values)}

    @cached_property
    def joints(self) -> Joints | None:
        """The joints, where the contract names them and they were recorded."""
        contract = self.meta.get("contract", {})
        for action in contract.get("action", ()):
            column = action.get("measured_position", "")
            if not column or not len(self.column(column)):
                continue
            limits = contract.get("limits", {}).get(action["name"], {})
            names = action.get("labels") or [f"{i}" for i in range(action["shape"][-1])]
            return Joints(tuple(names), column, limits.get("low"), limits.get("high"))
        return None

    @cached_property
    def untouched(self) -> list[int]:
        """Indices of the episodes during which the gateway was not stopped on purpose."""
        window = self.meta.get("stalled_ns")
        if window is None:
            return list(range(len(self.episodes)))
        begun, over = window
        return [
            index
            for index, episode in enumerate(self.episodes)
            if episode.facts.get("started_ns", begun) >= over
            or episode.facts.get("ended_ns", over) <= begun
        ]

    def reached(self, index: int) -> bool:
        """Whether an episode ended in success."""
        return bool(self.episodes[index].facts.get("success"))
