"""Checks of what the values of `isthmus.toml` are for: paths, versions, commands, patterns."""

from __future__ import annotations

import re
import shlex
import warnings
from typing import Any

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.expand import malformed
from isthmus.runtimes.manifest.checks import Check, Misfit, argument, brief, either, listed, text
from isthmus.runtimes.placeholders import PID
from isthmus.runtimes.versions import Specifier, is_version_range

__all__ = [
    "NAME",
    "RESERVED",
    "address",
    "command",
    "filled",
    "import_folder",
    "module",
    "named",
    "path",
    "patterns",
    "python",
    "requirements",
    "specifier",
    "url",
    "variable",
    "variables",
]

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
# A name, and no file's: without a folder or a suffix, or with a version behind it.
_REQUIREMENT = re.compile(r"[\w-]+|[\w.-]+\s*(?:\[[^/]*|[<>=!~;@].*)")
_ADDRESS = re.compile(r"(?:(?:[^:/\s]+|\[[^\]\s]+\]):)?(?P<port>\d{1,5})")


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
        if _REQUIREMENT.fullmatch(value.strip()):
            raise Misfit(
                f"{brief(value)} is read as the name of a file, and looks like a requirement: "
                f'write a list, ["{value.strip()}"], or "./{value.strip()}" for the file'
            )
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
        with warnings.catch_warnings():
            # What a later Python will read differently is refused by every one.
            warnings.simplefilter("error")
            groups = re.compile(found).groupindex
    except (re.error, Warning, OverflowError, RecursionError) as error:
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
