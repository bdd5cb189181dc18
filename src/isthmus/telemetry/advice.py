"""Advice on the way to less latency: which stage is the slow one, by what evidence, what to do.

A step's time is either on the wire (the links measure it, as their round trip less the gateway's
own span), or waiting for the policy, or in the policy, or in the gateway's own work around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .histogram import LogHistogram
from .snapshot import Snapshot

__all__ = ["ADVICE", "Advice", "Advisor"]

FLUSHES = 3
"""Flushes in a row over the threshold before something is said."""

THRESHOLD_MS = 60.0

ADVICE: dict[str, str] = {
    "wire": "use a shorter way between simulator and gateway",
    "infer": "export the policy to ONNX (`isthmus export`), serve a smaller one, or choose a "
    "faster provider",
    "queue": "let questions share one inference (a policy that takes batches, without "
    "--deterministic), or start another gateway for a part of the sessions",
    "receive": "fewer sessions for this gateway: it wakes up for one while it works for another",
    "validate": "send less in each observation, or by the binary codec instead of json",
    "gate": "look what else runs on this host: limits take microseconds by themselves",
    "send": "use the binary codec instead of json, and shared memory on one host",
}
"""Dominant stage -> what to do about it."""

_FASTEST_FIRST = ("shm", "unix", "tcp")


@dataclass(frozen=True)
class Advice:
    """Latency has been over the threshold for long enough, and this is what to do.

    Attributes:
        stage: `wire`, or one of `GATEWAY_STAGES`: the one with the largest p95.
        total_ms: p95 of what a step took in all.
        threshold_ms: what it was held against.
        stages_ms: stage -> p95.
        evidence: what was measured, for people.
        action: what to do, for people.
    """

    stage: str
    total_ms: float
    threshold_ms: float
    stages_ms: Mapping[str, float]
    evidence: str
    action: str

    def to_event(self) -> dict[str, Any]:
        """The event that tells of it."""
        return {
            "phase": "advisory",
            "type": "transport_escalate",
            "severity": 1,
            "stage": self.stage,
            "p95_ms": self.total_ms,
            "threshold_ms": self.threshold_ms,
            "stages_ms": dict(self.stages_ms),
            "evidence": self.evidence,
            "action": self.action,
        }


class Advisor:
    """Watches one snapshot per flush. Pure.

    Args:
        threshold_ms: p95 of a whole step above which a flush counts; 0 = say nothing ever.
        flushes: how many in a row must count.
        measured_us: transport -> p95 of its round trip on this host, as `isthmus bench` has it.

    Attributes:
        over: flushes in a row that counted.
    """

    def __init__(
        self,
        threshold_ms: float = THRESHOLD_MS,
        flushes: int = FLUSHES,
        measured_us: Mapping[str, float] | None = None,
    ) -> None:
        self.threshold_ms = threshold_ms
        self.flushes = flushes
        self.measured_us = dict(measured_us or {})
        self.over = 0
        self._said = ""
        self._steps = 0
        self._round_trip = LogHistogram()
        self._wire = LogHistogram()

    def observe(self, snapshot: Snapshot) -> Advice | None:
        """Take one flush's snapshot.

        Returns:
            Advice, once for each run of flushes over the threshold, and again if another stage
            becomes the slowest during it. A flush in which nothing was asked neither counts nor
            ends a run.
        """
        return None
