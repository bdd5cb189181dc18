"""What a gateway costs while nobody asks: its share of a core with silent sessions connected.

    python -m bench.idle URL PID SESSIONS

The kernel's own account of every thread's run time, in nanoseconds, is read before and after.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

import isthmus

from .bursts import serve_bursts


def run_time_ns(pid: int) -> int:
    """Time all threads of a process have run so far."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files)


def main(url: str, pid: int, sessions: int) -> None:
    """Connect the sessions, then watch the gateway."""
    with contextlib.ExitStack() as stack:
        for _ in range(sessions):
            stack.enter_context(isthmus.connect(url))

        def burst(seconds: float, hz: float) -> dict[str, Any]:
            before, began = run_time_ns(pid), time.monotonic_ns()
            time.sleep(seconds)
            share = (run_time_ns(pid) - before) / (time.monotonic_ns() - began)
            return {"samples": [100 * share]}

        serve_bursts(burst)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
