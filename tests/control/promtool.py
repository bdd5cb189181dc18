"""Prometheus' own judge, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed; Debian has it in the package `prometheus`"
)
LINT = 3
"""Its status where everything can be read, and something could be named better."""


def promtool(
    *arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None
) -> tuple[int, str]:
    """Its exit status, and what it said."""
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *map(str, arguments)], input=stdin, capture_output=True, cwd=cwd, timeout=60,
        check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode()
