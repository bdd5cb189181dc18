"""The conversation between the two sides. Pure: bytes in, messages out, and back.

Read `messages` for what is said, `states` for when, `header` and `layout` for how it looks as
bytes, `bounds` for how large anything may be.
"""

from __future__ import annotations

from .binary import BinaryCodec
from .client import ClientProtocol, Codec
from .jsonlines import JsonCodec
from .server import Memory, ServerProtocol
from .states import Machine, Role, State

__all__ = [
    "BinaryCodec",
    "ClientProtocol",
    "Codec",
    "JsonCodec",
    "Machine",
    "Memory",
    "Role",
    "ServerProtocol",
    "State",
]
