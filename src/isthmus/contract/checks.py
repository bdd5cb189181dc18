"""Checks that fields, limits and contracts share.

What is checked may come from a hostile peer: a check raises `ContractError` and nothing else, and
its message stays short whatever came.
"""

from __future__ import annotations

import math
import numbers
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ContractError

__all__ = [
    "brief",
    "check_choice",
    "check_keys",
    "check_name",
    "check_text",
    "check_whole",
    "finite",
    "listing",
    "nanoseconds",
]

MAX_NAME_LENGTH = 128

# Controls, line separators, lone surrogates. Not `isprintable`: what it knows differs by Python.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class _Brief(reprlib.Repr):
    """A `repr` bounded in length and depth, which no value can make fail."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = 8
        self.maxstring = 80
        self.maxother = 120

    def repr_int(self, x: int, level: int) -> str:
        # Past 4300 digits Python refuses to write an integer at all.
        return int.__repr__(x) if x.bit_length() <= 128 else f"<integer of {x.bit_length()} bits>"

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            text = repr(x)
        except Exception:  # any class may raise anything here, and a message must still be made
            return f"<{type(x).__name__}>"
        return text if len(text) <= self.maxother else text[: self.maxother - 3] + "..."


_BRIEF = _Brief()


def brief(value: object) -> str:
    """`repr(value)`, cut short, for a message."""
    return _BRIEF.repr(value)


def listing(values: Iterable[object], most: int = 16) -> str:
    """Values for a message: `'a', 'b' and 3 more`."""
    found = list(values)
    rest = len(found) - most
    return ", ".join(map(brief, found[:most])) + (f" and {rest} more" if rest > 0 else "")


def check_text(what: str, value: object) -> str:
    """Text without control characters or lone surrogates, at most a name's length."""
    if not isinstance(value, str):
        raise ContractError(f"{what} must be text, got {brief(value)}")
    if len(value) > MAX_NAME_LENGTH or _UNPRINTABLE.search(value):
        raise ContractError(
            f"{what} {brief(value)}: expected at most {MAX_NAME_LENGTH} printable characters"
        )
    return value


def check_name(what: str, value: object) -> str:
    """Text that is not empty."""
    if value == "" and isinstance(value, str):
        raise ContractError(f"{what}: expected 1 to {MAX_NAME_LENGTH} characters, got ''")
    return check_text(what, value)


def check_choice(what: str, value: object, allowed: Iterable[str], why: str = "") -> str:
    """One of the words in `allowed`; the empty word is shown as ''."""
    known = tuple(allowed)
    # The type first: a numpy dtype equals its name, and an array's comparison is no truth value.
    if not isinstance(value, str) or value not in known:
        words = ", ".join(word or "''" for word in known)
        raise ContractError(f"{what} {brief(value)}{why}: use one of {words}")
    return value


def check_whole(what: str, value: object, low: int, high: int) -> int:
    """A whole number in `low..high`; True and 1.0 are none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ContractError(
            f"{what} must be a whole number from {low} to {high}, got {brief(value)}"
        )
    return value


def finite(what: str, value: object) -> tuple[float, ...]:
    """A list of finite numbers, as floats. -0.0 becomes 0.0, so that equal numbers hash alike."""
    if not isinstance(value, (tuple, list)):
        raise ContractError(f"{what} must be a list of numbers, got {brief(value)}")
    found = []
    for number in value:
        if isinstance(number, bool) or not isinstance(number, numbers.Real):
            raise ContractError(f"{what} must hold numbers, got {brief(number)}")
        try:
            as_float = float(number)
        except (OverflowError, ValueError):
            as_float = math.inf
        if not math.isfinite(as_float):
            raise ContractError(
                f"{what} must be finite, got {brief(number)}; leave it out if unbounded"
            )
        found.append(as_float + 0.0)
    return tuple(found)


def check_keys(
    what: str, data: object, known: Iterable[str], required: Iterable[str] = ()
) -> Mapping[str, Any]:
    """An object with every required key and none that is unknown."""
    if not isinstance(data, Mapping):
        raise ContractError(f"{what}: expected an object, got {type(data).__name__}")
    allowed = tuple(known)
    unknown = [key for key in data if key not in allowed]
    if unknown:
        raise ContractError(
            f"{what}: unknown keys {listing(unknown)}; known keys: {', '.join(allowed)}"
        )
    missing = [key for key in required if key not in data]
    if missing:
        raise ContractError(f"{what}: keys missing: {', '.join(missing)}")
    return data


def nanoseconds(what: str, seconds: object) -> int:
    """Seconds as whole nanoseconds, at least 1."""
    (found,) = finite(what, [seconds])
    if round(found * 1e9) < 1:
        raise ContractError(f"{what} must be a time in seconds greater than 0, got {found}")
    return round(found * 1e9)
