"""The canonical form written and read by the page that documents it, and by nothing of ours."""

from __future__ import annotations

import struct
from typing import Any

PREFIX = b"isthmus randomization 1\n"


def write(value: Any) -> bytes:
    """The form of plain Python values, without the prefix."""
    if value is None:
        return b"N"
    if value is True or value is False:
        return b"T" if value else b"F"
    if isinstance(value, str):
        raw = value.encode("utf-8")
        return b"S" + len(raw).to_bytes(4, "big") + raw
    if isinstance(value, (int, float)):
        if isinstance(value, int) and int(float(value)) != value:
            raw = b"%d" % value
            return b"I" + len(raw).to_bytes(4, "big") + raw
        return b"D" + struct.pack(">d", 0.0 if value == 0 else value)
    if isinstance(value, list):
        return b"L" + len(value).to_bytes(4, "big") + b"".join(map(write, value))
    keys = sorted(value, key=lambda key: key.encode("utf-8"))
    pairs = b"".join(write(key) + write(value[key]) for key in keys)
    return b"M" + len(value).to_bytes(4, "big") + pairs


def read(form: bytes) -> Any:
    """The values of a form. That it can be read is why no two values have one form."""
    assert form.startswith(PREFIX)
    value, rest = _read(form[len(PREFIX) :])
    assert rest == b""
    return value


def _read(form: bytes) -> tuple[Any, bytes]:
    kind, rest = form[:1], form[1:]
    if kind in b"NTF":
        return {b"N": None, b"T": True, b"F": False}[kind], rest
    if kind == b"D":
        return struct.unpack(">d", rest[:8])[0], rest[8:]
    count, rest = int.from_bytes(rest[:4], "big"), rest[4:]
    if kind == b"S":
        return rest[:count].decode("utf-8"), rest[count:]
    if kind == b"I":
        return int(rest[:count]), rest[count:]
    found = []
    for _ in range(count * (2 if kind == b"M" else 1)):
        value, rest = _read(rest)
        found.append(value)
    assert kind in (b"L", b"M"), kind
    return (found if kind == b"L" else dict(zip(found[::2], found[1::2], strict=True))), rest
