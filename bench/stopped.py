"""Behind a stopped gateway: how long after its deadline `act()` returns.

    python -m bench.stopped URL PID

The gateway is stopped (SIGSTOP) in front of one step and goes on right after it; the next sample is
taken when the policy answers again. A negative sample came back before its deadline.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import isthmus

from .bursts import serve_bursts
from .stack import observation_of

DEADLINE = 0.020  # seconds
BACK_IN = 5.0  # seconds the policy may take to answer again
PAUSE = 0.005  # seconds between two steps while it comes back


def main(url: str, pid: int) -> None:
    """Connect, and answer the runner's bursts."""
    with isthmus.connect(url, deadline=DEADLINE) as link:
        observation = observation_of(link.contract, None)
        link.reset(seed=7)

        def lateness() -> int:
            os.kill(pid, signal.SIGSTOP)
            try:
                began = time.monotonic_ns()
                action = link.act(observation)
                returned = time.monotonic_ns()
            finally:
                os.kill(pid, signal.SIGCONT)
            if action.status == "policy":
                raise RuntimeError("a stopped gateway answered; is the pid the gateway's?")
            return returned - began - int(DEADLINE * 1e9)

        def recover() -> None:
            give_up = time.monotonic() + BACK_IN
            while link.act(observation).status != "policy":
                if time.monotonic() > give_up:
                    raise RuntimeError(f"the policy did not answer within {BACK_IN:g} s again")
                time.sleep(PAUSE)

        def burst(seconds: float, hz: float) -> dict[str, Any]:
            samples = []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                recover()
                samples.append(lateness())
            recover()
            return {"samples": samples}

        serve_bursts(burst)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
