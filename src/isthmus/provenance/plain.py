"""Values as plain Python: what may be hashed, and where in a nested mapping it stands.

Whatever is hashed, sent or compared goes through these checks, so all three refuse the same.
"""

from __future__ import annotations

import math
from collections import UserString
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ContractError

__all__ = [
    "MAX_DEPTH",
    "MAX_DIGITS",
    "Scalar",
    "check_array",
    "check_depth",
    "child",
    "is_sequence",
    "item",
    "plain",
    "scalar",
    "sorted_items",
    "text_bytes",
]

Scalar: TypeAlias = bool | int | float | str | None

MAX_DEPTH = 32
"""Mappings and sequences inside one another, an array's axes included."""

MAX_DIGITS = 40
"""Characters of a whole number, its sign included: what crosses as JSON has the same bound."""

_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/:")


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with nothing but dict, list, text, numbers, booleans and None, ready for JSON.

    It has the same hash, also after it was written as JSON and read again.

    Raises:
        ContractError: something cannot be hashed; the message has its path.
    """
    if not isinstance(values, Mapping):
        raise ContractError(
            f"randomization: expected a mapping of names to values, got {type(values).__name__}"
        )
    found: dict[str, Any] = _plain(values, "", 1)
    return found


def _plain(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, np.ndarray):
        check_array(value, path, depth)
        if value.dtype.kind in "biuf":
            return value.tolist()
        value = value.tolist()
    if isinstance(value, Mapping):
        check_depth(path, depth)
        return {key: _plain(sub, child(path, key), depth + 1) for key, sub in _checked(value, path)}
    if is_sequence(value):
        check_depth(path, depth)
        return [_plain(sub, item(path, at), depth + 1) for at, sub in enumerate(value)]
    return scalar(value, path)


def is_sequence(value: Any) -> bool:
    """True for lists, tuples and what else is a sequence; never for text and bytes."""
    return isinstance(value, Sequence) and not isinstance(
        value, (str, UserString, bytes, bytearray, memoryview)
    )


def scalar(value: Any, path: str) -> Scalar:
    """One value that holds no others, as Python has it.

    Raises:
        ContractError: not finite, too long, or of a type that has no canonical form.
    """
    if isinstance(value, np.generic):
        if value.dtype.kind == "f" and value.dtype.itemsize > 8:
            raise ContractError(_wide(path, value.dtype))
        if value.dtype.kind in "mM":  # as Python has it, its unit would be gone
            raise ContractError(
                f"randomization: {_named(path)} is {value.dtype}; expected a number: a time in "
                "seconds, say"
            )
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole(int.__int__(value), path)  # the number that it is, not what it says it is
    if isinstance(value, float):
        number = float.__float__(value)
        if not math.isfinite(number):
            raise ContractError(_not_finite(path, number))
        return number
    if isinstance(value, str):
        text_bytes(value, path)
        return str.__str__(value)  # of an enumeration its value, as JSON has it
    raise ContractError(
        f"randomization: {_named(path)} is {type(value).__name__}; expected a number, text, true, "
        "false, None, a mapping, a sequence or a numpy array of these"
    )


def check_array(array: NDArray[Any], path: str, depth: int) -> None:
    """Hold a numpy array against what can be hashed.

    Raises:
        ContractError: masked, of a dtype without a canonical form, not finite, or of too many axes.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise ContractError(
            f"randomization: {_named(path)} is a masked array, which hides values; hand over "
            "`.filled(...)` or `.data`"
        )
    kind = array.dtype.kind
    if kind not in "biufUO":
        raise ContractError(
            f"randomization: {_named(path)} is an array of {array.dtype}; expected booleans, "
            "whole numbers, floats or text"
        )
    if kind == "f" and array.dtype.itemsize > 8:
        raise ContractError(_wide(path, array.dtype))
    check_depth(path, depth + array.ndim - 1)
    if kind == "f" and not np.isfinite(array).all():
        at = np.argwhere(~np.isfinite(array))[0].tolist()
        where = "".join(f"[{index}]" for index in at)
        raise ContractError(_not_finite(path + where, float(array[tuple(at)])))


def check_depth(path: str, depth: int) -> None:
    """Refuse what is nested deeper than the bound, and with it what contains itself.

    Raises:
        ContractError: deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise ContractError(
            f"randomization: {_named(path)[:200]} is nested deeper than {MAX_DEPTH} levels"
        )


def sorted_items(value: Mapping[Any, Any], path: str) -> list[tuple[str, Any]]:
    """Keys with their values, in the order of the keys' UTF-8 bytes.

    Raises:
        ContractError: a key is no text, or no UTF-8 can hold it.
    """
    return sorted(_checked(value, path), key=lambda pair: pair[0].encode("utf-8"))


def _checked(value: Mapping[Any, Any], path: str) -> list[tuple[str, Any]]:
    pairs = []
    for key, sub in value.items():
        if not isinstance(key, str):
            raise ContractError(
                f"randomization: {_named(path)} has the key {key!r} of {type(key).__name__}; "
                "names must be text, as JSON knows no others"
            )
        text_bytes(key, path)
        pairs.append((str.__str__(key), sub))
    return pairs


def text_bytes(text: str, path: str) -> bytes:
    """A text's UTF-8, of its code points as they are: nothing is normalised.

    Raises:
        ContractError: half of a surrogate pair in it.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise ContractError(
            f"randomization: {_named(path)} has text with half of a surrogate pair, {text!r}"
        ) from None


def child(path: str, key: str) -> str:
    """The path of a mapping's value, such as `drive.stiffness` or `drive["a.b"]`."""
    if not key or not _WORD.issuperset(key):
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key


def item(path: str, index: int) -> str:
    """The path of a sequence's value, such as `stiffness[3]`."""
    return f"{path}[{index}]"


def _whole(value: int, path: str) -> int:
    # The size first: to write a number of a million digits takes Python seconds.
    if value.bit_length() > 4 * MAX_DIGITS or len(str(value)) > MAX_DIGITS:
        raise ContractError(
            f"randomization: {_named(path)} is a whole number of more than {MAX_DIGITS} characters"
        )
    return value


def _not_finite(path: str, value: float) -> str:
    return f"randomization: {_named(path)} is {value}; only finite numbers can be in force"


def _wide(path: str, dtype: Any) -> str:
    return (
        f"randomization: {_named(path)} is {dtype}, wider than 64 bits, which is another number on "
        "another machine; convert it to float64"
    )


def _named(path: str) -> str:
    return path or "the sample"
