r"""An event as one line of ASCII, whatever is in it.

Nothing that a client sent can end a line, begin another, or become a key of ours: text is escaped
(`ensure_ascii`, so U+2028 too), and a client's message stays a value, under `raw` or `resp`. Those
two hold an object if the bytes are a JSON object without ambiguity, and else their text as a JSON
string; a client's own string can so not be mistaken for an object.

Whatever has no place in JSON is said in words rather than lost: NaN and infinity as strings, bytes
as text with `\xNN`, large arrays as base64, an object of a foreign kind as its `repr`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from .. import strictjson
from .mailbox import Entry

__all__ = ["MAX_DEPTH", "MAX_LINE", "MAX_PARSED", "MAX_TEXT", "encode"]

MAX_PARSED = 1 << 16
"""Bytes of a payload that is written as an object; a larger one is written as text, which costs the
interpreter a hundredth of the time."""
MAX_TEXT = 1 << 20
"""Bytes of a payload's text; of a larger one this much is written, and its size."""
MAX_DEPTH = 64
"""Objects and lists within each other, of a payload that is written as an object."""
MAX_LINE = 4 << 20
"""Bytes of a line; what would be longer is written without its payloads."""

_AS_NUMBERS = 1024  # elements of an array that is written as numbers
_AS_REPR = 200  # characters of what is no JSON
_HEAD = frozenset(("seq", "boot", "ts_wall", "mono_ns"))
_PAYLOADS = ("raw", "resp", "arrays")
_BYTES = (bytes, bytearray, memoryview)


def encode(seq: int, boot: str, entry: Entry) -> bytes:
    """Make the line of an event, its end included.

    Args:
        seq: its number.
        boot: token of the writer's life, letters and digits.
        entry: the event and when it came; `ts_wall` and `mono_ns` of its own are kept.
    """
    event = entry.event
    try:
        line = _line(seq, boot, entry, _body(event))
        if len(line) > MAX_LINE:
            line = _line(seq, boot, entry, _without_payloads(event, "longer than a line may be"))
        if len(line) <= MAX_LINE:
            return line
        reason = "longer than a line may be"
    except Exception as error:  # noqa: BLE001 - it is data: whatever it does, the log goes on
        reason = f"{type(error).__name__}: {error}"[:_AS_REPR]
    return _line(seq, boot, entry, _remains(event, reason))


def _line(seq: int, boot: str, entry: Entry, body: str) -> bytes:
    wall = _number(entry.event, "ts_wall", entry.wall)
    mono_ns = int(_number(entry.event, "mono_ns", entry.mono_ns))
    head = f'{{"seq":{seq},"boot":"{boot}","ts_wall":{wall:.6f},"mono_ns":{mono_ns}'
    return f"{head}{body}}}\n".encode("ascii")


def _number(event: Mapping[str, Any], key: str, otherwise: float) -> float:
    value = event.get(key)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    return otherwise


def _body(event: Mapping[str, Any]) -> str:
    """Make the members of an event's object, each with a comma in front."""
    body = {key: value for key, value in event.items() if key not in _HEAD}
    messages = ""
    for key in ("raw", "resp"):
        if isinstance(body.get(key), _BYTES):
            messages += _message(key, bytes(body.pop(key)))
    return (_members(body) if body else "") + messages


def _members(body: Mapping[str, Any]) -> str:
    try:
        text = _ENCODER.encode(body)
    except (ValueError, TypeError):  # NaN, or a key that is no text
        text = _ENCODER.encode(_plain(body))
    return f",{text[1:-1]}"


def _message(key: str, data: bytes) -> str:
    """Make the member of a message: an object as it came, or its text."""
    if len(data) <= MAX_PARSED:
        value = _as_object(data)
        if value:
            return f',"{key}":{value}'
    text = data[:MAX_TEXT].decode("utf-8", "backslashreplace").rstrip("\r\n")
    more = {f"{key}_bytes": len(data)} if len(data) > MAX_TEXT else {}
    return _members({key: text, **more})


def _as_object(data: bytes) -> str:
    """Check that a message is one strict JSON object; its text, "" if it is not.

    What is strict, printable and ASCII is taken as it came, which keeps a client's own writing of
    its numbers, and is cheap.
    """
    try:
        text = data.decode("utf-8").strip(" \t\r\n")
        value = strictjson.loads(text)
        if not isinstance(value, dict) or not _is_shallow(text, value):
            return ""
        return text if text.isascii() and text.isprintable() else _ENCODER.encode(value)
    except (ValueError, RecursionError):
        return ""


def _is_shallow(text: str, value: Any) -> bool:
    """Tell whether any reader can parse this: a parser's depth depends on who calls it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return True
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for some in inner for each in some if isinstance(each, (dict, list))]
        if not level:
            return True
    return False


def _without_payloads(event: Mapping[str, Any], reason: str) -> str:
    left = {key: value for key, value in event.items() if key not in _PAYLOADS}
    return _body({**left, "left_out": reason})


def _remains(event: Mapping[str, Any], reason: str) -> str:
    """Keep what finds an event again, where the whole of it cannot be written."""
    kept: dict[str, Any] = {}
    for key in ("phase", "type", "severity", "corr_id", "session"):
        value = event.get(key)
        if isinstance(value, str):
            kept[key] = value[:_AS_REPR]
        elif isinstance(value, int):
            kept[key] = int(value)
    return _members({**kept, "left_out": reason})


def _foreign(value: Any) -> Any:
    """Turn what JSON does not know into what it knows."""
    if isinstance(value, _BYTES):
        return bytes(value).decode("utf-8", "backslashreplace")
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _array(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    return repr(value)[:_AS_REPR]


def _array(value: Any) -> Any:
    """Write an array or scalar of numpy, which need not be installed for a log to be read."""
    if value.size <= _AS_NUMBERS or value.dtype.hasobject:
        return value.tolist()
    return {
        "dtype": value.dtype.str,
        "shape": list(value.shape),
        "base64": base64.b64encode(value.tobytes()).decode("ascii"),
    }


def _plain(value: Any) -> Any:
    """Copy a value as JSON has it: keys are text, numbers finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return _plain(_foreign(value))


_default: Callable[[Any], Any] = _foreign
_ENCODER = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_default
)
