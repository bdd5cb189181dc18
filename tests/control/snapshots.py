"""Hand-made snapshots: one with something of everything, and one of a gateway just started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.telemetry import (
    COUNTERS,
    GATEWAY_STAGES,
    LogHistogram,
    PolicyState,
    SessionState,
    Snapshot,
)

WALL_NS = 1_700_000_000_000_000_000
NOW_NS = 5_000_000_000_000
DURATIONS_NS = (80_000, 900_000, 4_000_000, 4_500_000, 12_000_000, 70_000_000)


def histogram(*durations_ns: int) -> LogHistogram:
    found = LogHistogram()
    for each in durations_ns:
        found.record(each)
    return found


def session(transport: str, codec: str, **changes: Any) -> SessionState:
    given: dict[str, Any] = {
        "name": f"{transport}-1", "peer": "127.0.0.1:4000", "transport": transport,
        "codec": codec, "policy": "reach", "num_envs": 4,
    }  # fmt: skip
    return SessionState(**{**given, **changes})


def idle(**changes: Any) -> Snapshot:
    """A gateway that was never asked anything."""
    return Snapshot(**{"wall_ns": WALL_NS, "now_ns": NOW_NS, "started_wall_ns": WALL_NS, **changes})


def busy(**changes: Any) -> Snapshot:
    """A gateway with a past. Each counter is its place in the table plus 1."""
    counters = {name: number for number, name in enumerate(COUNTERS, start=1)}
    summary: Mapping[str, float] = {
        "count": 200, "mean": 5e6, "std": 1e6, "min": 1e6, "max": 9e6,
        "p50": 4e6, "p90": 7e6, "p95": 8e6, "p99": 9e6, "p99.9": 9e6,
    }  # fmt: skip
    given: dict[str, Any] = {
        "started_wall_ns": WALL_NS - 3_600_000_000_000,
        "policies": (PolicyState("reach", "onnx", "ab" * 32, "inline"),),
        "sessions": (
            session("shm", "binary", miss_rate=0.25, counters={"consecutive": 2}),
            session("tcp", "json", miss_rate=0.5, num_envs=1, counters={"consecutive": 1}),
        ),
        "stages": {stage: histogram(*DURATIONS_NS) for stage in GATEWAY_STAGES},
        "recent": dict.fromkeys(GATEWAY_STAGES, summary),
        "lately": dict.fromkeys(GATEWAY_STAGES, summary),
        "ema_ns": dict.fromkeys(GATEWAY_STAGES, 5e6),
        "counters": {**counters, "observations": 400, "deadline_miss": 100},
        "outcomes": {"policy": 300, "miss": 60, "fallback": 40},
        "error_codes": {"bad_json": 3},
        "levels_s": {"normal": 12.5, "stopped": 1.0},
        "round_trip": histogram(*DURATIONS_NS),
        "wire": histogram(*DURATIONS_NS),
        "readings": {
            "deadline_miss_rate": 0.125,
            "empty_joint_states": 3,
            "consec_deadline_miss": 2,
        },
        "alerts": {"latency_p95": 1, "deadline_miss_rate": 2, "rand_hash_mismatch_burst": 0},
    }
    return idle(**{**given, **changes})
