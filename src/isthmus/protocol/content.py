"""The content of messages that carry no arrays, as plain JSON objects, checked both ways.

A message's annotations are its schema: every one that occurs is a row of `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import RemoteProtocolError
from .bounds import MAX_NUM_ENVS, MAX_TEXT
from .masks import mask_from_content, mask_to_content
from .messages import KINDS, Action, Kind, Message, Observation

__all__ = ["CONTROL", "check_value", "from_content", "to_content"]

CONTROL: dict[Kind, type[Any]] = {
    kind: cls for cls, kind in KINDS.items() if cls not in (Observation, Action)
}
"""Kind -> class of every message without arrays."""

_IN_HEADER = ("seq", "epoch")
_ARRAYS = ("arrays", "training", "final")
_LONG_TEXT = {"message", "reason", "error", "path"}
_MAX_LONG_TEXT = 65536
_U64 = 1 << 64


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _U64


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        return (
            isinstance(value, (list, tuple))
            and len(value) <= MAX_NUM_ENVS
            and all(check(item) for item in value)
        )

    return holds


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_whole, "a whole number of at least 0"),
    "float": (_number, "a number"),
    "str": (_is(str), "text"),
    "bool": (_is(bool), "true or false"),
    "Any": (lambda value: True, "anything"),
    "dict[str, Any]": (_is(dict), "an object"),
    "dict[str, Any] | None": (_or_none(_is(dict)), "an object or null"),
    "list[Any]": (_is(list), "a list"),
    "list[bool] | None": (_or_none(_list_of(_is(bool))), "a list of booleans or null"),
    "list[int] | None": (_or_none(_list_of(_whole)), "a list of whole numbers or null"),
    "list[int | None] | None": (
        _or_none(_list_of(_or_none(_whole))),
        "a list of whole numbers and nulls, or null",
    ),
    "tuple[int, ...]": (_list_of(_whole), "a list of whole numbers"),
}
"""Annotation -> (test, words for people)."""

_SCHEMAS: dict[type[Any], dict[str, tuple[Callable[[Any], bool], str]]] = {
    cls: {
        name: CHECKS[str(getattr(annotation, "__forward_arg__", annotation))]
        for name, annotation in cls.__annotations__.items()
        if name not in _ARRAYS
    }
    for cls in KINDS
}


def check_value(cls: type[Any], name: str, value: Any) -> None:
    """Hold one value against its annotation.

    Raises:
        RemoteProtocolError: wrong type, or text over the bound.
    """
    test, words = _SCHEMAS[cls][name]
    if not test(value):
        raise RemoteProtocolError(
            f"{cls.__name__}: {name!r} must be {words}, got {type(value).__name__}"
        )
    if isinstance(value, str):
        limit = _MAX_LONG_TEXT if name in _LONG_TEXT else MAX_TEXT
        if len(value) > limit:
            raise RemoteProtocolError(
                f"{cls.__name__}: {name!r} has {len(value)} characters; at most {limit}",
                code="too_large",
            )


def to_content(message: Message) -> dict[str, Any]:
    """A message's content, without what the frame's header holds and without defaults."""
    defaults = message._field_defaults
    content = {
        name: value
        for name, value in message._asdict().items()
        if name not in _IN_HEADER and not (name in defaults and _same(value, defaults[name]))
    }
    if "mask" in content:
        content["mask"] = mask_to_content(content["mask"])
    return content


def _same(value: Any, default: Any) -> bool:
    """True if a value can be left out. The type first: an array's comparison is no truth value."""
    return type(value) is type(default) and bool(value == default)


def from_content(kind: Kind, content: dict[str, Any], seq: int, epoch: int) -> Message:
    """Build the message, checked.

    Raises:
        RemoteProtocolError: a key is missing, unknown or of the wrong type.
    """
    cls = CONTROL[kind]
    if kind == Kind.RESET and "mask" in content:
        content = {**content, "mask": mask_from_content(content["mask"])}
    for name, value in content.items():
        if name not in _SCHEMAS[cls] or name in _IN_HEADER:
            raise RemoteProtocolError(f"{cls.__name__}: unknown key {name[:64]!r}")
        check_value(cls, name, value)
    missing = [
        name
        for name in cls._fields
        if name not in content and name not in cls._field_defaults and name not in _IN_HEADER
    ]
    if missing:
        raise RemoteProtocolError(f"{cls.__name__}: keys missing: {', '.join(missing)}")
    message: Message = cls(**content, seq=seq, epoch=epoch)
    return message
