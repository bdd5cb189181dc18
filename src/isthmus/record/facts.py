"""What is true of this interpreter, this machine and this checkout."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from .. import __version__

__all__ = ["git_facts", "host_facts", "interpreter_facts"]

PACKAGES: tuple[str, ...] = ("numpy", "onnxruntime", "mujoco", "gymnasium")


def interpreter_facts() -> dict[str, Any]:
    """This interpreter: executable, version, implementation and the packages that matter."""
    packages = {"isthmus": __version__}  # a checkout on the path has no metadata
    for name in PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "executable": sys.executable,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "packages": packages,
    }


def host_facts() -> dict[str, Any]:
    """This machine: system, release, architecture and the cores this process may use."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cores": _cores(),
    }


def _cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def git_facts(folder: Path) -> dict[str, Any] | None:
    """Commit of the checkout that holds `folder`, and whether it was changed since.

    Returns:
        `{"sha": ..., "dirty": ...}`, or None outside a checkout or without git.
    """
    sha = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if sha is None or changes is None else {"sha": sha, "dirty": bool(changes)}


def _git(folder: Path, *args: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *args], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
