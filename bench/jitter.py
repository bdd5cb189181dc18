"""Jitter of a loop: how long after its tick the action is in the caller's hands.

python -m bench.jitter sleep             nothing but the pause: what the system itself adds
python -m bench.jitter memory:MODEL      a policy in this process, through the same link
"""

from __future__ import annotations

import sys
import time
from typing import Any

import isthmus

from .bursts import Step, serve_bursts
from .stack import observation_of


def late_after_ticks(step: Step, seconds: float, hz: float) -> dict[str, Any]:
    """Run `step` at every tick; the samples are its ends, counted from the tick."""
    period = int(1e9 / hz)
    samples: list[int] = []
    tick = time.perf_counter_ns()
    for _ in range(int(seconds * hz)):
        tick += period
        time.sleep(max(0, tick - time.perf_counter_ns()) / 1e9)
        step()
        samples.append(time.perf_counter_ns() - tick)
    return {"samples": samples}


def main(what: str) -> None:
    """Answer the runner's bursts."""
    if what == "sleep":
        serve_bursts(lambda seconds, hz: late_after_ticks(lambda: None, seconds, hz))
        return
    with isthmus.connect(what) as link:
        observation = observation_of(link.contract, None)
        link.reset(seed=7)
        serve_bursts(
            lambda seconds, hz: late_after_ticks(lambda: link.act(observation), seconds, hz)
        )


if __name__ == "__main__":
    main(sys.argv[1])
