"""Which machine, which Pythons, how busy: without it a figure means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environments import ROOT, Interpreters

BUSY = 0.7  # load average from which figures are taken with other work beside them
_VERSIONS = "import platform, numpy; print(platform.python_version(), numpy.__version__)"


def fingerprint(interpreters: Interpreters) -> dict[str, Any]:
    """The facts a reader needs to compare two results."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "sim": _python_facts(interpreters.sim),
        "policy": _python_facts(interpreters.policy),
        "load_average": load_average(),
        "busy": load_average() > BUSY,
    }


def commit() -> str:
    """What is measured, with a `+` where the working tree has changed since."""
    changed = _run("git", "status", "--porcelain", "--untracked-files=no")
    return _run("git", "rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def today() -> str:
    """The date, as written in ISO 8601."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def load_average() -> float:
    """Runnable processes over the last minute; before a run, all of them others'."""
    return os.getloadavg()[0]


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds of CPU, all CPUs together, since the machine started and since we did.

    Attributes:
        busy: of everybody.
        stolen: given to other guests of the host while somebody here wanted to run.
        ours: of this process and its ended children.
        at: when, on the monotonic clock.
    """

    busy: float
    stolen: float
    ours: float
    at: float

    @classmethod
    def now(cls) -> CpuTime:
        """Look."""
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        user, nice, system, _, _, irq, softirq, stolen = ticks[:8]
        rate = os.sysconf("SC_CLK_TCK")
        busy = (user + nice + system + irq + softirq) / rate
        return cls(busy, stolen / rate, sum(os.times()[:4]), time.monotonic())

    def disturbance(self) -> dict[str, float]:
        """Shares of a core that others have used since, here and on the same host."""
        later = CpuTime.now()
        wall = max(later.at - self.at, 1e-9)
        others = max(0.0, later.busy - self.busy - (later.ours - self.ours))
        return {
            "others": round(others / wall, 3),
            "stolen": round((later.stolen - self.stolen) / wall, 3),
        }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _python_facts(python: Path) -> dict[str, str]:
    version, _, numpy = _run(str(python), "-c", _VERSIONS).partition(" ")
    return {"python": version, "numpy": numpy}


def _run(*argv: str) -> str:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
