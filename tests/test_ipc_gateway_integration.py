"""A day of the policy gateway, as its first operators wrote the test: one process, one client.

It starts `scripts/ipc_policy_gateway.py`, talks to it in lines of JSON, reads the files it writes,
and ends it with SIGTERM. It needs nothing of isthmus but that script.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "ipc_policy_gateway.py"


class Gateway:
    """The script in a process of its own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.process = subprocess.Popen(
            [
                sys.executable, str(SCRIPT), "--port", "0", "--policy", "six.json",
                "--deadline-ms", "1000", "--metrics-interval", "3600", "--log-dir", "logs",
                "--prometheus-textfile", "gateway.prom",
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if line.strip() == "ready":
                break
        found = re.search(r"tcp://([\d.]+):(\d+)", said)
        assert found, f"the gateway did not start: {said}"
        self.address = (found[1], int(found[2]))

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """One question over a connection of its own."""
        with socket.create_connection(self.address, timeout=30) as connection:
            connection.sendall(json.dumps(message).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                piece = connection.recv(4096)
                assert piece, "the gateway closed the connection"
                answer += piece
        found: dict[str, Any] = json.loads(answer)
        return found

    def end(self) -> int:
        """End it as systemd does; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    for name, action_dim in (("six.json", 6), ("three.json", 3)):
        policy = {"type": "linear_dummy", "action_dim": action_dim}
        (tmp_path / name).write_text(json.dumps(policy), encoding="utf-8")
    started = Gateway(tmp_path)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.communicate(timeout=30)


def test_a_day_of_the_gateway(gateway: Gateway) -> None:
    # is it there?
    assert gateway.ask({"type": "ping", "corr_id": "hello"})["corr_id"] == "hello"

    # a step, answered by the policy it was started with
    question = {
        "type": "obs",
        "corr_id": "step-1",
        "data": {
            "q": [0.1] * 6, "dq": [0.0] * 6, "sim_time": 0.04,
            "rand_hash": "r1-aa", "expected_rand_hash": "r1-bb",
        },
    }  # fmt: skip
    answer = gateway.ask(question)
    data = answer["data"]
    assert (answer["type"], answer["corr_id"]) == ("action", "step-1")
    assert (data["action_version"], data["delta"], data["action_dim"]) == (2, [0.0] * 6, 6)
    assert (data["policy_kind"], data["deadline_miss"]) == ("dummy_zero", False)
    assert (data["rand_hash"], data["rand_hash_mismatch"]) == ("r1-aa", True)
    assert data["policy_latency_ms"] >= data["profiling"]["infer_ms"] >= 0.0

    # another policy, from now on; one that cannot be loaded changes nothing
    loaded = gateway.ask({"type": "load_policy", "path": "three.json"})
    assert (loaded["type"], loaded["policy_kind"]) == ("load_policy_ack", "dummy_zero")
    failed = gateway.ask({"type": "load_policy", "path": "none.json"})
    assert (failed["type"], failed["error"]) == ("error", "load_failed")
    step = {"type": "obs", "data": {"observation": {"q": [0.0] * 3}}, "corr_id": "step-2"}
    assert gateway.ask(step)["data"]["delta"] == [0.0] * 3

    # nonsense is answered, and harms nobody
    assert gateway.ask({"type": "dance"})["error"] == "unknown_type"
    assert gateway.ask({"type": "obs", "data": {"q": []}})["error"] == "schema_violation"

    # what it counted, and its files
    counted = gateway.ask({"type": "admin", "op": "get_counters"})
    assert (counted["type"], counted["data"]["rand_hash_mismatch"]) == ("counters", 1)
    assert gateway.ask({"type": "admin", "op": "flush_metrics"})["type"] == "admin_ack"
    assert _metrics(gateway)["policy_latency_ms"]["count"] == 2
    assert _textfile(gateway)["gateway_policy_latency_ms_count"] == 2

    # one step more, which only the files written at the exit can know
    assert gateway.ask({**step, "corr_id": "step-3"})["type"] == "action"
    assert gateway.end() == 0
    metrics = _metrics(gateway)
    assert metrics["policy_latency_ms"]["count"] == 3
    assert metrics["policy_latency_ms"]["p95"] > 0.0
    assert (metrics["counters"]["rand_hash_mismatch"], metrics["counters"]["deadline_miss"]) == (
        1,
        0,
    )
    assert _textfile(gateway)["gateway_policy_latency_ms_count"] == 3

    # question and answer are joined by their correlation id
    events = _lines(gateway, "ipc_gateway_events.jsonl")
    for corr_id in ("step-1", "step-2", "step-3"):
        phases = [event["phase"] for event in events if event.get("corr_id") == corr_id]
        assert [phase for phase in phases if phase in ("recv", "send")] == ["recv", "send"]
    (asked,) = (e for e in events if (e.get("corr_id"), e["phase"]) == ("step-1", "recv"))
    (sent,) = (e for e in events if (e.get("corr_id"), e["phase"]) == ("step-1", "send"))
    assert (asked["msg_type"], asked["raw"], sent["resp"]) == ("obs", question, answer)
    (mismatch,) = _lines(gateway, "hash_mismatch_events.jsonl")
    assert (mismatch["corr_id"], mismatch["expected"], mismatch["actual"]) == (
        "step-1", "r1-bb", "r1-aa",
    )  # fmt: skip


def test_nothing_is_left_behind(gateway: Gateway) -> None:
    gateway.ask({"type": "obs", "data": {"q": [0.0] * 6}})
    assert gateway.end() == 0
    with pytest.raises(ProcessLookupError):  # nobody is left of its session
        os.killpg(gateway.process.pid, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(gateway.address, timeout=30)
    left = {path.relative_to(gateway.folder).as_posix() for path in gateway.folder.rglob("*")}
    assert {name for name in left if not name.endswith(".lock")} == {
        "six.json", "three.json", "gateway.prom", "logs", "logs/ipc_gateway_events.jsonl",
        "logs/ipc_metrics.json", "logs/hash_mismatch_events.jsonl",
    }  # fmt: skip


def _metrics(gateway: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((gateway.logs / "ipc_metrics.json").read_text())
    return found


def _textfile(gateway: Gateway) -> dict[str, float]:
    """The metrics that have no labels."""
    text = (gateway.folder / "gateway.prom").read_text(encoding="utf-8")
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}


def _lines(gateway: Gateway, name: str) -> list[dict[str, Any]]:
    text = (gateway.logs / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
