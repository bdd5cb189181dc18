"""What nobody may say, as data: name -> bytes that a gateway may get."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from isthmus.protocol.header import CRC, HEADER, HEADER_SIZE, MAGIC

from .peers import CONTRACT

GOOD: dict[str, Any] = {"q": [0.5, 1, -2.25], "step": 3, "on": True}
"""What would be accepted, were it not changed."""

NO_JSON: dict[str, bytes] = {
    "NaN": b'{"type":"ping","x":NaN}',
    "Infinity": b'{"type":"ping","x":Infinity}',
    "-Infinity": b'{"type":"ping","x":-Infinity}',
    "1e999": b'{"type":"ping","x":1e999}',
    "-1e999": b'{"type":"ping","x":[[-1e999]]}',
    "60 000 digits": b'{"type":"ping","x":' + b"9" * 60_000 + b".0}",
    "duplicate key": b'{"type":"ping","type":"ping"}',
    "duplicate key, nested": b'{"type":"ping","x":{"a":1,"a":1}}',
    "duplicate key, escaped": b'{"type":"ping","\\u0074ype":"ping"}',
    "5 000-digit integer": b'{"type":"ping","x":' + b"7" * 5000 + b"}",
    "10 000-deep list": b'{"type":"ping","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10 000-deep object": b'{"type":"ping","x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    "10 000-deep and open": b"[" * 10_000,
    "lone high surrogate": b'{"type":"ping","corr_id":"\\ud800"}',
    "lone low surrogate": b'{"type":"ping","corr_id":"\\uDFFF x"}',
    "lone surrogate in a key": b'{"type":"ping","\\udc00":1}',
    "surrogates the wrong way round": b'{"type":"ping","corr_id":"\\udc00\\ud800"}',
    "surrogate in UTF-8": b'{"type":"ping","corr_id":"\xed\xa0\x80"}',
    "latin-1": b'{"type":"ping","corr_id":"\xe9"}',
    "UTF-16": '{"type":"ping"}'.encode("utf-16"),
    "byte-order mark": b'\xef\xbb\xbf{"type":"ping"}',
    "NUL": b"\0",
    "NUL in text": b'{"type":"ping","corr_id":"\0"}',
    "tab in text": b'{"type":"ping","corr_id":"\t"}',
    "empty list": b"[]",
    "list": b'[{"type":"ping"}]',
    "number": b"5",
    "text": b'"ping"',
    "null": b"null",
    "true": b"true",
    "word": b"ping",
    "two objects": b'{"type":"ping"}{"type":"ping"}',
    "cut": b'{"type":"pi',
    "comma at the end": b'{"type":"ping",}',
    "comment": b'{"type":"ping"/* hello */}',
    "single quotes": b"{'type':'ping'}",
    "leading zero": b'{"type":"ping","x":01}',
    "plus sign": b'{"type":"ping","x":+1}',
    "hexadecimal": b'{"type":"ping","x":0x10}',
    "no digits after the point": b'{"type":"ping","x":1.}',
    "bad escape": b'{"type":"ping","x":"\\x41"}',
    "HTTP": b"GET / HTTP/1.1\r",
    "pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.",
}

NO_MESSAGE: dict[str, Any] = {
    "empty object": {},
    "no type": {"data": GOOD},
    "type is null": {"type": None},
    "type is a number": {"type": 5},
    "type is a list": {"type": ["ping"]},
    "type is an object": {"type": {}},
    "type is empty": {"type": ""},
    "type is unknown": {"type": "dance"},
    "type in capitals": {"type": "PING"},
    "type is very long": {"type": "p" * 100_000},
    "type is binary's": {"type": "attach"},
    "corr_id is a number": {"type": "ping", "corr_id": 5},
    "corr_id is null": {"type": "ping", "corr_id": None},
    "corr_id is a list": {"type": "ping", "corr_id": ["a"]},
    "corr_id is giant": {"type": "ping", "corr_id": "c" * 500_000},
    "seq is negative": {"type": "ping", "seq": -1},
    "seq is a float": {"type": "ping", "seq": 1.0},
    "seq is text": {"type": "ping", "seq": "1"},
    "seq is a boolean": {"type": "ping", "seq": True},
    "seq is null": {"type": "ping", "seq": None},
    "seq is too large": {"type": "ping", "seq": 1 << 64},
    "epoch is too large": {"type": "ping", "epoch": 1 << 64},
    "epoch is negative": {"type": "ping", "epoch": -5},
    "op is a number": {"type": "admin", "op": 5},
    "bye with an unknown key": {"type": "bye", "code": "x"},
    "telemetry is a list": {"type": "telemetry", "data": [1]},
    "telemetry is text": {"type": "telemetry", "data": "x"},
    **{
        f"{word}, {name} is {json.dumps(value)[:24]}": {"type": word, name: value}
        for word in ("admin", "bye", "ready", "result", "telemetry")
        for name in ("seq", "epoch")
        for value in (-1, 0.5, "1", None, True)
    },
}

HELLO: dict[str, Any] = {"type": "hello", "wire_version": 1, "version": "0"}

BAD_HELLO: dict[str, Any] = {
    "no version": {"type": "hello", "wire_version": 1},
    "no wire version": {"type": "hello", "version": "0"},
    "unknown key": {**HELLO, "colour": "red"},
    **{
        f"{name} is {json.dumps(value)[:20]}": {**HELLO, name: value}
        for name, values in {
            "wire_version": (1.0, "1", None, True, -1, [1], {}, 1 << 64),
            "version": (1, None, [], "v" * 257),
            "interface_hash": (1, None, ["a"], "h" * 257),
            "contract": (1, "x", [], True),
            "policy": (1, None, [], {"a": 1}, "p" * 257),
            "pacing": (1, None, ["realtime"], True),
            "num_envs": (-1, 1.0, "1", None, True, [2], 1 << 64),
            "deadline_ns": (-1, 0.5, "1", None, False),
            "can_reset": (1, 0, "yes", None, []),
            "session": (1, None, [], "s" * 257),
            "token": (1, None, {}, "t" * 257),
            "facts": (1, None, [], "x"),
            "seq": (-1, "1", None),
            "epoch": (-1, 1.5, None, 1 << 64),
        }.items()
        for value in values
    },
}


def _changed(**changes: Any) -> dict[str, Any]:
    return {"type": "obs", "data": {**GOOD, **changes}}


def _without(name: str) -> dict[str, Any]:
    return {"type": "obs", "data": {key: value for key, value in GOOD.items() if key != name}}


BAD_STEP: dict[str, Any] = {
    "no data": {"type": "obs"},
    "data is null": {"type": "obs", "data": None},
    "data is a list": {"type": "obs", "data": [0.5, 1, 2]},
    "data is text": {"type": "obs", "data": "q"},
    "data is empty": {"type": "obs", "data": {}},
    "q is missing": _without("q"),
    "step is missing": _without("step"),
    "on is missing": _without("on"),
    "q inside an empty observation": {"type": "obs", "data": {"observation": {}}},
    "obs_version is another": {"type": "obs", "obs_version": 2, "data": GOOD},
    "obs_version is text": {"type": "obs", "obs_version": "1", "data": GOOD},
    "obs_version is true": {"type": "obs", "obs_version": True, "data": GOOD},
    "obs_version is null": {"type": "obs", "obs_version": None, "data": GOOD},
    "training of a plain link": {"type": "obs", "data": GOOD, "training": {}},
    **{
        f"q is {json.dumps(value)[:24]}": _changed(q=value)
        for value in (
            None, True, 5, 0.5, "123", "", {}, {"0": 1}, [], [1, 2], [1, 2, 3, 4], [[1, 2, 3]],
            [[1], [2], [3]], [1, 2, [3]], [1, 2, None], [1, 2, "3"], [1, 2, True], [1, 2, {}],
            [True, False, True], ["a", "b", "c"], [None, None, None], [1e39, 0, 0],
            [1, 2, 10**300], [1, 2, -(10**400)], [1, 2, 1.7e308], [], [[], [], []],
        )
    },
    **{
        f"step is {json.dumps(value)[:24]}": _changed(step=value)
        for value in (
            None, True, False, 1.0, 1.5, "1", "", [], [1], [[1]], {}, 1 << 63, -(1 << 63) - 1,
            10**400,
        )
    },
    **{
        f"on is {json.dumps(value)[:24]}": _changed(on=value)
        for value in (None, 0, 1, 2, 0.0, 1.0, "true", "", [], [True], {})
    },
    **{
        f"{name} is {json.dumps(value)[:24]}": {"type": "obs", "data": GOOD, name: value}
        for name in ("seq", "epoch", "budget_ns", "send_ns", "wall_ns")
        for value in (-1, 1.0, "1", None, True, [], 1 << 64, 10**400)
    },
    **{
        f"sim_time is {json.dumps(value)[:24]}": _changed(sim_time=value)
        for value in ("1", True, [], {}, 1e16, -1e16, 10**400)
    },
    **{
        f"{name} is {json.dumps(value)[:24]}": _changed(**{name: value})
        for name in ("rand_hash", "hash_rand", "expected_rand_hash")
        for value in (1, None, True, [], {}, "h" * 257)
    },
    **{
        f"{name} is {json.dumps(value)[:24]}": {"type": "obs", "data": GOOD, name: value}
        for name in ("reset", "infos")
        for value in (1, "x", True, [], 0)
    },
}  # fmt: skip


def frame(
    kind: int = 4,
    *,
    flags: int = 0,
    body: bytes = b"",
    tail: bytes = b"",
    outcome: int = 0,
    interface: int | None = None,
    sim_time: float = 0.0,
    seq: int = 1,
) -> bytes:
    """A frame with good lengths and checksums, whatever it says."""
    if interface is None:
        interface = int(CONTRACT.interface_hash[:16], 16)
    head = bytearray(HEADER_SIZE)
    HEADER.pack_into(
        head, 0, MAGIC, 1, kind, flags, len(body), len(tail), seq, 0, outcome, interface,
        0, 0, sim_time, 0, 0, 0, 0, crc32(body) if flags & 1 else 0,
    )  # fmt: skip
    CRC.pack_into(head, HEADER_SIZE - CRC.size, crc32(tail, crc32(head[: HEADER_SIZE - CRC.size])))
    return bytes(head) + body + tail


BODY = bytes(192)
NAN, INF = float("nan"), float("inf")

BAD_FRAMES: dict[str, bytes] = {
    **{f"kind {kind}": frame(kind) for kind in (0, 8, 32, 41, 64, 67, 128, 255)},
    **{f"ping, tail: {name}": frame(6, tail=line) for name, line in NO_JSON.items()},
    **{
        f"step, tail: {name}": frame(4, body=BODY, tail=line[:1000])
        for name, line in NO_JSON.items()
    },
    **{
        f"ping, tail {json.dumps(tail)[:30]}": frame(6, tail=json.dumps(tail).encode())
        for tail in (
            {"x": 1}, {"seq": 5}, {"epoch": 1}, {"corr_id": 5}, {"corr_id": "c" * 300}, {"type": 1},
        )
    },
    **{
        f"step, tail {json.dumps(tail)[:30]}": frame(body=BODY, tail=json.dumps(tail).encode())
        for tail in (
            {"x": 1}, {"q": [1, 2, 3]}, {"arrays": {}}, {"seq": 2}, {"sim_time": 1.0},
            {"corr_id": None}, {"corr_id": "c" * 300}, {"reset": []}, {"reset": 1}, {"infos": []},
            {"rand_hash": 5}, {"training": {}}, {"budget_ns": -1}, {"outcome": 0},
        )
    },
    **{
        f"hello, {name}": frame(1, tail=json.dumps(
            {k: v for k, v in hello.items() if k not in ("type", "seq", "epoch")}
        ).encode())
        for name, hello in BAD_HELLO.items()
        if not name.startswith(("seq", "epoch"))
    },
    **{f"step of {n} bytes": frame(body=bytes(n)) for n in (0, 1, 64, 128, 191)},
    **{
        f"step with flags {flags:#x}": frame(flags=flags, body=BODY)
        for flags in (2, 4, 6, 8, 16, 0x8000, 0xFFFE)
    },
    "ping with a body": frame(6, body=BODY),
    "hello with a body": frame(1, body=BODY, tail=b'{"wire_version":1,"version":"0"}'),
    "hello without a tail": frame(1),
    "wrong interface": frame(body=BODY, interface=7),
    "no interface": frame(body=BODY, interface=0),
    "wrong checksum of the arrays": bytearray(frame(flags=1, body=BODY)[:-1] + b"\1"),
    "a boolean of 2": frame(body=BODY[:128] + b"\2" + BODY[129:]),
    "a boolean of 255": frame(body=BODY[:128] + b"\xff" + BODY[129:]),
    "sim_time is infinite": frame(body=BODY, sim_time=INF),
    "sim_time is minus infinite": frame(body=BODY, sim_time=-INF),
    "sim_time is enormous": frame(body=BODY, sim_time=1e300),
    **{
        f"action with outcome {number}": frame(35, outcome=number, body=bytes(128))
        for number in (1, 3, 255, 1 << 31)
    },
    "action without arrays": frame(35),
    "action of another size": frame(35, body=BODY),
}  # fmt: skip

BAD_NUMBERS: dict[str, bytes] = {
    f"q is {value} at {place}": frame(
        body=bytes(4 * place) + struct.pack("<f", value) + bytes(188 - 4 * place)
    )
    for value in (NAN, INF, -INF)
    for place in range(3)
}


def lines() -> Iterator[tuple[str, bytes]]:
    """Everything bad that may come as a line."""
    yield from ((f"no JSON: {name}", line) for name, line in NO_JSON.items())
    groups = {"no message": NO_MESSAGE, "hello": BAD_HELLO, "step": BAD_STEP}
    for group, cases in groups.items():
        yield from ((f"{group}: {name}", _line(value)) for name, value in cases.items())


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode("ascii")
