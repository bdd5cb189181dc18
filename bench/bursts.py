"""The one conversation between the runner and anything it measures.

A subject is a process. It prints `ready`; then each line `SECONDS HZ` on its standard input is one
burst (HZ 0: back to back), answered by one line of JSON: `{"samples": [...]}`, maybe with
`per_second`. Times are in nanoseconds. `floor.c` speaks the same. What a subject samples is its own
affair: a round trip, a lateness, a jitter.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

MAX_SAMPLES = 400_000
Step = Callable[[], object]
Burst = Callable[[float, float], dict[str, Any]]


def time_steps(step: Step, seconds: float, hz: float) -> dict[str, Any]:
    """Time one step after the other, back to back or at a pace.

    Args:
        step: what is timed, called without arguments.
        seconds: how long to go on.
        hz: steps per second, 0 for back to back.

    Returns:
        The time of each step in ns, in order.
    """
    now = time.perf_counter_ns
    period = int(1e9 / hz) if hz else 0
    samples: list[int] = []
    start = now()
    end = start + int(seconds * 1e9)
    tick = start
    while len(samples) < MAX_SAMPLES:
        if period:
            pause = tick - now()
            if pause > 0:
                time.sleep(pause / 1e9)
            tick += period
        began = now()
        if began >= end:
            break
        step()
        samples.append(now() - began)
    return {"samples": samples}


def serve_bursts(burst: Burst) -> None:
    """Answer the runner's bursts until it closes our standard input."""
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, hz = line.split()
        print(json.dumps(burst(float(seconds), float(hz)), separators=(",", ":")), flush=True)


def serve_steps(step: Step) -> None:
    """Answer bursts by timing `step`."""
    serve_bursts(lambda seconds, hz: time_steps(step, seconds, hz))
