"""What the link tells the gateway of itself, about once a second.

A report is made and sent in four parts, one a step, each while the step's question is on the wire
and there is nothing to do but wait. A part takes some tens of microseconds, so it is over before
all but the quickest answers come. What cannot leave at once stays, and the next attempt is a step
later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..channel import Channel
from ..errors import ConnectionLostError, UpgradeError
from ..protocol.messages import Telemetry
from ..telemetry import LinkReport, LogHistogram
from .action import Timing

__all__ = ["INTERVAL_NS", "Reporter", "Totals"]

log = logging.getLogger("isthmus.link")

INTERVAL_NS = 1_000_000_000
"""Time between two reports, at least; they are sent while `act` is being called only."""

FOLD = 32
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
        self._draft: dict[str, Any] | None = None
        self._unwritten: list[tuple[str, LogHistogram]] = []
        self._since_ns = now_ns
        self._told = Totals()
        self._answered: list[Timing] = []
        self._begin()

    def record(self, timing: Timing) -> None:
        """Take in where the time of a step went that was answered."""
        self._answered.append(timing)
        if len(self._answered) >= FOLD:
            self._fold()

    def go_on(self, channel: Channel, totals: Callable[[int], Totals], now_ns: int) -> bool:
        """Do the part that is due: begin a draft, write one histogram into it, or send it.

        Args:
            channel: an open one.
            totals: what the link has counted, in all, at an instant.
            now_ns: monotonic instant.

        Returns:
            False if it could not be sent now.

        Raises:
            ConnectionLostError: the gateway is gone.
        """
        if self._draft is None:
            self._draft = self._numbers(totals(now_ns), now_ns)
        elif self._unwritten:
            name, histogram = self._unwritten[-1]
            self._draft[name] = histogram.to_dict()
            self._unwritten.pop()
        elif channel.tell_aside(Telemetry(self._draft)):
            self._draft = None
            self.due_ns = now_ns + INTERVAL_NS
        else:
            return False
        return True

    def finish(self, channel: Channel, totals: Callable[[int], Totals], now_ns: int) -> None:
        """Tell all that is left to tell, if it can leave at once: the link closes."""
        try:
            while self._draft is not None or totals(now_ns).steps > self._told.steps:
                if not self.go_on(channel, totals, now_ns):
                    break
        except (ConnectionLostError, UpgradeError) as exc:
            log.debug("the last report did not leave: %s", exc)

    def _numbers(self, totals: Totals, now_ns: int) -> dict[str, Any]:
        """What is new since the last report, the histograms apart: they are kept as they are."""
        self._fold()
        self._unwritten = [("wire", self._wire), ("round_trip", self._round_trip)]
        self._begin()
        before, self._told = self._told, totals
        since_ns, self._since_ns = self._since_ns, now_ns
        causes = _new(totals.causes, before.causes)
        levels_ns = _new(totals.levels_ns, before.levels_ns)
        steps = totals.steps - before.steps
        return LinkReport(
            interval_s=(now_ns - since_ns) / 1e9,
            steps=steps,
            applied=steps - sum(causes.values()),
            misses=totals.misses - before.misses,
            overruns=totals.overruns - before.overruns,
            stale=totals.stale - before.stale,
            reconnects=totals.reconnects - before.reconnects,
            causes=causes,
            levels_s={level: spent / 1e9 for level, spent in levels_ns.items()},
        ).to_dict()

    def _begin(self) -> None:
        self._round_trip = LogHistogram()
        self._wire = LogHistogram()

    def _fold(self) -> None:
        count_wire, count_round_trip = self._wire.record, self._round_trip.record
        for _, wire, queue, infer, _, _ in self._answered:  # so few that arrays would cost more
            count_wire(wire)
            count_round_trip(wire + queue + infer)
        self._answered.clear()


def _new(totals: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """What has been added to each."""
    added = {name: number - before.get(name, 0) for name, number in totals.items()}
    return {name: number for name, number in added.items() if number}
