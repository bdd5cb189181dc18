"""100 times kill -9 of the supervisor, at any moment: nothing of the run is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from isthmus.supervisor.records import is_held
from isthmus.supervisor.registry import strays

from ..support.waiting import until
from .project import ISTHMUS, Project

CYCLES = 100

# Listens in the run's folder, and has a daemon in a session of its own.
GATEWAY = """
    import os, signal, socket, sys
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[1] + "/gateway")
    server.listen()
    print("ready", flush=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
    signal.pause()
"""
SIM = """
    import os, signal, socket, sys
    link = socket.socket(socket.AF_UNIX)
    link.connect(sys.argv[1] + "/gateway")
    os.memfd_create("frames")
    print("here", flush=True)
    signal.pause()
"""


@pytest.mark.slow
def test_a_supervisor_may_be_killed_at_any_moment(project: Project) -> None:
    project.process("gateway", GATEWAY, "{sockets}", ready={"socket": "{sockets}/gateway"})
    project.process("sim", SIM, "{sockets}", ready={"line": "here"}, depends_on=["gateway"])
    project.write()
    whole = time_until_all_runs(project.folder)
    chance = random.Random(0)
    moments = [chance.uniform(0.0, 1.2 * whole) for _ in range(CYCLES)]
    with ThreadPoolExecutor(2) as both:
        statuses = list(both.map(lambda after: kill_after(project.folder, after), moments))
    assert statuses == [-signal.SIGKILL] * CYCLES

    records = sorted((project.folder / ".isthmus" / "up").glob("*.json"))
    assert len(records) == CYCLES + 1
    for record in records:
        until(lambda: not is_held(record.with_suffix(".lock")), f"the end of {record.stem}")  # noqa: B023
        assert strays(record.stem) == {}
        assert not os.path.exists(json.loads(record.read_text(encoding="utf-8"))["sockets"])

    done = project.isthmus("ps")
    assert done.stdout.count("  died  /") == len(records), done.stderr
    assert project.isthmus("ps").stdout == ""
    assert list((project.folder / ".isthmus" / "up").glob("*.json")) == []


def time_until_all_runs(folder: Path) -> float:
    """Let one run begin; seconds from its first word until everything runs."""
    with subprocess.Popen(
        [*ISTHMUS, "up"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        assert any("sim     | here" in line for line in process.stdout)
        took = time.monotonic() - began
        process.kill()
    return took


def kill_after(folder: Path, seconds: float) -> int:
    """Kill a supervisor a while after its first word."""
    with subprocess.Popen(
        [*ISTHMUS, "up"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()
        try:
            process.wait(seconds)  # the moment itself is what is tested
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait()
