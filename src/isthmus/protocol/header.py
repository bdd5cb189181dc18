"""The header of a binary frame: 128 little-endian bytes.

::

    0   magic        4s   b"ISTM"
    4   wire         B    bounds.WIRE_VERSION
    5   kind         B    messages.Kind
    6   flags        H    Flag
    8   body_len     I    bytes of arrays that follow the header
    12  tail_len     I    bytes of JSON that follow the arrays
    16  seq          Q    the question's number; an answer repeats it
    24  epoch        I    how often this session has reconnected
    28  outcome      I    messages.Outcome (answers)
    32  interface    Q    first 8 bytes of the interface hash
    40  send_ns      Q    the sender's monotonic clock
    48  wall_ns      Q    the sender's wall clock
    56  sim_time     d    seconds; NaN where there is none
    64  a b c d      4Q   question: budget_ns, 0, 0, 0; action: decode, queue, infer, server ns
    96  body_crc     I    CRC-32 of the body, where Flag.BODY_CRC is set
    100 -            20x  zero
    120 -            4x   zero
    124 crc          I    CRC-32 of the 124 bytes before it and of the tail

The CRC over header and tail is always there. A CRC over the arrays costs more than a whole round
trip through shared memory, so only transports that leave the host ask for it.
"""

from __future__ import annotations

import struct
from typing import Final

from ..errors import RemoteProtocolError
from .bounds import MAX_BODY, MAX_TAIL, WIRE_VERSION

__all__ = ["CRC", "CRC_AT", "HEADER", "HEADER_SIZE", "MAGIC", "WHOLE", "Flag", "frame_lengths"]

MAGIC = b"ISTM"
HEADER = struct.Struct("<4sBBHIIQIIQQQdQQQQI24x")
CRC = struct.Struct("<I")
HEADER_SIZE = 128
CRC_AT = HEADER_SIZE - CRC.size
WHOLE = struct.Struct(HEADER.format + "I")
"""The header with its checksum, for reading."""
assert WHOLE.size == HEADER_SIZE  # noqa: S101  (the table above is the truth)

_LENGTHS = struct.Struct("<4sBBHII")


class Flag:
    """Bits of `flags`. Plain integers: an IntFlag costs a microsecond where it is tested."""

    BODY_CRC: Final = 1
    TRAINING: Final = 2
    FINAL: Final = 4


def frame_lengths(header: memoryview) -> tuple[int, int, int]:
    """Kind, body length and tail length of a header, checked against the bounds.

    Raises:
        RemoteProtocolError: not our magic, another wire version, or lengths over the bounds.
    """
    magic, wire, kind, _, body_len, tail_len = _LENGTHS.unpack_from(header)
    if magic != MAGIC:
        raise RemoteProtocolError(
            f"expected a frame that starts with {MAGIC!r}, got {bytes(magic)!r}", code="bad_json"
        )
    if wire != WIRE_VERSION:
        raise RemoteProtocolError(
            f"wire version {wire} meets version {WIRE_VERSION}; "
            "install the same isthmus on both sides",
            code="wire_version",
        )
    if body_len > MAX_BODY or tail_len > MAX_TAIL:
        raise RemoteProtocolError(
            f"a frame of {body_len} + {tail_len} bytes is over the bound of "
            f"{MAX_BODY} + {MAX_TAIL}",
            code="too_large",
        )
    return kind, body_len, tail_len
