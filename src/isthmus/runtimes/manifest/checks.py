"""Checks of values as TOML has them: text, numbers, lists; whatever they are for.

A check takes what the parser made and gives what the settings hold. What does not fit is a
`Misfit`, which says what was expected, what came, and where in the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = [
    "Check",
    "Misfit",
    "Written",
    "argument",
    "brief",
    "either",
    "flag",
    "listed",
    "number",
    "text",
    "word",
]

Check = Callable[[Any], Any]


class Misfit(ValueError):
    """A value is not what its key takes.

    Args:
        message: what was expected, and what came.
        at: where inside the value: keys and positions.
    """

    def __init__(self, message: str, *at: str | int) -> None:
        super().__init__(message)
        self.at = at


class Written(float):
    """A number that is shown as it was written: a version such as 3.10 is no 3.1.

    Args:
        text: as in the file.
    """

    def __new__(cls, text: str) -> Written:
        """Read it."""
        made = super().__new__(cls, text)
        made._text = text
        return made

    def __repr__(self) -> str:
        return self._text

    __str__ = __repr__

    _text: str


def brief(value: object) -> str:
    """Name a value for a message, in TOML's words."""
    if isinstance(value, dict):
        return "a table"
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def listed(check: Check, what: str) -> Check:
    """Make the check of a list from that of its elements."""

    def checked(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Misfit(f"expected a list of {what}, got {brief(value)}")
        found = []
        for index, each in enumerate(value):
            try:
                found.append(check(each))
            except Misfit as misfit:
                raise Misfit(str(misfit), index, *misfit.at) from misfit
        return tuple(found)

    return checked


def either(check: Check, what: str) -> Check:
    """Make the check of one element, or a list of at least one, from that of an element."""
    several = listed(check, what)

    def checked(value: object) -> tuple[Any, ...]:
        if value == []:
            raise Misfit(f"expected at least one of {what}, got an empty list")
        found: tuple[Any, ...] = several(value) if isinstance(value, list) else (check(value),)
        return found

    return checked


def word(*words: str) -> Check:
    """Make the check of a word from a closed set."""

    def checked(value: object) -> object:
        if value not in words:
            raise Misfit(f"expected one of {', '.join(words)}, got {brief(value)}")
        return value

    return checked


def number(low: float, high: float, *, whole: bool = False, above: bool = False) -> Check:
    """Make the check of a number.

    Args:
        low: the smallest.
        high: the largest.
        whole: no fractions.
        above: `low` itself is too small.
    """
    wanted = f"a {'whole ' if whole else ''}number {'above' if above else 'from'} {low:g}"
    wanted += f"{', at most' if above else ' to'} {high:g}"

    def checked(value: object) -> int | float:
        fits = not isinstance(value, bool) and isinstance(value, int if whole else (int, float))
        if not (fits and isinstance(value, (int, float)) and low <= value <= high):
            raise Misfit(f"expected {wanted}, got {brief(value)}")
        if math.isnan(value) or (above and value == low):
            raise Misfit(f"expected {wanted}, got {brief(value)}")
        return value if whole else float(value)

    return checked


def flag(value: object) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise Misfit(f"expected true or false, got {brief(value)}")
    return value


def text(value: object) -> str:
    """Text that is not empty."""
    found = argument(value)
    if not found.strip():
        raise Misfit(f"expected text, got {brief(found)}")
    return found


def argument(value: object) -> str:
    """Text that can be passed to a program; it may be empty."""
    if not isinstance(value, str):
        example = str(value) if isinstance(value, (int, float)) else "text"
        raise Misfit(f'expected text in quotes, such as "{example.lower()}", got {brief(value)}')
    if "\0" in value:
        raise Misfit(f"{brief(value)}: a NUL character cannot be passed to a program")
    return value
