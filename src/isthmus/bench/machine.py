"""Which machine, which Python, how busy: without it a figure means nothing."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.version import VERSION

__all__ = ["SAME", "fingerprint"]

SAME: tuple[str, ...] = ("cpu", "cpus", "machine", "kernel", "python", "numpy")
"""Facts that must be equal for two results to be comparable."""


def fingerprint() -> dict[str, Any]:
    """CPU, the CPUs this process may use, kernel, versions, and the load before the run."""
    return {
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "isthmus": VERSION,
        "load_average": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
