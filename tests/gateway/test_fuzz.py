"""Spoiled conversations: whatever bytes come, the engine lives and the good session is served."""

from __future__ import annotations

import json
import random
import select

import numpy as np
import pytest

from isthmus.protocol.messages import Attach, Bye, Hello, Observation, Ping, Ready, Telemetry

from ..support.contracts import pair
from ..support.gateways import Served
from ..support.peers import BinaryPeer, RawPeer, hello
from .good import Good

LINES = [
    {"type": "ping"},
    {"type": "obs", "data": {"q": [1, 2]}, "seq": 3, "epoch": 0, "budget_ns": 10**9},
    {"type": "obs", "data": {"q": [1, 2]}, "reset": {"mask": [True], "seed": 1}},
    {"type": "admin", "op": "get_counters"},
    {"type": "hello", "wire_version": 1, "version": "x", "num_envs": 1},
    {"type": "bye", "reason": "x"},
    {"type": "telemetry", "data": {"x": 1}},
]
JUNK = ["NaN", "-1", "1e999", "null", "true", '"x"', "[]", "{}", "[[[1]]]", str(2**70), "0.5"]


def _frames(rng: random.Random, peer: BinaryPeer) -> bytes:
    """A plausible conversation in binary, with a little of it spoiled."""
    peer.codec.bind(pair(), 1, asks=True)
    said = [peer.frame(_hello(rng))]
    for seq in range(1, rng.randint(2, 6)):
        array = np.array([[rng.uniform(-1, 1), 1.0]], np.float32)
        said.append(
            peer.frame(
                rng.choice(
                    [
                        Observation({"q": array}, seq, budget_ns=rng.choice([0, 1, 10**9, 2**63])),
                        Observation({"q": array}, seq, reset={"mask": rng.choice([None, [True]])}),
                        Ping(seq),
                        Ready(seq),
                        Telemetry({"x": seq}),
                        Attach("x", "y"),
                        Bye("x"),
                    ]
                )
            )
        )
    data = bytearray(b"".join(said))
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(data))
        deed = rng.randrange(4)
        if deed == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif deed == 1:
            del data[at : at + rng.randint(1, 40)]
        elif deed == 2:
            data[at:at] = data[at : at + rng.randint(1, 200)]
        else:
            del data[at:]
        if not data:
            return b""
    return bytes(data)


def _hello(rng: random.Random) -> Hello:
    return hello(
        num_envs=rng.choice([1, 1, 1, 3, 10**6, -1]),
        epoch=rng.choice([0, 0, 7]),
        pacing=rng.choice(["realtime", "lockstep", "realtime", "x"]),
        can_reset=rng.random() < 0.2,
        session=rng.choice(["", "", "json-1", "x" * 300]),
        deadline_ns=rng.choice([0, 1, 10**9, 2**70]),
    )


def _lines(rng: random.Random, peer: BinaryPeer) -> bytes:
    """A plausible conversation in json, with a little of it spoiled."""
    said = []
    for _ in range(rng.randint(1, 6)):
        text = json.dumps(rng.choice(LINES))
        for _ in range(rng.randint(0, 2)):
            words = text.split(" ")
            words[rng.randrange(len(words))] = rng.choice(JUNK) + rng.choice(["", ",", "}"])
            text = " ".join(words)
        said.append(text.encode() + b"\n")
    return b"".join(said)


@pytest.mark.parametrize("make", [_frames, _lines])
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_spoiled_conversations(served: Served, good: Good, make: object, scheme: str) -> None:
    for seed in range(150):
        rng = random.Random(seed)
        with BinaryPeer(getattr(served, scheme)) as peer:
            data = make(rng, peer)  # type: ignore[operator]
            try:
                for start in range(0, len(data), 700):
                    peer.send(data[start : start + 700])
                peer.socket.shutdown(1)
                while select.select([peer.socket], [], [], 20)[0] and peer.socket.recv(65536):
                    pass
            except OSError:
                pass  # it had heard enough
        if seed % 10 == 0:
            good.asks(1)
            assert served.fault is None
    assert "internal" not in served.engine.counters.by_code  # every fault has a better name


def test_noise(served: Served, good: Good) -> None:
    for seed in range(100):
        rng = random.Random(seed)
        with RawPeer(served.tcp) as peer:
            first = rng.choice([b"{", b"I", b"IS", b"ISTM", b"ISTM\x01\x01", b""])
            try:
                peer.send(first + rng.randbytes(rng.randint(0, 5000)))
            except (BrokenPipeError, ConnectionResetError):
                pass  # it had heard enough
    good.asks()
