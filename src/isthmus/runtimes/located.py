"""An interpreter of this machine, and where a path leads to one that is there already."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import EnvironmentSetupError

__all__ = [
    "KINDS",
    "PROJECT",
    "Located",
    "NotThereError",
    "at_path",
    "environment_kind",
    "missing",
]

KINDS = ("executable", "venv", "conda", "isaac", "project", "made", "found")
PROJECT = "pyproject.toml"

# What an environment of either kind has in its folder.
_MARKERS = {"venv": "pyvenv.cfg", "conda": "conda-meta"}
_NAMES = {"venv": "virtual environment", "conda": "conda environment"}


@dataclass(frozen=True, slots=True)
class Located:
    """An interpreter of this machine.

    Attributes:
        python: what is exec'd. A link of an environment stays one: it is how a Python knows where
            its packages are.
        kind: one of `KINDS`.
        origin: why it is this one, in one line for a person.
        environ: variables that Isaac's `python.sh` adds or changes; else empty.
        prefix_bin: its folder of programs.
    """

    python: Path
    kind: str
    origin: str
    environ: Mapping[str, str]
    prefix_bin: Path

    @classmethod
    def plain(cls, python: Path, kind: str, origin: str) -> Located:
        """Describe one that needs no variables and has its programs beside it."""
        return cls(python, kind, origin, {}, python.parent)


class NotThereError(Exception):
    """What `python` names is not on this machine, so the next alternative may be tried."""


def at_path(path: Path) -> Located:
    """Take the interpreter that is at a path, or in an environment's folder.

    Args:
        path: exists.

    Raises:
        NotThereError: it is something else.
        EnvironmentSetupError: it is an environment, and broken: no reason to try the next.
    """
    return _in_folder(path) if os.path.isdir(path) else _executable(path)


def environment_kind(folder: Path) -> str:
    """Say what kind of environment a folder is; "" for none."""
    found = (kind for kind, marker in _MARKERS.items() if os.path.exists(folder / marker))
    return next(found, "")


def missing(path: Path) -> str:
    """Say that something is not there, and where it leads if it is a link."""
    if path.is_symlink():
        return f"{path} leads to {os.readlink(path)}, which is not there"
    return f"there is no {path}"


def _in_folder(folder: Path) -> Located:
    kind = environment_kind(folder)
    if not kind:
        raise NotThereError(_no_python_in(folder))
    python = folder / "bin" / "python"
    if not os.path.exists(python):
        raise EnvironmentSetupError(
            f"the {_NAMES[kind]} {folder} is broken: {missing(python)}; make it again"
        )
    return Located.plain(python, kind, f"{_NAMES[kind]} {folder}")


def _executable(path: Path) -> Located:
    if not os.access(path, os.X_OK):
        raise NotThereError("it is no executable file")
    kind = environment_kind(path.parent.parent)
    origin = f"{_NAMES[kind]} {path.parent.parent}" if kind else "named by its path"
    return Located.plain(path, kind or "executable", origin)


def _no_python_in(folder: Path) -> str:
    inner = next((each for each in (".venv", "venv") if environment_kind(folder / each)), None)
    if inner:
        return f"it is a folder without an interpreter; its {inner} has one: name {folder / inner}"
    if os.path.isfile(folder / "build.sh") and os.path.isdir(folder / "source"):
        return "it looks like Isaac Sim's source, not built yet: run its build.sh"
    expected = ", ".join(["python.sh", *_MARKERS.values(), PROJECT])
    return f"it is a folder that holds none of {expected}"
