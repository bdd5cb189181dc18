"""What writing events and payloads costs: clients' round trips, and the gateway's processor time.

    python -m bench.recording [STEPS [HZ]]

One gateway for each level of `--record-payloads`, and one without `--log-dir`, all with a policy
that answers 24 zeros. They are asked in turns, so that a noisy moment falls on all of them.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

import isthmus

from .idle import run_time_ns

LEVELS: Mapping[str, tuple[str, ...]] = {
    "no files": (),
    "off": ("--log-dir", "off"),
    "sampled": ("--log-dir", "sampled", "--record-payloads", "sampled"),
    "all": ("--log-dir", "all", "--record-payloads", "all"),
}
JOINTS = 24
SETTLING = 1.0
"""Seconds in which the writers catch up, before processor time is read."""

Step = Callable[[], None]


@contextmanager
def gateway(folder: Path, level: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Serve at one level: its process id, and scheme -> URL."""
    socket_ = f"unix:{level.replace(' ', '-')}.sock"
    command = ["serve", "zeros.json", "--listen", socket_, "--listen", "tcp://127.0.0.1:0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "isthmus", *command, *LEVELS[level]],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    urls = {"shm": f"shm:{folder / socket_.removeprefix('unix:')}"}
    for line in process.stdout:
        if line.startswith("listening tcp"):
            urls["json"] = line.split()[1]
        if line.strip() == "ready":
            break
    try:
        yield process.pid, urls
    finally:
        process.terminate()
        process.communicate()


def by_shared_memory(stack: ExitStack, url: str) -> Step:
    """A step of a link."""
    link = stack.enter_context(isthmus.connect(url))
    q = np.full(JOINTS, 0.1234567, np.float32)
    return lambda: void(link.act(q=q))


def by_json(stack: ExitStack, url: str) -> Step:
    """A step of a client without a handshake."""
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    client = stack.enter_context(socket.create_connection((host, int(port))))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line = json.dumps({"type": "obs", "data": {"q": [0.1234567] * JOINTS}}).encode() + b"\n"

    def step() -> None:
        client.sendall(line)
        while not client.recv(65536).endswith(b"\n"):
            pass

    return step


def void(_: object) -> None:
    """Nothing."""


def measure(steps: Mapping[str, Step], pids: Mapping[str, int], count: int, hz: float) -> None:
    """Ask all of them in turns, and print a row for each."""
    names = list(steps)
    times: dict[str, list[int]] = {name: [] for name in names}
    before = {name: run_time_ns(pids[name]) for name in names}
    for number in range(count):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter_ns()
            steps[name]()
            times[name].append(time.perf_counter_ns() - started)
            time.sleep(1 / hz / len(names) if hz else 0)
    time.sleep(SETTLING)
    for name, found in times.items():
        p50, p99 = statistics.median(found) / 1e3, sorted(found)[int(0.99 * count)] / 1e3
        spent = (run_time_ns(pids[name]) - before[name]) / count / 1e3
        print(f"  {name:10}{p50:9.0f} us p50{p99:9.0f} us p99{spent:9.0f} us of processor a step")


def main(count: int = 2000, hz: float = 100.0) -> None:
    """Measure both ways."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isth")))
        (folder / "zeros.json").write_text(f'{{"type":"linear_dummy","action_dim":{JOINTS}}}')
        found = {level: stack.enter_context(gateway(folder, level)) for level in LEVELS}
        pids = {level: pid for level, (pid, _) in found.items()}
        for scheme, connect in (("shm", by_shared_memory), ("json", by_json)):
            print(f"{scheme}, {f'{hz:g} steps a second' if hz else 'back to back'}")
            with ExitStack() as clients:
                steps = {name: connect(clients, urls[scheme]) for name, (_, urls) in found.items()}
                measure(steps, pids, count, hz)
        size = sum(path.stat().st_size for path in (folder / "all").glob("*.jsonl"))
        print(f"recorded: {size / 2 / count:.0f} bytes a step")


if __name__ == "__main__":
    main(*(kind(word) for kind, word in zip((int, float), sys.argv[1:], strict=False)))
