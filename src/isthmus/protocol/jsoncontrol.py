"""Messages without arrays as json lines: the first gateway's words for them, and our own.

That gateway's clients put what they ask into several places (`path`, `policy` or `data.path` of a
load_policy) and more beside it than anybody reads; of their own requests, unknown keys are passed
over. Messages that they do not know are read strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import LocalProtocolError, RemoteProtocolError
from .bounds import MAX_TEXT
from .content import CONTROL, from_content, to_content
from .jsonwords import object_, u64, wall_ns
from .messages import KINDS, Kind, Message

__all__ = ["TYPES", "from_line", "kind_of", "to_line", "word_of"]

TYPES: dict[Kind, str] = {
    Kind.HELLO: "hello",
    Kind.READY: "ready",
    Kind.OBSERVATION: "obs",
    Kind.RESULT: "result",
    Kind.PING: "ping",
    Kind.ADMIN: "admin",
    Kind.LOAD_POLICY: "load_policy",
    Kind.WELCOME: "welcome",
    Kind.ACTION: "action",
    Kind.RESET: "reset",
    Kind.CALL: "call",
    Kind.PONG: "ack",
    Kind.ERROR: "error",
    Kind.ADMIN_ACK: "admin_ack",
    Kind.LOAD_POLICY_ACK: "load_policy_ack",
    Kind.TELEMETRY: "telemetry",
    Kind.BYE: "bye",
}
"""Kind -> the word of its lines."""

_COUNTERS = "counters"
"""The first gateway's word for the answer to `get_counters`; other operations get `admin_ack`."""
_KINDS = {word: kind for kind, word in TYPES.items()} | {_COUNTERS: Kind.ADMIN_ACK}

_RENAMED: dict[Kind, dict[str, str]] = {
    Kind.PONG: {"wall_ns": "ts"},
    Kind.ADMIN_ACK: {"wall_ns": "updated_ts"},
    Kind.ERROR: {"code": "error", "message": "detail"},
}
"""Where the first gateway's word for a key is not ours."""

_TYPED_BY_HAND = frozenset((Kind.PING, Kind.ADMIN, Kind.LOAD_POLICY))
"""Requests of the first gateway's clients, which may say more than we know."""


def said_as(message: Message) -> str:
    """The type that a message's line has; its kind, in small letters, where it has no line."""
    kind = KINDS[type(message)]
    if kind is Kind.ADMIN_ACK and getattr(message, "op", "") == "get_counters":
        return _COUNTERS
    return TYPES.get(kind, kind.name.lower())


def word_of(value: Mapping[str, Any]) -> str:
    """The type that a line names, known or not; "" if it names none."""
    word = value.get("type")
    return word[:MAX_TEXT] if isinstance(word, str) else ""


def kind_of(value: Mapping[str, Any]) -> Kind:
    """What kind of message a line is.

    Raises:
        RemoteProtocolError: it has no type, or one that is not known.
    """
    word = value.get("type")
    if not isinstance(word, str):
        raise RemoteProtocolError(
            f"a message needs 'type', a word such as 'obs'; got keys {_keys(value)}"
        )
    kind = _KINDS.get(word)
    if kind is None:
        raise RemoteProtocolError(
            f"unknown type {word[:64]!r}; known: {', '.join(_KINDS)}", code="unknown_type"
        )
    return kind


def to_line(message: Message) -> dict[str, Any]:
    """A message as the object of its line.

    Raises:
        LocalProtocolError: the json codec has no such message.
    """
    kind = KINDS[type(message)]
    if kind not in TYPES:
        raise LocalProtocolError(f"{kind.name} does not exist in the json codec")
    content = to_content(message)
    for ours, theirs in _RENAMED.get(kind, {}).items():
        if ours in content:
            value = content.pop(ours)
            content[theirs] = value / 1e9 if ours == "wall_ns" else value
    return {"type": said_as(message), "seq": message.seq, "epoch": message.epoch, **content}


def from_line(kind: Kind, value: dict[str, Any], corr_id: str) -> Message:
    """The message of a line.

    Args:
        kind: what it is.
        value: the line's object.
        corr_id: the line's own, or the one that was made for it; for requests that have one.

    Raises:
        RemoteProtocolError: a key is missing, unknown or of the wrong type.
    """
    content = {name: item for name, item in value.items() if name not in ("type", "seq", "epoch")}
    for ours, theirs in _RENAMED.get(kind, {}).items():
        if theirs in content:
            item = content.pop(theirs)
            content[ours] = wall_ns(item) if ours == "wall_ns" else item
    if kind in _TYPED_BY_HAND:
        if kind is Kind.LOAD_POLICY:
            content["path"] = _path(value)
        known = CONTROL[kind]._fields
        content = {name: item for name, item in content.items() if name in known}
        content["corr_id"] = corr_id
    return from_content(kind, content, u64(value, "seq"), u64(value, "epoch"))


def _path(value: Mapping[str, Any]) -> Any:
    """Where the first gateway's clients name the model: the first place that has one."""
    data = object_(value.get("data", {}), "data")
    for place in (value, data):
        for name in ("path", "policy"):
            if name in place:
                return place[name]
    raise RemoteProtocolError(
        f"load_policy needs 'path', the model's file on the gateway's machine; got keys "
        f"{_keys(value)}"
    )


def _keys(value: Mapping[str, Any]) -> str:
    return ", ".join(repr(key[:32]) for key in list(value)[:8]) or "none"
