"""`ipc_metrics.json`: the file that the first system's operators read, and ours beside it.

What they know stands at the top, in milliseconds and under the names that they know. What is ours
alone stands under `isthmus`. Latency is stage `policy`: from the instant at which the engine woke
up for an observation until its answer had been handed to the system, or, where a miss had been
answered at the deadline, until the policy had ended.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..telemetry import GATEWAY_STAGES, LogHistogram, Snapshot

__all__ = ["FIELDS", "MetricsFile", "to_dict"]

FORMAT = 1
"""Of what stands under `isthmus`; a key that goes or changes its meaning makes it another one."""

STAGE = "policy"
"""Whose latency the first system's names have."""

FIRST_COUNTERS: tuple[str, ...] = (
    "deadline_miss",
    "rand_hash_mismatch",
    "joint_limit_violation",
    "joint_spec_mismatch",
    "deadline_escalation_events",
    "degrade_zeroed",
)
"""Counters that the first system had; `deadline_miss_rate` and `consec_deadline_miss` go along."""

FIRST_ALERTS: tuple[str, ...] = ("latency_p95", "deadline_miss_rate")

FIELDS: dict[str, str] = {
    "policy_latency_ms.FIGURE": "time in the gateway since the start, late ones to their end, ms",
    "recent_latency_ms.window": "observations in the recent window, at most 200",
    "recent_latency_ms.FIGURE": "the same time, of the recent window, exact, ms",
    "counters.deadline_miss": "observations answered with a miss or its fallback",
    "counters.deadline_miss_rate": "their share of all observations since the start, 0 to 1",
    "counters.consec_deadline_miss": "most misses in a row, now, of the sessions",
    "counters.rand_hash_mismatch": "observations whose randomization was not the expected one",
    "counters.joint_limit_violation": "answers to plain clients that a joint limit changed",
    "counters.joint_spec_mismatch": "observations with another number of joints than specified",
    "counters.deadline_escalation_events": "runs of misses that reached the threshold",
    "counters.degrade_zeroed": "actions replaced because too many deadlines were missed",
    "severity.latency_p95": "of this alert, now: 0 none, 1 WARN, 2 CRIT",
    "severity.deadline_miss_rate": "the same",
    "updated_ts": "when these figures were read, s since 1970",
    "isthmus.format": "number of the form of what follows here",
    "isthmus.started_ts": "when the gateway started, s since 1970",
    "isthmus.stages_ms.STAGE.run.FIGURE": "of a stage since the start, within 1 %, ms",
    "isthmus.stages_ms.STAGE.recent.FIGURE": "of its last 200 observations, exact, ms",
    "isthmus.stages_ms.STAGE.lately.FIGURE": "of its observations of the last `lately_s`, ms",
    "isthmus.stages_ms.STAGE.ema": "exponential moving average, ms",
    "isthmus.lately_s": "length of that window, s",
    "isthmus.round_trip_ms.FIGURE": "round trips as the links measured them, ms",
    "isthmus.wire_ms.FIGURE": "the same, less what the gateway took of them, ms",
    "isthmus.counters.COUNTER": "every counter, total since the start",
    "isthmus.outcomes.OUTCOME": "observations answered with policy, miss (also where its fallback "
    "was sent), fallback (in time, but replaced) or error",
    "isthmus.error_codes.CODE": "error answers and refusals of that code",
    "isthmus.levels_s.LEVEL": "seconds that links say they spent at that level of the ladder",
    "isthmus.alerts.ALERT": "severity of each alert, now",
    "isthmus.readings.READING": "what the alerts look at; null where there is nothing to judge",
    "isthmus.policies[].name": "of each policy that is served",
    "isthmus.policies[].kind": "what it is: onnx, numpy, callable, dummy_zero...",
    "isthmus.policies[].digest": "SHA-256 of its file or of its name",
    "isthmus.policies[].executor": "who runs it: inline or thread",
    "isthmus.sessions[].name": "of each session that is connected",
    "isthmus.sessions[].peer": "who it is",
    "isthmus.sessions[].transport": "shm, unix or tcp",
    "isthmus.sessions[].codec": "binary or json",
    "isthmus.sessions[].policy": "who answers it",
    "isthmus.sessions[].num_envs": "its rows",
    "isthmus.sessions[].counters.COUNT": "its steps, misses, consecutive misses and escalations",
    "isthmus.sessions[].miss_rate": "misses among its steps, 0 to 1",
}
"""Field -> meaning, in the order of the file. A word in capitals stands for each member of a set;
FIGURE for count, mean, std, min, max, p50, p90, p95, p99 and p99.9, as far as they are given."""


class MetricsFile:
    """Writes each snapshot it is called with; a reader sees a whole one or the one before.

    Args:
        path: the file. Nothing else may write it.
    """

    name = "ipc_metrics.json"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._writing = threading.Lock()

    def __call__(self, snapshot: Snapshot) -> None:
        """Replace the file.

        Raises:
            OSError: no space, no folder, no permission; what was there is there still.
        """
        text = _text(to_dict(snapshot))
        with self._writing:
            try:
                self._beside.write_text(text, encoding="utf-8")
                os.replace(self._beside, self._path)
            except BaseException:
                self._beside.unlink(missing_ok=True)
                raise


def _text(content: Mapping[str, Any]) -> str:
    """A line for each key: to be read by people, and yet written at the speed of one line.

    Indented JSON takes Python ten times as long, in which the engine may wait for the interpreter.
    """
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in content.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def to_dict(snapshot: Snapshot) -> dict[str, Any]:
    """What the file holds; every number is finite."""
    recent = snapshot.recent.get(STAGE, {})
    return {
        "policy_latency_ms": _in_ms(snapshot.stages.get(STAGE, LogHistogram()).summary()),
        "recent_latency_ms": {
            "window": recent.get("count", 0),
            **{name: recent.get(name, 0.0) / 1e6 for name in ("p50", "p90", "p95", "p99")},
        },
        "counters": _first_counters(snapshot),
        "severity": {name: snapshot.alerts.get(name, 0) for name in FIRST_ALERTS},
        "updated_ts": snapshot.wall_ns / 1e9,
        "isthmus": _ours(snapshot),
    }


def _first_counters(snapshot: Snapshot) -> dict[str, float]:
    counters = snapshot.counters
    found: dict[str, float] = {name: counters.get(name, 0) for name in FIRST_COUNTERS}
    asked = counters.get("observations", 0)
    found["deadline_miss_rate"] = found["deadline_miss"] / asked if asked else 0.0
    found["consec_deadline_miss"] = snapshot.readings.get("consec_deadline_miss") or 0
    return found


def _ours(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "started_ts": snapshot.started_wall_ns / 1e9,
        "stages_ms": {
            stage: {
                "run": _in_ms(snapshot.stages.get(stage, LogHistogram()).summary()),
                "recent": _in_ms(snapshot.recent.get(stage, {})),
                "lately": _in_ms(snapshot.lately.get(stage, {})),
                "ema": snapshot.ema_ns.get(stage, 0.0) / 1e6,
            }
            for stage in GATEWAY_STAGES
        },
        "lately_s": snapshot.lately_s,
        "round_trip_ms": _in_ms(snapshot.round_trip.summary()),
        "wire_ms": _in_ms(snapshot.wire.summary()),
        "counters": dict(snapshot.counters),
        "outcomes": dict(snapshot.outcomes),
        "error_codes": dict(snapshot.error_codes),
        "levels_s": dict(snapshot.levels_s),
        "alerts": dict(snapshot.alerts),
        "readings": dict(snapshot.readings),
        "policies": [vars(policy) for policy in snapshot.policies],
        "sessions": [
            {name: value for name, value in vars(session).items() if name != "link"}
            for session in snapshot.sessions
        ],
    }


def _in_ms(summary: Mapping[str, float]) -> dict[str, float]:
    return {name: value if name == "count" else value / 1e6 for name, value in summary.items()}
