"""Values of a json line, read with an error that names the key, what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import RemoteProtocolError
from . import jsontext
from .bounds import MAX_TEXT

__all__ = ["number", "object_", "text", "u64", "wall_ns", "word"]


def object_(value: Any, name: str) -> dict[str, Any]:
    """An object.

    Raises:
        RemoteProtocolError: it is something else.
    """
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"{name!r} must be an object, got {type(value).__name__}")
    return value


def u64(value: Mapping[str, Any], name: str) -> int:
    """A whole number of 64 bits; 0 if there is none.

    Raises:
        RemoteProtocolError: it is something else.
    """
    found = value.get(name, 0)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 1 << 64:
        raise RemoteProtocolError(f"{name!r} must be a whole number of at least 0")
    return found


def number(value: Mapping[str, Any], name: str) -> float:
    """A number; NaN if there is none.

    Raises:
        RemoteProtocolError: it is something else, or absurdly large.
    """
    found = value.get(name)
    if found is None:
        return math.nan
    if isinstance(found, bool) or not isinstance(found, (int, float)) or abs(found) > 1e15:
        raise RemoteProtocolError(f"{name!r} must be a number, got {str(found)[:40]!r}")
    return float(found)


def word(value: Mapping[str, Any], name: str) -> str:
    """A short text; "" if there is none.

    Raises:
        RemoteProtocolError: it is something else, or too long.
    """
    found = value.get(name, "")
    if not isinstance(found, str) or len(found) > MAX_TEXT:
        raise RemoteProtocolError(f"{name!r} must be text of at most {MAX_TEXT} characters")
    return found


def wall_ns(value: Any) -> int:
    """Seconds since 1970, as nanoseconds.

    Raises:
        RemoteProtocolError: they are none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
        raise RemoteProtocolError("a wall-clock time must be seconds since 1970")
    return int(value * 1e9)


def text(name: str, value: str) -> str:
    """`"name":"value"`, escaped."""
    return jsontext.dumps({name: value}).decode("ascii")[1:-1]
