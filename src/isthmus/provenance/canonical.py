r"""The canonical form: one sequence of bytes for one set of values.

It is independent of key order, of Python and numpy, of the machine, and of whether numbers stand
in a list, a tuple or an array. What counts is the **value**: 1 and 1.0 are one number, 0.0 and
-0.0 too, and a float32 is the float64 of the same value. True is no number. A sample that was
written as JSON and read again has the same form.

Version 1, byte by byte; COUNT and LENGTH are unsigned 32-bit numbers, most significant byte first::

    form      = "isthmus randomization 1\n" value
    value     = "N"                          None
              | "T" | "F"                    True, False
              | "D" binary64                 a number that is a float64: IEEE 754, 8 bytes, most
                                             significant first; zero never negative
              | "I" LENGTH digits            a whole number that no float64 is: shortest decimal,
                                             ASCII, "-" before a negative one
              | "S" LENGTH utf8              text, its code points as they are
              | "L" COUNT value...           list, tuple, or one axis of an array
              | "M" COUNT (text value)...    mapping, keys in the order of their UTF-8 bytes

Each value says its own kind and length, so no two values have one form. Text is not normalised:
Unicode's tables grow with each version of Python, and a form must not. An array is the nested list
of its values, so an array of no axes is a number.

Source: IEEE 754-2019 (binary64); RFC 3629 (UTF-8).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ContractError
from .arrays import encode_array
from .plain import (
    Scalar,
    check_array,
    check_depth,
    child,
    is_sequence,
    item,
    scalar,
    sorted_items,
    text_bytes,
)

__all__ = ["FORM_VERSION", "MAX_BYTES", "PREFIX", "canonical", "encode"]

FORM_VERSION = 1
PREFIX = b"isthmus randomization 1\n"

MAX_BYTES = 64 << 20
"""Bytes of one form; 4096 environments of 1500 numbers each fit."""


def canonical(values: Mapping[str, Any]) -> bytes:
    """The canonical form of named values.

    Raises:
        ContractError: not a mapping, something that has no form (its path is in the message), or
            more than `MAX_BYTES`.
    """
    if not isinstance(values, Mapping):
        raise ContractError(
            f"randomization: expected a mapping of names to values, got {type(values).__name__}"
        )
    return PREFIX + encode(values)


def encode(value: Any, path: str = "", depth: int = 1) -> bytes:
    """One value, without the prefix; for the arguments see `canonical`."""
    encoder = _Encoder()
    encoder.value(value, path, depth)
    return b"".join(encoder.parts)


class _Encoder:
    """Collects the parts of one form, and stops where it would be too large."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def value(self, value: Any, path: str, depth: int) -> None:
        if isinstance(value, np.ndarray):
            self._room(value.size, path)  # before anything is made of it
            check_array(value, path, depth)
            encoded = encode_array(value)
            if encoded is not None:
                self._add(encoded, path)
                return
            value = value.tolist()
        if isinstance(value, Mapping):
            self._mapping(value, path, depth)
        elif is_sequence(value):
            check_depth(path, depth)
            self._add(b"L" + _length(len(value)), path)
            for index, sub in enumerate(value):
                self.value(sub, item(path, index), depth + 1)
        else:
            self._add(_scalar(scalar(value, path), path), path)

    def _mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> None:
        check_depth(path, depth)
        self._add(b"M" + _length(len(value)), path)
        for key, sub in sorted_items(value, path):
            self._add(_text(key, path), path)
            self.value(sub, child(path, key), depth + 1)

    def _add(self, part: bytes, path: str) -> None:
        self._room(len(part), path)
        self._size += len(part)
        self.parts.append(part)

    def _room(self, size: int, path: str) -> None:
        if self._size + size > MAX_BYTES:
            raise ContractError(
                f"randomization: more than {MAX_BYTES >> 20} MiB, reached at {path or 'the top'}"
            )


def _scalar(value: Scalar, path: str) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"T" if value else b"F"
    if isinstance(value, str):
        return _text(value, path)
    number = float(value)
    if number != value:
        digits = str(value).encode("ascii")
        return b"I" + _length(len(digits)) + digits
    return b"D" + struct.pack(">d", number + 0.0)  # -0.0 + 0.0 is 0.0


def _text(text: str, path: str) -> bytes:
    raw = text_bytes(text, path)
    return b"S" + _length(len(raw)) + raw


def _length(count: int) -> bytes:
    return struct.pack(">I", count)
