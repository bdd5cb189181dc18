"""Checks of single values of `isthmus.toml`: what the TOML parser made -> what the settings hold.

What does not fit is a `Misfit`, which says what was expected, what came, and where in the value.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from typing import Any

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.expand import malformed
from isthmus.runtimes.placeholders import PID
from isthmus.runtimes.versions import Specifier, is_version_range

__all__ = [
    "Check",
    "Misfit",
    "address",
    "brief",
    "command",
    "either",
    "flag",
    "import_folder",
    "listed",
    "module",
    "named",
    "number",
    "path",
    "patterns",
    "python",
    "requirements",
    "specifier",
    "text",
    "url",
    "variable",
    "variables",
    "word",
]

Check = Callable[[Any], Any]

NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,31}"
"""Names of runtimes, processes and runs: they become names of folders and files."""

# Variables that are not for a manifest to set, and how to have what one wants of them.
RESERVED = {
    "PYTHONHOME": "it keeps every other Python from starting; name the interpreter in `python`",
    "PYTHONPATH": "use the runtime's `pythonpath`",
    "ISTHMUS_FORBID_IMPORT": "use the runtime's `forbid_import`",
    "ISTHMUS_RUNTIME": "isthmus sets it",
    "ISTHMUS_RUN_ID": "isthmus sets it",
    "ISTHMUS_RUN_DIR": "isthmus sets it",
    "ISTHMUS_PROCESS": "isthmus sets it",
}

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_ADDRESS = re.compile(r"(?:(?:[^:/\s]+|\[[^\]\s]+\]):)?(?P<port>\d{1,5})")


class Misfit(ValueError):
    """A value is not what its key takes.

    Args:
        message: what was expected, and what came.
        at: where inside the value: keys and positions.
    """

    def __init__(self, message: str, *at: str | int) -> None:
        super().__init__(message)
        self.at = at


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


def filled(value: object) -> str:
    """Text that may hold `${NAME}`; it may be empty."""
    found = argument(value)
    if malformed(found):
        raise Misfit(
            f"{brief(found)}: after `${{` expected the name of a variable and `}}`; "
            "`${{TEXT}}` stands for the plain text `${TEXT}`"
        )
    return found


def path(value: object) -> str:
    """A path, as it stands."""
    return filled(text(value))


def named(value: object) -> str:
    """The name of a runtime, process or run."""
    found = text(value)
    if not re.fullmatch(NAME, found):
        raise Misfit(f"{brief(found)}: expected a name of at most 32 letters, digits, '_' and '-'")
    return found


def python(value: object) -> str:
    """One place of an interpreter: a path, or a range of versions."""
    found = path(value)
    if is_version_range(found):
        try:
            specifier(found)
        except Misfit as misfit:
            raise Misfit(f'{misfit}; a path that begins so is written "./{found}"') from misfit
    return found


def specifier(value: object) -> str:
    """A range of versions."""
    found = text(value)
    try:
        Specifier.parse(found)
    except EnvironmentSetupError as error:
        raise Misfit(str(error)) from error
    return found


def import_folder(value: object) -> str:
    """A folder that fits into PYTHONPATH."""
    found = path(value)
    if ":" in found:
        raise Misfit(f"{brief(found)}: ':' separates the elements of PYTHONPATH; write a list")
    return found


def requirements(value: object) -> str | tuple[str, ...]:
    """A file, or a list of requirement lines."""
    if isinstance(value, str):
        return path(value)
    found: tuple[str, ...] = either(text, "requirements, or a file of them")(value)
    return found


def module(value: object) -> str:
    """The name of a module or package, with dots."""
    found = text(value)
    if not _MODULE.fullmatch(found):
        raise Misfit(f"expected the name of a module, such as 'numpy', got {brief(found)}")
    return found


def variable(value: object) -> str:
    """The name of an environment variable."""
    found = text(value)
    if not _VARIABLE.fullmatch(found):
        raise Misfit(f"expected the name of an environment variable, got {brief(found)}")
    return found


def variables(check: Check) -> Check:
    """Make the check of a table of environment variables from that of their values."""

    def checked(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit(f'expected a table, such as {{ NAME = "value" }}, got {brief(value)}')
        found = {}
        for name, each in value.items():
            try:
                found[variable(name)] = check(each)
            except Misfit as misfit:
                raise Misfit(f"{name}: {misfit}", name) from misfit
            if name in RESERVED:
                raise Misfit(f"{name} is not set here: {RESERVED[name]}", name)
        return found

    return checked


def command(value: object) -> tuple[str, ...]:
    """A program and its arguments: a list, or one text that is split as a shell does."""
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise Misfit(f"{brief(value)} cannot be split into words: {error}") from error
    if not value:
        raise Misfit("expected a program and its arguments, got none")
    words: tuple[str, ...] = listed(argument, "a program and its arguments")(value)
    if not words[0].strip():
        raise Misfit(f"expected a program, got {brief(words[0])}", 0)
    return words


def patterns(value: object) -> tuple[str, ...]:
    """Regular expressions; no two of them have a group of one name."""
    found: tuple[str, ...] = either(_pattern, "regular expressions")(value)
    seen: set[str] = set()
    for index, each in enumerate(found):
        groups = set(re.compile(each).groupindex)
        if groups & seen:
            raise Misfit(f"the group '{min(groups & seen)}' is in two of the patterns", index)
        seen |= groups
    return found


def _pattern(value: object) -> str:
    found = text(value)
    try:
        groups = re.compile(found).groupindex
    except re.error as error:
        raise Misfit(f"{brief(found)} is no regular expression: {error}") from error
    if PID in groups:
        raise Misfit(f"{brief(found)}: '{PID}' is the process's id already; rename the group")
    return found


def address(value: object) -> str:
    """A port, or HOST:PORT; placeholders are filled later."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    found = text(value)
    parts = _ADDRESS.fullmatch(found)
    if "{" not in found and not (parts and 0 < int(parts["port"]) <= 65535):
        raise Misfit(f"expected a port from 1 to 65535, or HOST:PORT, got {brief(found)}")
    return found


def url(value: object) -> str:
    """A URL of plain HTTP; placeholders are filled later."""
    found = text(value)
    if not found.startswith(("http://", "{", "$")):
        raise Misfit(f"expected a URL, such as http://127.0.0.1:8080/health, got {brief(found)}")
    return found
