"""A Python by its version: the newest that fits among those of this machine, or one from uv."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from isthmus.runtimes.cleaning import clean
from isthmus.runtimes.interpreters import OLDEST, Interpreter, find_interpreters
from isthmus.runtimes.making.installers import Say, run_tool
from isthmus.runtimes.probes import ProbeCache
from isthmus.runtimes.versions import Specifier

__all__ = ["best", "download_python", "find_python", "lowest_minor", "nothing_fits"]

_MINORS = range(OLDEST[1], 100)
_MICROS = range(60)


def find_python(
    wanted: Sequence[Specifier], environ: Mapping[str, str], probes: ProbeCache
) -> tuple[Interpreter | None, list[Interpreter]]:
    """Find the newest interpreter that all specifiers allow.

    Args:
        wanted: the range asked for, and what else it must fulfil.
        environ: as of `find_interpreters`.
        probes: runs an interpreter that it does not know yet.

    Returns:
        The interpreter, or None; and all that were looked at, oldest first.
    """
    found = find_interpreters(environ, probe=probes)
    chosen = best(found, wanted)
    # One that failed may have been mended since.
    if chosen is None and probes.forget_failures():
        found = find_interpreters(environ, probe=probes)
        chosen = best(found, wanted)
    return chosen, found


def best(found: Iterable[Interpreter], wanted: Sequence[Specifier]) -> Interpreter | None:
    """Choose the newest that fits; a free-threaded build only where there is no other."""
    fitting = [each for each in found if all(one.allows(each.version) for one in wanted)]
    return max(
        fitting,
        key=lambda each: (not each.free_threaded, each.version, each.has_venv),
        default=None,
    )


def download_python(
    wanted: Sequence[Specifier], uv: Path, environ: Mapping[str, str], say: Say
) -> None:
    """Let uv install a Python among its own; nothing is put on PATH.

    Raises:
        EnvironmentSetupError: it could not; with uv's words.
    """
    request = ",".join(one.text for one in wanted if one.text)
    say(f"no Python {request} on this machine: asking uv for one")
    settings = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "UV_PYTHON_INSTALL_BIN": "0"}
    command = [os.fspath(uv), "python", "install", request]
    run_tool(command, {**clean(environ).environ, **settings})


def lowest_minor(wanted: Sequence[Specifier]) -> str | None:
    """Name the oldest feature version that all specifiers allow; None if there is none."""
    return _allowed_minor(wanted, _MINORS)


def nothing_fits(wanted: Sequence[Specifier], found: Sequence[Interpreter]) -> str:
    """Say what was found instead, and how to get what was asked for."""
    # The versions that packages are made for today, the most usual first.
    minor = _allowed_minor(wanted, (12, 11, 13, 10, *_MINORS))
    if minor is None:
        oldest = ".".join(map(str, OLDEST))
        return f"no Python that isthmus runs on ({oldest} or newer) is in that range"
    there = ", ".join(f"{'.'.join(map(str, each.version))} ({each.found})" for each in found)
    return (
        f"no such Python among those on PATH, of pyenv and of uv: {there or 'none at all'}; "
        f"get one by `uv python install {minor}` or `pyenv install {minor}`, "
        "or name its path instead"
    )


def _allowed_minor(wanted: Sequence[Specifier], minors: Iterable[int]) -> str | None:
    for minor in minors:
        if any(all(one.allows((3, minor, micro)) for one in wanted) for micro in _MICROS):
            return f"3.{minor}"
    return None
