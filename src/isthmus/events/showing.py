"""An event as a line for people. Pure.

Whatever a client put into it, the line is one line and does nothing to a terminal: each character
that is not printable (control characters, line ends of every kind, marks that turn the direction of
writing) is shown by its code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .kinds import SEVERITIES
from .selecting import severity_of, wall_of

__all__ = ["described", "harmless", "when"]

_WORDS = {number: word for word, number in SEVERITIES.items()}
_HEAD = ("seq", "boot", "ts_wall", "ts", "mono_ns", "phase", "type", "severity")
_LONG = 160  # characters of a value that are shown


def described(event: Mapping[str, Any]) -> str:
    """Describe an event in one line: when, how grave, what, and its fields."""
    word = _WORDS.get(severity_of(event), "?")
    kind = event.get("type") or event.get("phase") or "event"
    fields = [f"{key}={_value(value)}" for key, value in event.items() if key not in _HEAD]
    return harmless(" ".join([f"{when(wall_of(event))}  {word:8}  {kind!s:20}", *fields]).rstrip())


def harmless(text: str) -> str:
    """Show what is not printable by its code."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _code(each) for each in text)


def when(wall: float | None) -> str:
    """Show a time, in UTC."""
    try:
        found = datetime.fromtimestamp(wall or 0.0, tz=timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{wall!r} s"
    if wall is None:
        return "-"
    return found.strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.microsecond // 1000:03}Z"


def _value(value: Any) -> str:
    plain = isinstance(value, str) and value and not set(value) & set(' "=\\')
    text = value if plain else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _LONG else f"{text[:_LONG]}... ({len(text)} characters)"


def _code(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
