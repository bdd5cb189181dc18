"""JSON as it may cross: one object, finite numbers, no duplicate keys, bounded."""

from __future__ import annotations

import json
from typing import Any, NoReturn

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
        string = str(text, "utf-8")
        value = _DECODER.decode(string)
        if "\\ud" in string or "\\uD" in string:
            _check_pairs(value)
    except RemoteProtocolError:
        raise
    except RecursionError:
        raise RemoteProtocolError("JSON is nested too deeply", code="bad_json") from None
    except UnicodeDecodeError as exc:
        raise RemoteProtocolError(f"expected UTF-8 text: {exc.reason}", code="bad_json") from exc
    except ValueError as exc:
        detail = str(exc)[:200]
        raise RemoteProtocolError(f"not valid JSON: {detail}", code="bad_json") from exc
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


def _refuse_constant(word: str) -> NoReturn:
    raise RemoteProtocolError(f"numbers must be finite, got {word}", code="bad_json")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0.0:  # only inf and nan
        raise RemoteProtocolError(f"numbers must be finite, got {text[:32]}", code="bad_json")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RemoteProtocolError(f"duplicate key {key[:64]!r}", code="bad_json")
            seen.add(key)
    return found


def _check_pairs(value: Any) -> None:
    """Refuse text that no UTF-8 can hold: a log or a report would fail on it later.

    A surrogate can only come as an escape, and most such escapes are halves of good pairs.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise RemoteProtocolError("half of a surrogate pair in text", code="bad_json") from None


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique
)
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=True)
