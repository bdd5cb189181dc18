"""Pixels to a PNG file, without a picture library. Pure."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError

__all__ = ["png"]


def png(pixels: NDArray[Any]) -> bytes:
    """Encode a picture.

    Args:
        pixels: uint8 (height, width, 3), RGB.

    Returns:
        The bytes of a PNG file.

    Raises:
        RecordError: another shape or dtype.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise RecordError(f"expected uint8 (height, width, 3), got {pixels.dtype} {pixels.shape}")
    height, width, _ = pixels.shape
    # Each row minus the row above it (filter 2): smooth pictures shrink to a third.
    above = np.vstack([np.zeros((1, width, 3), np.uint8), pixels[:-1]])
    rows = np.full((height, 1 + 3 * width), 2, np.uint8)
    rows[:, 1:] = (pixels - above).reshape(height, 3 * width)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
