"""Where uv is: on PATH, or in an environment of its own among those made on demand."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from isthmus.runtimes.interpreters import Interpreter
from isthmus.runtimes.making.installers import (
    PipInstaller,
    Say,
    UvInstaller,
    choose_installer,
    uv_in,
)
from isthmus.runtimes.state import StateFolder, write_whole

__all__ = ["find_uv", "get_installer"]

# No runtime can have this name.
_FOLDER = ".uv"


def find_uv(state: StateFolder, environ: Mapping[str, str]) -> Path | None:
    """Say where uv is; None if it is nowhere. Nothing is run or installed."""
    on_path = shutil.which("uv", path=environ.get("PATH", ""))
    if on_path is not None:
        return Path(on_path)
    return uv_in(state.environments / _FOLDER)


def get_installer(
    state: StateFolder, interpreter: Interpreter, environ: Mapping[str, str], say: Say
) -> UvInstaller | PipInstaller:
    """Get uv, from the package index if it is not there; pip where that is not possible.

    Args:
        state: where uv is installed.
        interpreter: makes uv's environment; pip, if it comes to that, is this one's.
        environ: PATH, and what uv and pip are set up with.
        say: told, in one line, what is installed and why not.
    """
    uv = find_uv(state, environ)
    if uv is not None:
        return UvInstaller(uv, environ)
    wanted = state.environments / f"{_FOLDER}.txt"
    write_whole(wanted, "uv\n")
    say("uv is not on PATH: installing it for this project")
    return choose_installer(state.environments / _FOLDER, wanted, interpreter, environ, say)
