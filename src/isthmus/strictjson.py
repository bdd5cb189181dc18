"""JSON that two readers cannot understand in two ways.

Nothing that crosses or is configured may hold a key twice, a number that is not finite, a number
of thousands of digits, or half of a surrogate pair. Whoever reads bounds the text first, and turns
the ValueError into an error of its own.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["MAX_DIGITS", "loads"]

MAX_DIGITS = 40
"""Longest whole number that is read; 64 bits need 20."""


def loads(text: str) -> Any:
    """Parse one JSON value.

    Raises:
        ValueError: malformed, ambiguous, not finite, or nested deeper than the parser can go.
    """
    try:
        value = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            _check_pairs(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key {key[:64]!r}")
            seen.add(key)
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"numbers must be finite, got {word}")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0.0:  # only inf and nan
        raise ValueError(f"numbers must be finite, got {text[:32]}")
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"number too long: {len(text)} digits")
    return int(text)


def _check_pairs(value: Any) -> None:
    """Refuse text that no UTF-8 can hold: a log or a report would fail on it later.

    A surrogate can only come as an escape, and most such escapes are halves of good pairs.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair in text") from None


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_integer,
)
