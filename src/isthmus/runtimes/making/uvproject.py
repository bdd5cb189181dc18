"""The environment of a uv project: made, and locked, when something about the project changed.

The environment is `.venv` in the project's folder, wherever else the user's shell may point uv, so
that two projects of one workspace do not take turns in one environment.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from isthmus.errors import EnvironmentSetupError, NotBuiltError
from isthmus.runtimes.cleaning import clean
from isthmus.runtimes.located import PROJECT
from isthmus.runtimes.making.folders import held
from isthmus.runtimes.making.installers import Say, python_of, run_tool
from isthmus.runtimes.probes import read_facts, write_facts

__all__ = ["ensure_project"]

_WATCHED = (PROJECT, "uv.lock", "uv.toml", ".python-version")


def ensure_project(
    folder: Path,
    kept: Path,
    find_uv: Callable[[], Path | None],
    environ: Mapping[str, str],
    say: Say,
    *,
    build: bool = True,
) -> Path:
    """Bring a project's environment up to date, if anything changed since the last time.

    Args:
        folder: the project.
        kept: where to remember what the environment was made from.
        find_uv: says where uv is; called only when it is needed.
        environ: what uv is set up with.
        say: told, in one line, what is done or cannot be.
        build: False takes the environment as it is.

    Returns:
        The environment's interpreter.

    Raises:
        EnvironmentSetupError: there is none and it could not be made; with uv's words.
    """
    python = python_of(folder / ".venv")
    stamp = kept / f"project-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.json"
    if not build:
        return _as_it_is(folder, python, stamp, say)
    with held(stamp.with_suffix("")):
        if python.exists() and read_facts(stamp) == _facts(folder):
            return python
        uv = find_uv()
        if uv is None:
            return _without_uv(folder, python, say)
        say(f"bringing the environment of {folder} up to date, by uv")
        _sync(uv, folder, environ)
        if not python.exists():
            raise EnvironmentSetupError(f"uv sync made no {python}")
        # Read again: the lock may have been written just now.
        write_facts(stamp, _facts(folder))
    return python


def _sync(uv: Path, folder: Path, environ: Mapping[str, str]) -> None:
    settings = {
        "UV_SYSTEM_CERTS": "1",
        "UV_NATIVE_TLS": "1",
        "UV_PROJECT_ENVIRONMENT": os.fspath(folder / ".venv"),
    }
    command = [os.fspath(uv), "sync", "--quiet", "--project", os.fspath(folder)]
    run_tool(command, {**clean(environ).environ, **settings}, folder=folder)


def _as_it_is(folder: Path, python: Path, stamp: Path, say: Say) -> Path:
    if not python.exists():
        raise NotBuiltError(
            f"the environment of the project {folder} is not built yet: `isthmus run NAME -- ...` "
            "or `uv sync` builds it"
        )
    if read_facts(stamp) not in ({}, _facts(folder)):
        say(f"the environment of {folder} may be out of date; the next start brings it up to date")
    return python


def _without_uv(folder: Path, python: Path, say: Say) -> Path:
    if not python.exists():
        raise EnvironmentSetupError(
            f"{folder} is a uv project without an environment, and uv is not on PATH: install uv, "
            f"or make {folder / '.venv'} yourself"
        )
    say(f"uv is not on PATH: using {folder / '.venv'} as it is")
    return python


def _facts(folder: Path) -> dict[str, str]:
    """Say what the environment depends on; the lock of a workspace lies further up."""
    files = [folder / name for name in _WATCHED]
    files += [above / "uv.lock" for above in folder.parents if os.path.isfile(above / PROJECT)]
    return {
        os.fspath(file): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if os.path.isfile(file)
    }
