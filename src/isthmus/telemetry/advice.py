"""Advice on the way to less latency: which stage is the slow one, by what evidence, what to do.

A step's time is either on the wire (the links measure it, as their round trip less the gateway's
own span), or waiting for the policy, or in the policy, or in the gateway's own work around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .histogram import LogHistogram
from .snapshot import Snapshot

__all__ = ["ADVICE", "Advice", "Advisor"]

FLUSHES = 3
"""Flushes in a row over the threshold before something is said."""

THRESHOLD_MS = 60.0

CLOSE = 1.2
"""A stage must be longer than the one that was named by more than this to be named instead."""

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

_AMONG_IT = (
    "the policy runs in the engine's own thread, so what a question waits there for the inference "
    "of other sessions is among it"
)
_TELL_APART = (
    "serve with `--executor thread`, which shows waiting for other sessions apart, as queue"
)

_SHORTEST_FIRST = ("memory", "shm", "unix", "tcp")


@dataclass(frozen=True)
class Advice:
    """Latency has been over the threshold for long enough, and this is what to do.

    Attributes:
        stage: `wire`, or one of `GATEWAY_STAGES`: the one with the largest p95.
        total_ms: p95 of what a step took in all, late inferences to their end.
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
        self._named = ""
        self._said = False
        self._answered = 0
        self._round_trip = LogHistogram()
        self._wire = LogHistogram()

    def observe(self, snapshot: Snapshot) -> Advice | None:
        """Take one flush's snapshot.

        Returns:
            Advice, once for each run of flushes over the threshold, and again if another stage
            becomes clearly the slowest during it: of stages within 20 % of each other, the one that
            was named stays the one to look at. A flush in which nothing was answered neither counts
            nor ends a run.
        """
        total = snapshot.stages.get("total", LogHistogram())
        answered, self._answered = total.count - self._answered, total.count
        round_trip = snapshot.round_trip.since(self._round_trip)
        wire = snapshot.wire.since(self._wire)
        self._round_trip, self._wire = snapshot.round_trip.copy(), snapshot.wire.copy()
        if not answered or not self.threshold_ms:
            return None
        stages = _stages_ms(snapshot, wire)
        whole_ms = max(stages.pop("total", 0.0), stages.pop("policy", 0.0))
        # A part is never more than the whole, whatever each of them was measured of.
        total_ms = max((whole_ms, round_trip.quantile(0.95) / 1e6, *stages.values()))
        if total_ms <= self.threshold_ms or not stages:
            self.over, self._said = 0, False
            return None
        self.over += 1
        stage = max(stages, key=stages.__getitem__)
        if stages[stage] <= CLOSE * stages.get(self._named, 0.0):
            stage = self._named
        if self.over < self.flushes or (self._said and stage == self._named):
            return None
        self._named, self._said = stage, True
        evidence = (
            f"p95 of a whole step is {total_ms:.3g} ms, of its {stage} {stages[stage]:.3g} ms"
        )
        action = ADVICE[stage]
        if stage == "wire":
            evidence += "; " + _of_the_wire(snapshot, stages[stage], self.measured_us)
            action = _way_out(snapshot, self.measured_us)
            if _shares_the_thread(snapshot):
                infer_ms = stages.get("infer", 0.0)
                evidence += f"; {_AMONG_IT}, {infer_ms:.3g} ms (p95) for each pass"
                action = f"{_TELL_APART}; if it is not that, {action}"
        return Advice(stage, total_ms, self.threshold_ms, stages, evidence, action)


def _stages_ms(snapshot: Snapshot, wire: LogHistogram) -> dict[str, float]:
    """Stage -> recent p95, of all that were measured."""
    found = {
        stage: summary["p95"] / 1e6
        for stage, summary in snapshot.recent.items()
        if summary["count"] and (stage in ADVICE or stage in ("total", "policy"))
    }
    if wire.count:
        found["wire"] = wire.quantile(0.95) / 1e6
    return found


def _shares_the_thread(snapshot: Snapshot) -> bool:
    """True if a question may have waited for another's inference before the engine saw it."""
    return len(snapshot.sessions) > 1 and any(p.executor == "inline" for p in snapshot.policies)


def _in_use(snapshot: Snapshot) -> dict[str, int]:
    """Transport -> sessions that travel by it, the shortest way first."""
    used = [session.transport for session in snapshot.sessions]
    known = [name for name in _SHORTEST_FIRST if name in used]
    return {name: used.count(name) for name in known}


def _of_the_wire(snapshot: Snapshot, wire_ms: float, measured_us: Mapping[str, float]) -> str:
    """By what the sessions travel, and what that costs here when nothing else is done."""
    used = _in_use(snapshot)
    parts = ["sessions travel by " + _listed(f"{name} ({used[name]})" for name in used)]
    if not measured_us:
        parts.append("`isthmus bench` has measured nothing on this host yet")
        return "; ".join(parts)
    here = [n for n in _SHORTEST_FIRST if n in measured_us]
    times = _listed(f"{name} {measured_us[name] / 1e3:.3g} ms" for name in here)
    parts.append(f"`isthmus bench` measured on this host (p95 of a round trip): {times}")
    slowest = max((measured_us[name] / 1e3 for name in used if name in measured_us), default=0)
    if slowest and wire_ms > 10 * slowest:
        parts.append(
            f"that is {wire_ms / slowest:.0f} times what the transport needs here, so the network "
            "between hosts or a busy processor is a larger part of it than the transport"
        )
    return "; ".join(parts)


def _way_out(snapshot: Snapshot, measured_us: Mapping[str, float]) -> str:
    """Which transport to use instead, or what else to look at."""
    used = _in_use(snapshot)
    if used and set(used) <= {"memory", "shm"}:
        return (
            "the sessions use shared memory already; what is left is waiting for a processor: "
            "give gateway and simulator cores of their own"
        )
    measured = [name for name in ("shm", "unix") if name in measured_us and name not in used]
    better = min(measured, key=measured_us.__getitem__, default="shm")
    return (
        f"{ADVICE['wire']}: connect with {better}:PATH where both run on one host; between hosts, "
        "look at the network, or run the gateway on the simulator's host"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
