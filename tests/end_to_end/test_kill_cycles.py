"""200 times kill -9, of links and of gateways: nothing is left behind on the other side."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import isthmus

from ..support.gateways import ROOT, gateway, halving
from ..support.waiting import until

pytestmark = pytest.mark.slow

CYCLES = 200

FORKING = """
import os, signal, sys
import numpy, isthmus
from isthmus.gateway import Engine
from isthmus.transport import parse
from isthmus.transport.sockets import listen
from tests.support.served import halving

def link(url):
    found = isthmus.connect(url, timeout=30)
    found.act(q=[1, 1], deadline=30)
    assert found.transport == "shm", found.transport_note
    return found

def gateway(url):
    engine = Engine({"halving": halving()}, [listen(parse(url))])
    return engine

for line in sys.stdin:
    role, url = line.split()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        kept = link(url) if role == "link" else gateway(url)
        os.write(writer, b"up")
        if role == "gateway":
            kept.run()
        signal.pause()
    os.close(writer)
    assert os.read(reader, 2) == b"up", "the child failed"
    print(child, flush=True)
    sys.stdin.readline()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    print("gone", flush=True)
"""


class Forks:
    """Starts links or gateways by fork, which is fast, and kills them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def start(self, role: str, url: str) -> int:
        """Fork one and wait until it is up; its process id."""
        return int(self._ask(f"{role} {url}"))

    def kill(self) -> None:
        """Kill -9 it."""
        assert self._ask("kill") == "gone"

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "the forking process died"
        return answer

    def close(self) -> None:
        """End the forking process."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def forks() -> Iterator[Forks]:
    found = Forks()
    try:
        yield found
    finally:
        found.close()


def belongings(pid: int) -> dict[str, int]:
    """Open descriptors, mapped segments and threads of a process."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "segments": maps.count("memfd:isthmus"),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
    }


def test_links_killed(tmp_path: Path) -> None:
    url = f"unix:{tmp_path}/s"
    with gateway(*halving(url)) as found, forks() as made:
        with isthmus.connect(url) as good:
            good.act(q=[1, 1], deadline=20)
            before = belongings(found.pid)
            for cycle in range(CYCLES):
                made.start("link", url)
                if cycle == 0:
                    assert belongings(found.pid)["segments"] == before["segments"] + 1
                made.kill()
                if cycle % 10 == 0:
                    assert good.act(q=[1, 1], deadline=20).status == "policy"
            until(lambda: belongings(found.pid) == before, "the gateway keeps what was a link's")
            assert good.stats()["misses"] == 0
        assert found.stop() == 0
    assert list(tmp_path.iterdir()) == []


def test_gateways_killed(tmp_path: Path) -> None:
    url = f"unix:{tmp_path}/s"
    with forks() as made:
        made.start("gateway", url)
        with isthmus.connect(url, rearm="auto") as link:
            link.act(q=[1, 1], deadline=20)
            before = belongings(os.getpid())
            for cycle in range(1, CYCLES + 1):
                made.kill()
                made.start("gateway", url)
                until(lambda: link.act(q=[2, 2], deadline=0.5).status == "policy")
                assert link.stats()["reconnects"] >= cycle
            assert belongings(os.getpid()) == before
            assert link.transport == "shm"
        made.kill()
    assert {path.name for path in tmp_path.iterdir()} <= {"s", ".s.isthmus-lock"}
