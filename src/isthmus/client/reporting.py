"""What the link tells the gateway of itself, about once a second.

A report is drafted in one step and sent in another, each while the step's question is on the wire
and there is nothing to do but wait: neither takes as long as the quickest answer does. What cannot
leave at once stays, and the next attempt is a step later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..channel import Channel
from ..errors import ConnectionLostError, UpgradeError
from ..protocol.messages import Telemetry
from ..telemetry import LinkReport, LogHistogram
from .action import Timing

__all__ = ["INTERVAL_NS", "Reporter", "Totals"]

log = logging.getLogger("isthmus.link")

INTERVAL_NS = 1_000_000_000
"""Time between two reports, at least; they are sent while `act` is being called only."""

FOLD = 256
"""Answers kept before they are counted."""


@dataclass(frozen=True)
class Totals:
    """What a link has counted since it began; see `LinkReport` for the names."""

    steps: int = 0
    misses: int = 0
    overruns: int = 0
    stale: int = 0
    reconnects: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    levels_ns: Mapping[str, int] = field(default_factory=dict)


class Reporter:
    """Collects what a report says, and sends it a part at a time.

    Attributes:
        due_ns: when the next part is due.
    """

    def __init__(self, now_ns: int) -> None:
        """The first interval begins now."""
        self.due_ns = now_ns + INTERVAL_NS
        self._draft: Telemetry | None = None
        self._since_ns = now_ns
        self._told = Totals()
        self._answered: list[Timing] = []
        self._begin()

    def record(self, timing: Timing) -> None:
        """Take in where the time of a step went that was answered."""
        self._answered.append(timing)
        if len(self._answered) >= FOLD:
            self._fold()

    def go_on(self, channel: Channel, totals: Callable[[int], Totals], now_ns: int) -> None:
        """Do the part that is due: draft the report, or send the one that is drafted.

        Args:
            channel: an open one.
            totals: what the link has counted, in all, at an instant.
            now_ns: monotonic instant.

        Raises:
            ConnectionLostError: the gateway is gone.
        """
        if self._draft is None:
            self._draft = self._prepare(totals(now_ns), now_ns)
        elif channel.tell_aside(self._draft):
            self._draft = None
            self.due_ns = now_ns + INTERVAL_NS

    def finish(self, channel: Channel, totals: Callable[[int], Totals], now_ns: int) -> None:
        """Tell all that is left to tell, if it can leave at once: the link closes."""
        try:
            if self._draft is not None:
                self.go_on(channel, totals, now_ns)
            if self._draft is None and totals(now_ns).steps > self._told.steps:
                self.go_on(channel, totals, now_ns)
                self.go_on(channel, totals, now_ns)
        except (ConnectionLostError, UpgradeError) as exc:
            log.debug("the last report did not leave: %s", exc)

    def _prepare(self, totals: Totals, now_ns: int) -> Telemetry:
        """All that is new since the last report."""
        self._fold()
        before, self._told = self._told, totals
        causes = _new(totals.causes, before.causes)
        steps = totals.steps - before.steps
        report = LinkReport(
            interval_s=(now_ns - self._since_ns) / 1e9,
            steps=steps,
            applied=steps - sum(causes.values()),
            misses=totals.misses - before.misses,
            overruns=totals.overruns - before.overruns,
            stale=totals.stale - before.stale,
            reconnects=totals.reconnects - before.reconnects,
            causes=causes,
            levels_s={
                level: spent / 1e9
                for level, spent in _new(totals.levels_ns, before.levels_ns).items()
            },
            round_trip=self._round_trip,
            wire=self._wire,
        )
        self._since_ns = now_ns
        self._begin()
        return Telemetry(report.to_dict())

    def _begin(self) -> None:
        self._round_trip = LogHistogram()
        self._wire = LogHistogram()

    def _fold(self) -> None:
        if not self._answered:
            return
        spans = np.array(self._answered, np.int64)[:, _WIRE : _INFER + 1]
        self._answered.clear()
        self._wire.record_many(spans[:, 0].tolist())
        self._round_trip.record_many(spans.sum(1).tolist())


_WIRE = Timing._fields.index("wire")
_INFER = Timing._fields.index("infer")


def _new(totals: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """What has been added to each."""
    added = {name: number - before.get(name, 0) for name, number in totals.items()}
    return {name: number for name, number in added.items() if number}
