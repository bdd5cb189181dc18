"""What of two sides is on this machine already: a simulator, an environment, some Pythons.

Nothing is run here but what the caller's `pair` runs, and that only where nothing else was found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import EnvironmentSetupError, ManifestError
from isthmus.runtimes.expand import expand
from isthmus.runtimes.interpreters import Interpreter, InterpreterPair
from isthmus.runtimes.isaac import find_python_sh
from isthmus.runtimes.versions import Specifier, is_version_range

__all__ = ["Finding", "Pair", "find_policy", "find_sim", "given"]

Pair = Callable[[], "InterpreterPair | None"]

_ROOT_VARIABLE = "ISAAC_SIM_ROOT"
# An Isaac Lab checkout's link, two folders in the home, and a container's.
_SIM_PLACES = ("_isaac_sim", "~/isaacsim", "~/isaac-sim", "/isaac-sim")
_ENVIRONMENTS = (".venv", "venv", "env")
_VERSION = re.compile(r"^version(?:_info)?\s*=\s*(\d+\.\d+(?:\.\d+)?)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """A Python for one side.

    Attributes:
        python: as it stands in a manifest: a path or a version range.
        said: what that is, for whoever reads the manifest, in one line.
        here: what it is on this machine, which is nobody else's matter.
        bare: True of a Python as it was installed, which has no packages to speak of.
    """

    python: str
    said: str
    here: str = ""
    bare: bool = False


def find_sim(folder: Path, environ: Mapping[str, str], pair: Pair) -> Finding:
    """Find the simulator's Python: an Isaac Sim, its own environment, else a plain Python.

    Args:
        folder: the project's.
        environ: as `os.environ`.
        pair: finds the interpreters of this machine; called when there is no Isaac Sim.
    """
    root = environ.get(_ROOT_VARIABLE)
    if root:
        there = find_python_sh(Path(root)) is not None
        here = root if there else f"{root}, where no python.sh is: set it to Isaac Sim's folder"
        return Finding(f"${{{_ROOT_VARIABLE}}}", f"Isaac Sim, by {_ROOT_VARIABLE}", here)
    for place in _SIM_PLACES:
        path = expand(place, folder, environ)
        if find_python_sh(path) is not None:
            return Finding(place, f"Isaac Sim in {place}", str(path))
    own = _environment(folder, _of_side("sim"))
    if own is not None:
        return own
    found = pair()
    why = f"; no Isaac Sim was found, and {_ROOT_VARIABLE} was not set"
    return _plain(found.sim if found else None, why)


def find_policy(folder: Path, environ: Mapping[str, str], pair: Pair) -> Finding:
    """Find the policy's Python: its own environment or the project's, else a plain Python.

    Args:
        folder: the project's.
        environ: as `os.environ`.
        pair: finds the interpreters of this machine; called when there is no environment.
    """
    own = _environment(folder, (*_of_side("policy"), *_ENVIRONMENTS))
    if own is not None:
        return own
    if (folder / "uv.lock").is_file() and (folder / "pyproject.toml").is_file():
        return Finding(".", "this folder's uv project")
    active, conda = environ.get("CONDA_DEFAULT_ENV"), environ.get("CONDA_PREFIX")
    if active and conda and active != "base" and _environment_kind(Path(conda)) == "conda":
        return Finding(_below_home(conda, environ), f"the conda environment {active}", conda)
    found = pair()
    return _plain(found.policy if found else None, "; no environment was found in this folder")


def given(option: str, python: str, folder: Path, environ: Mapping[str, str]) -> Finding:
    """Take a Python that the user named, after a look whether it can be one.

    Raises:
        ManifestError: nothing is there, or it is no version range though it begins as one.
    """
    try:
        if is_version_range(python) and not os.path.lexists(folder / python):
            said = f"Python {Specifier.parse(python)}"
            return Finding(python, said, f"as said by {option}", bare=True)
        python = f"./{python}" if is_version_range(python) else python
        path = expand(python, folder, environ)
    except EnvironmentSetupError as error:
        raise ManifestError(f"{option}: {error}") from error
    if not path.exists():
        raise ManifestError(
            f"{option}: there is no {path}; name an interpreter, an environment, Isaac Sim's "
            "folder, or a version range such as 3.11"
        )
    return Finding(python, python, f"as said by {option}")


def _plain(interpreter: Interpreter | None, why: str) -> Finding:
    if interpreter is None:
        return Finding(">=3.10", f"any Python{why}", "none of at least 3.10 was found", bare=True)
    return Finding(interpreter.minor, f"a plain Python{why}", str(interpreter), bare=True)


def _of_side(side: str) -> tuple[str, ...]:
    """Name the places of an environment in the folder of one side's programs."""
    return tuple(f"{side}/{name}" for name in _ENVIRONMENTS)


def _environment(folder: Path, names: tuple[str, ...]) -> Finding | None:
    for name in names:
        kind = _environment_kind(folder / name)
        if kind:
            return Finding(name, f"the {kind} environment {name}", _version(folder / name))
    return None


def _environment_kind(folder: Path) -> str:
    """Say what kind of environment with a Python a folder is; "" for none."""
    if not (folder / "bin" / "python").exists():
        return ""
    marks = {"virtual": "pyvenv.cfg", "conda": "conda-meta"}
    return next((kind for kind, mark in marks.items() if (folder / mark).exists()), "")


def _version(environment: Path) -> str:
    try:
        text = (environment / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    found = _VERSION.search(text)
    return f"Python {found[1]}" if found else ""


def _below_home(path: str, environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    below = bool(home) and Path(path).is_relative_to(home)
    return f"~/{Path(path).relative_to(home)}" if below else path
