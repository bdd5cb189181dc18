"""Does an ONNX model keep weights in other files? Read from its bytes, without ONNX.

A model may name files its tensors are read from. ONNX Runtime follows such names even for a
model loaded from memory, then relative to the working directory; a name out of a model must not
choose which file of the host is read. So the serialised protobuf is walked along the few
message fields that can lead to a tensor, and everything else is skipped unread.

Source: onnx/onnx.proto (field numbers); protobuf's encoding guide (wire types).
"""

from __future__ import annotations

__all__ = ["names_external_data"]

MAX_DEPTH = 64
"""Subgraphs nest (If, Loop, Scan); nobody nests them this deep."""

_LEADS_TO: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
}
"""Message -> field number -> message in it."""

_EXTERNAL_DATA, _DATA_LOCATION, _IN_MODEL = 13, 14, 0
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def names_external_data(model: bytes) -> bool:
    """Say whether any tensor of a serialised model lies outside it.

    Raises:
        ValueError: the bytes are no well-formed model; it may be cut short.
    """
    return _walk(memoryview(model), "model", 0)


def _walk(data: memoryview, message: str, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise ValueError("graphs nested too deep")
    leads_to = _LEADS_TO.get(message, {})
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _BYTES:
            size, at = _varint(data, at)
            start, at = at, at + size
            if at > len(data):
                raise ValueError("cut short")
            if message == "tensor" and number == _EXTERNAL_DATA:
                return True
            inner = leads_to.get(number)
            if inner is not None and _walk(data[start:at], inner, depth + 1):
                return True
        elif wire_type == _VARINT:
            value, at = _varint(data, at)
            if message == "tensor" and number == _DATA_LOCATION and value != _IN_MODEL:
                return True
        elif wire_type in (_FIXED32, _FIXED64):
            at += 4 if wire_type == _FIXED32 else 8
            if at > len(data):
                raise ValueError("cut short")
        else:
            raise ValueError(f"wire type {wire_type} is not used by ONNX")
    return False


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a base-128 number of at most ten bytes; give it and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
