"""An independent peer: a client as the first system's users wrote it, sharing no code with us.

It knows `facts` only: one JSON object a line, a fresh connection per message if it likes, and
reads of 4096 bytes.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from isthmus.policy.constant import ConstantPolicy
from tests.support.contracts import DELTA, pair
from tests.support.gateways import Served, serving

from .bad_messages import NO_JSON, NO_MESSAGE

GOOD = {"type": "obs", "data": {"q": [0.1, 0.2], "sim_time": 1.5}}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(ConstantPolicy(pair(DELTA), 0.01)) as served:
        yield _port(served)


def _port(served: Served) -> int:
    return int(served.tcp.rpartition(":")[2])


class OldClient:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.buffer = b""

    def __enter__(self) -> OldClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self) -> dict[str, Any]:
        while b"\n" not in self.buffer:
            chunk = self.sock.recv(4096)
            assert chunk, "the gateway closed"
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        return dict(json.loads(line.decode("utf-8")))

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.send(json.dumps(message).encode() + b"\n")
        return self.answer()


def ask(port: int, message: dict[str, Any]) -> dict[str, Any]:
    """A fresh connection for one message."""
    with OldClient(port) as client:
        return client.ask(message)


def test_a_fresh_connection_for_each_message(port: int) -> None:
    for number in range(5):
        ack = ask(port, {"type": "ping", "corr_id": f"c{number}"})
        assert ack["type"] == "ack"
        assert ack["corr_id"] == f"c{number}"
        assert ack["ts"] > 1e9


@pytest.mark.parametrize(
    "message",
    [
        GOOD,
        {"type": "obs", "data": {"observation": GOOD["data"]}},
        {"type": "obs", "obs_version": 1, "corr_id": "x", "data": GOOD["data"]},
        {"type": "obs", "data": {"q": [0, 1]}},
    ],
)
def test_an_observation_is_answered_by_an_action(port: int, message: dict[str, Any]) -> None:
    answer = ask(port, message)
    assert answer["type"] == "action", answer
    data = answer["data"]
    assert data["action_version"] == 2
    assert data["deadline_miss"] is False
    assert data["action_dim"] == 2
    assert data["ts_policy"] > 1e9
    assert data["policy_latency_ms"] >= 0
    assert set(data["profiling"]) == {"preprocess_ms", "infer_ms"}
    assert answer.get("corr_id", "") == message.get("corr_id", answer.get("corr_id", ""))
    numbers = next(data[name] for name in ("delta", "speed") if name in data)
    assert len(numbers) == 2
    assert all(math.isfinite(number) for number in numbers)


@pytest.mark.parametrize("word", ["rand_hash", "hash_rand"])
def test_the_hash_comes_back_and_a_mismatch_is_flagged(port: int, word: str) -> None:
    data = {**GOOD["data"], word: "aa", "expected_rand_hash": "bb"}  # type: ignore[dict-item]
    answer = ask(port, {"type": "obs", "data": data})["data"]
    assert answer["rand_hash"] == "aa"
    assert answer["rand_hash_mismatch"] is True


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_line_in_pieces_and_several_at_once(port: int, cut: int) -> None:
    lines = b"".join(
        json.dumps({**GOOD, "corr_id": f"n{number}"}).encode() + b"\n" for number in range(3)
    )
    with OldClient(port) as client:
        for start in range(0, len(lines), cut):
            client.send(lines[start : start + cut])
        assert [client.answer()["corr_id"] for _ in range(3)] == ["n0", "n1", "n2"]


@pytest.mark.parametrize("name", [name for name in NO_JSON if NO_JSON[name][:1] == b"{"])
def test_what_is_no_json_gets_its_error_and_the_line_goes_on(port: int, name: str) -> None:
    with OldClient(port) as client:
        client.send(NO_JSON[name] + b"\n")
        answer = client.answer()
        assert (answer["type"], answer["error"]) == ("error", "bad_json")
        assert answer["detail"]
        assert client.ask({"type": "ping"})["type"] == "ack"


@pytest.mark.parametrize("name", list(NO_MESSAGE))
def test_what_is_no_message_gets_its_error(port: int, name: str) -> None:
    answer = ask(port, NO_MESSAGE[name])
    assert answer["type"] == "error", answer
    assert answer["error"] in ("schema_violation", "unknown_type")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "obs", "data": {"q": []}}, "schema_violation"),
        ({"type": "obs", "data": {"q": [1]}}, "schema_violation"),
        ({"type": "obs", "data": {"q": ["a", "b"]}}, "schema_violation"),
        ({"type": "obs", "obs_version": 9, "data": GOOD["data"]}, "schema_violation"),
        ({"type": "dance", "corr_id": "d"}, "unknown_type"),
        ({"type": "admin", "op": "explode"}, "bad_admin_op"),
    ],
)
def test_the_first_systems_error_codes(port: int, message: dict[str, Any], code: str) -> None:
    answer = ask(port, message)
    assert (answer["type"], answer["error"]) == ("error", code)
    if "corr_id" in message:
        assert answer["corr_id"] == message["corr_id"]


def test_what_is_neither_json_nor_ours_is_told_so_once(port: int) -> None:
    with OldClient(port) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.answer()["error"] == "bad_json"
        with contextlib.suppress(ConnectionResetError):  # what it had sent was not all read
            assert client.sock.recv(4096) == b""
