"""What a gateway knows of itself at one instant: the one thing that every report is made from.

The page, `/metrics`, the textfile, `ipc_metrics.json`, the alerts and the advice all read this and
nothing else, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .histogram import LogHistogram

__all__ = ["GATEWAY_STAGES", "STAGE_MEANINGS", "PolicyState", "SessionState", "Snapshot"]

STAGE_MEANINGS: dict[str, str] = {
    "receive": "the engine woke -> the frame is taken off the transport",
    "validate": "the frame -> a checked observation",
    "queue": "the observation -> its inference starts",
    "infer": "the inference, of the whole batch that it was in",
    "gate": "the policy's numbers -> an answer inside limits and checks",
    "send": "the answer -> encoded and handed to the transport",
    "total": "the engine woke -> the answer is handed to the transport",
    "policy": "the same, but where a miss was answered meanwhile, until the policy had ended",
}
"""Stage of a step inside the gateway -> from where to where, in the order of a step.

A miss is answered at the deadline, so `total` never lies above it; `policy` is the one to judge."""

GATEWAY_STAGES: tuple[str, ...] = tuple(STAGE_MEANINGS)
"""The stages of a step inside the gateway, in the order in which it goes through them."""

Summary = Mapping[str, float]
"""`count`, and `mean`, `std`, `min`, `max` and the quantiles of `recorder.QUANTILES`, in ns."""


@dataclass(frozen=True)
class PolicyState:
    """One policy that is being served."""

    name: str
    kind: str
    digest: str
    executor: str


@dataclass(frozen=True)
class SessionState:
    """One session that is connected.

    Attributes:
        name: its public identity.
        peer: who it is.
        transport: `shm`, `unix` or `tcp`.
        codec: `binary` or `json`.
        policy: name of the policy that answers it.
        num_envs: its rows.
        counters: what the watchdog counted: steps, misses, consecutive, escalations.
        miss_rate: share of its steps that were a miss, 0 to 1.
        link: what the simulator's side said of itself last, as its Telemetry has it.
    """

    name: str
    peer: str
    transport: str
    codec: str
    policy: str
    num_envs: int
    counters: Mapping[str, int] = field(default_factory=dict)
    miss_rate: float = 0.0
    link: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """One instant of a gateway. Everything in it is a copy that may be kept.

    Attributes:
        wall_ns: when, since 1970.
        now_ns: when, monotonic.
        started_wall_ns: when the gateway started.
        policies: what is served; the first is the one that plain clients get.
        sessions: who is connected.
        stages: run-long histogram of each of `GATEWAY_STAGES`, in ns.
        recent: stage -> summary of its last 200 samples.
        lately: stage -> summary of the samples of the last `lately_s` seconds.
        lately_s: length of that window, s.
        ema_ns: stage -> exponential moving average.
        counters: name -> total since the start; the names are those of `counts.COUNTERS`.
        outcomes: `policy`, `miss`, `fallback`, `error` -> answers of that outcome.
        error_codes: code -> error answers and refusals of that code.
        levels_s: level of the ladder -> seconds that the links say they spent there.
        round_trip: what the links measured of their round trips since the start, merged.
        wire: the same less the gateway's own span, step by step, merged: the journey alone.
        readings: what the alerts look at, by `AlertRule.reading`, and `consec_deadline_miss`, the
            longest run of misses now; None where there is nothing to judge.
        alerts: name -> severity now: 0 none, 1 WARN, 2 CRIT.
    """

    wall_ns: int
    now_ns: int
    started_wall_ns: int
    policies: tuple[PolicyState, ...] = ()
    sessions: tuple[SessionState, ...] = ()
    stages: Mapping[str, LogHistogram] = field(default_factory=dict)
    recent: Mapping[str, Summary] = field(default_factory=dict)
    lately: Mapping[str, Summary] = field(default_factory=dict)
    lately_s: float = 60.0
    ema_ns: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    error_codes: Mapping[str, int] = field(default_factory=dict)
    levels_s: Mapping[str, float] = field(default_factory=dict)
    round_trip: LogHistogram = field(default_factory=LogHistogram)
    wire: LogHistogram = field(default_factory=LogHistogram)
    readings: Mapping[str, float | None] = field(default_factory=dict)
    alerts: Mapping[str, int] = field(default_factory=dict)
