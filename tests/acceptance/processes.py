"""The gateway as its operators start it: flags, a folder of files, an end by SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ..support.waiting import until
from .first_clients import Address, ask

__all__ = ["NEVER", "PATIENT", "ROOT", "Gateway", "Starter", "run_isthmus", "run_script", "starter"]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "ipc_policy_gateway.py"
NEVER = "3600"
"""Seconds: an interval that does not come round while a test runs."""

PATIENT = ("--deadline-ms", "60000")
"""Where a miss is not what the test is about: a busy machine makes none."""

ENVIRON = {**os.environ, "PYTHONWARNINGS": "error"}

Event = dict[str, Any]


class Gateway:
    """A gateway in a process of its own.

    Attributes:
        address: where it listens.
        folder: where it was started.
        logs: where it writes.
    """

    def __init__(self, command: list[str], folder: Path, logs: Path) -> None:
        """Start it and wait until it serves."""
        self.folder, self.logs = folder, logs
        self._stderr = (folder / "stderr.txt").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**ENVIRON, "XDG_CACHE_HOME": str(folder / "cache")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self.said: list[str] = []
        self.address: Address = ("", 0)

    def wait(self) -> Gateway:
        """Until it says where it listens and that it is ready."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())
            word, _, rest = line.strip().partition(" ")
            if word == "listening" and rest.startswith("tcp://"):
                host, _, port = rest.removeprefix("tcp://").rpartition(":")
                self.address = (host, int(port))
            if word == "ready":
                return self
        self.process.wait(timeout=30)
        raise AssertionError(f"the gateway did not start: {self.errors()}")

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """One message over a connection of its own."""
        return ask(self.address, message)

    def flush(self) -> None:
        """Have it write its files now."""
        answer = self.ask({"type": "admin", "op": "flush_metrics"})
        assert answer["type"] == "admin_ack", answer

    def counters(self) -> dict[str, Any]:
        """What it counted."""
        found: dict[str, Any] = self.ask({"type": "admin", "op": "get_counters"})["data"]
        return found

    def metrics(self) -> dict[str, Any]:
        """`ipc_metrics.json` as it is now."""
        found: dict[str, Any] = json.loads((self.logs / "ipc_metrics.json").read_text())
        return found

    def lines(self, name: str = "ipc_gateway_events.jsonl") -> list[Event]:
        """The whole lines of an event file; every one of them must be JSON."""
        path = self.logs / name
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        return [json.loads(line) for line in whole.splitlines()]

    def events(self, **wanted: Any) -> list[Event]:
        """Events that have these values."""
        return [e for e in self.lines() if all(e.get(k) == v for k, v in wanted.items())]

    def event(self, **wanted: Any) -> Event:
        """Wait for an event that has these values; the first."""
        return until(lambda: self.events(**wanted), f"an event with {wanted}")[0]

    def errors(self) -> str:
        """What it wrote to standard error."""
        self._stderr.flush()
        return Path(self._stderr.name).read_text(encoding="utf-8")

    def stop(self) -> int:
        """End it as an operator does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.said += (self.process.communicate(timeout=30)[0] or "").splitlines()
        return self.process.returncode

    def kill(self) -> None:
        """Kill -9, also if it is dead."""
        self.process.kill()
        self.process.communicate(timeout=30)
        self._stderr.close()


class Starter:
    """Starts gateways, each in a new folder, and kills what still runs at the end."""

    def __init__(self, factory: pytest.TempPathFactory, stack: ExitStack) -> None:
        self._factory, self._stack = factory, stack

    def folder(self) -> Path:
        """A new folder."""
        return self._factory.mktemp("gateway")

    def script(self, *flags: str, folder: Path | None = None, port: str = "0") -> Gateway:
        """`scripts/ipc_policy_gateway.py`, on any free port, with files in `logs`."""
        folder = folder or self.folder()
        return self._start([str(SCRIPT), "--port", port, *flags], folder)

    def serve(self, *arguments: str, folder: Path) -> Gateway:
        """`isthmus serve`, on any free port, with files in `logs`."""
        listen = ("--listen", "tcp://127.0.0.1:0", "--log-dir", "logs")
        return self._start(["-m", "isthmus", "serve", *arguments, *listen], folder)

    def _start(self, command: list[str], folder: Path) -> Gateway:
        logs = folder / "logs"
        if "--log-dir" in command:
            logs = folder / command[command.index("--log-dir") + 1]
        gateway = Gateway(command, folder, logs)
        self._stack.callback(gateway.kill)
        return gateway.wait()


@pytest.fixture(scope="package")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Starts gateways that live as long as the tests."""
    with ExitStack() as stack:
        yield Starter(tmp_path_factory, stack)


def run_script(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts to its end."""
    return _run(str(ROOT / "scripts" / name), *arguments, cwd=cwd)


def run_isthmus(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run an `isthmus` command to its end."""
    return _run("-m", "isthmus", *arguments, cwd=cwd)


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=ENVIRON,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
