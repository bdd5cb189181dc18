"""Which environments start anew, as JSON: a list of booleans, or for many of them a bitmap.

A list takes six bytes per environment, and 200 000 of them would not fit beside a frame's arrays.
Written is the list for a few and `{"rows": N, "bits": BASE64}` for more; read are both. A bitmap
has one bit per environment, the first one in the highest bit of the first byte.
"""

from __future__ import annotations

import binascii
from typing import Any

import numpy as np

from ..errors import RemoteProtocolError
from .bounds import MAX_NUM_ENVS

__all__ = ["mask_from_content", "mask_to_content", "reset_from_content", "reset_to_content"]

_MOST_LISTED = 1024


def mask_to_content(mask: Any) -> Any:
    """A mask (list of bool, or None for all) as it crosses."""
    if not isinstance(mask, list) or len(mask) <= _MOST_LISTED:
        return mask
    bits = np.packbits(np.array(mask, bool)).tobytes()
    return {"rows": len(mask), "bits": binascii.b2a_base64(bits, newline=False).decode("ascii")}


def mask_from_content(value: Any) -> Any:
    """A mask as a list of bool; whatever is no bitmap is returned as it came.

    Raises:
        RemoteProtocolError: a bitmap that is damaged, or larger than any session.
    """
    if not isinstance(value, dict):
        return value
    rows, text = value.get("rows"), value.get("bits")
    if set(value) != {"rows", "bits"} or type(rows) is not int or not isinstance(text, str):
        raise RemoteProtocolError("mask: expected a list, or {rows: a number, bits: base64 text}")
    if not 0 < rows <= MAX_NUM_ENVS:
        raise RemoteProtocolError(f"mask: expected 1 to {MAX_NUM_ENVS} rows")
    try:
        bits = binascii.a2b_base64(text.encode("ascii"))
    except ValueError as exc:  # also what is not ASCII
        raise RemoteProtocolError(f"mask: 'bits' is no base64 text: {exc}") from exc
    if len(bits) != (rows + 7) // 8:
        raise RemoteProtocolError(f"mask: {len(bits)} bytes of bits came for {rows} rows")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=rows).astype(bool).tolist()


def reset_to_content(reset: dict[str, Any]) -> dict[str, Any]:
    """What an observation says of a reset, as it crosses."""
    return {**reset, "mask": mask_to_content(reset["mask"])} if "mask" in reset else reset


def reset_from_content(reset: dict[str, Any]) -> dict[str, Any]:
    """The reverse; see `mask_from_content`."""
    return {**reset, "mask": mask_from_content(reset["mask"])} if "mask" in reset else reset
