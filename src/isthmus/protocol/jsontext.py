"""JSON as it may cross: one object, finite numbers, no duplicate keys, bounded."""

from __future__ import annotations

import json
from typing import Any

from .. import strictjson
from ..errors import LocalProtocolError, RemoteProtocolError

__all__ = ["dumps", "loads"]


def loads(text: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Parse one JSON object from bytes whose size has been bounded already.

    Raises:
        RemoteProtocolError: not UTF-8, not JSON, not an object, a duplicate key, half a
            surrogate pair, a number that is not finite or absurdly long, or nesting too deep. Its
            code is `bad_json`.
    """
    try:
        value = strictjson.loads(str(text, "utf-8"))
    except UnicodeDecodeError as exc:
        raise RemoteProtocolError(f"expected UTF-8 text: {exc.reason}", code="bad_json") from exc
    except ValueError as exc:
        raise RemoteProtocolError(f"not valid JSON: {str(exc)[:200]}", code="bad_json") from exc
    if not isinstance(value, dict):
        raise RemoteProtocolError(
            f"expected a JSON object, got {type(value).__name__}", code="bad_json"
        )
    return value


def dumps(value: dict[str, Any]) -> bytes:
    """One JSON object as compact ASCII bytes, without a newline.

    Raises:
        LocalProtocolError: something in it is not JSON: a number that is not finite, an object
            of another kind, nesting too deep.
    """
    try:
        return _ENCODER.encode(value).encode("ascii")
    except (TypeError, ValueError, RecursionError) as exc:
        raise LocalProtocolError(
            f"this cannot be written as JSON: {str(exc)[:200]}", code="bad_json"
        ) from exc


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=True)
