"""The canonical form of whole arrays at once; `canonical` says what the bytes mean.

Numbers that a float64 holds take nine bytes each and booleans one, so every row of an array has
the same length, and the form is a matrix of bytes that numpy fills.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_array", "encode_rows"]

_EXACT = 1 << 53
"""Every whole number up to here is a float64."""

Bytes = NDArray[np.uint8]


def encode_array(array: NDArray[Any]) -> bytes | None:
    """The canonical form of a finite array, or None where it must be written value by value.

    Args:
        array: any shape; booleans, whole numbers, or floats of at most 64 bits have a fast form.
    """
    leaves = _leaves(array)
    return None if leaves is None else _nested(leaves, array.shape).tobytes()


def encode_rows(array: NDArray[Any]) -> Bytes | None:
    """The canonical forms of an array's rows: uint8 (rows, bytes of each), or None as above."""
    leaves = _leaves(array)
    if leaves is None:
        return None
    return _nested(leaves, array.shape[1:]).reshape(array.shape[0], -1)


def _leaves(array: NDArray[Any]) -> Bytes | None:
    """Each value on its own, uint8 (values, 9 or 1); None for what has no fixed length."""
    if not array.size:
        return None
    if array.dtype.kind == "b":
        return np.where(array.ravel(), ord("T"), ord("F")).astype(np.uint8)[:, None]
    if array.dtype.kind in "iu":
        if int(array.max()) > _EXACT or int(array.min()) < -_EXACT:
            return None
    elif array.dtype.kind != "f":
        return None
    out = np.empty((array.size, 9), np.uint8)
    out[:, 0] = ord("D")
    numbers = array.ravel().astype(np.float64) + 0.0  # -0.0 + 0.0 is 0.0
    out[:, 1:] = numbers.astype(">f8").view(np.uint8).reshape(-1, 8)
    return out


def _nested(encoded: Bytes, shape: tuple[int, ...]) -> Bytes:
    """Values put together axis by axis, the last first: uint8 (what is left over, bytes)."""
    for count in reversed(shape):
        encoded = encoded.reshape(-1, count * encoded.shape[1])
        head = np.frombuffer(b"L" + struct.pack(">I", count), np.uint8)
        joined = np.empty((encoded.shape[0], len(head) + encoded.shape[1]), np.uint8)
        joined[:, : len(head)] = head
        joined[:, len(head) :] = encoded
        encoded = joined
    return encoded
