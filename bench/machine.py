"""Which machine, which Pythons, how busy: without it a figure means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from .environments import ROOT, Interpreters

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
        "commit": _run("git", "rev-parse", "--short=12", "HEAD"),
        "changed": bool(_run("git", "status", "--porcelain", "--untracked-files=no")),
    }


def load_average() -> float:
    """Runnable processes over the last minute, ours included."""
    return os.getloadavg()[0]


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
