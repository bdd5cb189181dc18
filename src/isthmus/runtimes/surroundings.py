"""What surrounds the programs of a runtime: its interpreter, and the environment built for them.

From the outside in: the caller's environment is cleaned; the interpreter is found; what its own
launcher (`python.sh`) would set is added; our package, the guard and the runtime's programs are put
in front; what the settings set comes last.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.cleaning import Cleaned, Dropped, ForeignRoot, clean, ros_pythonpath
from isthmus.runtimes.locate import Located, locate
from isthmus.runtimes.programs import package_folder, place_package, write_programs
from isthmus.runtimes.roots import find_foreign_libraries, find_roots
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder

__all__ = ["Surroundings", "surround"]

_SYSTEM_PROGRAMS = ("/usr/bin", "/bin", "/usr/local/bin")
# Tools of an environment (uv, conda) go by the variable that its activation would set.
_ACTIVE = {
    "venv": "VIRTUAL_ENV",
    "made": "VIRTUAL_ENV",
    "project": "VIRTUAL_ENV",
    "conda": "CONDA_PREFIX",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A runtime on this machine.

    Attributes:
        located: its interpreter.
        environ: the whole environment of its programs.
        dropped: what the caller's environment had and this one has not.
        programs: the folder with `python` and `isthmus` of this runtime, first on PATH.
    """

    located: Located
    environ: dict[str, str]
    dropped: tuple[Dropped, ...]
    programs: Path


def surround(
    runtime: RuntimeSettings,
    state: StateFolder,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    *,
    build: bool = True,
) -> Surroundings:
    """Find a runtime's interpreter and put together the environment of its programs.

    Args:
        runtime: its settings.
        state: of its project.
        environ: the caller's.
        say: told, in one line, what takes long.
        build: False makes no environment on demand.

    Raises:
        EnvironmentSetupError: the interpreter is missing, broken, or not made yet.
    """
    roots = find_roots(environ)
    cleaned = _clean(runtime, environ, roots)
    located = locate(runtime, state, cleaned.environ, say, build=build)
    # Only now is it known whose libpython is another's.
    libraries = find_foreign_libraries(environ, located.python)
    if libraries:
        cleaned = _clean(runtime, environ, (*roots, *libraries))
    programs = write_programs(state, runtime.name, located.python)
    child = {**cleaned.environ, **located.environ}
    child["PATH"] = _path(child.get("PATH", os.defpath), programs, located)
    asked_for = child.get("PYTHONPATH", "")
    child["PYTHONPATH"] = _pythonpath(runtime, state, asked_for, _ros(runtime, located, environ))
    child.update(_ours(runtime, located))
    child.update(runtime.env.set)
    return Surroundings(located, child, cleaned.dropped, programs)


def _clean(
    runtime: RuntimeSettings, environ: Mapping[str, str], roots: Iterable[ForeignRoot]
) -> Cleaned:
    return clean(environ, keep=runtime.env.keep, ros=runtime.env.ros, foreign_roots=roots)


def _ours(runtime: RuntimeSettings, located: Located) -> dict[str, str]:
    """List the variables that say which runtime this is."""
    variables = {"PYTHONNOUSERSITE": "1", "ISTHMUS_RUNTIME": runtime.name}
    if runtime.forbid_import:
        variables["ISTHMUS_FORBID_IMPORT"] = ",".join(runtime.forbid_import)
    if located.kind in _ACTIVE:
        variables[_ACTIVE[located.kind]] = os.fspath(located.prefix_bin.parent)
    return variables


def _path(others: str, programs: Path, located: Located) -> str:
    """Put a runtime's programs before all others, where that moves none of the system's."""
    own, elements = os.fspath(located.prefix_bin), _elements(others)
    if own in _SYSTEM_PROGRAMS and own in elements:
        return _joined([programs, *elements])
    return _joined([programs, own, *(element for element in elements if element != own)])


def _pythonpath(
    runtime: RuntimeSettings, state: StateFolder, asked_for: str, ros: Iterable[str]
) -> str:
    """Put our package first, then the guard, the project's folders, and what else was asked for."""
    package = package_folder()
    placed = place_package(state, package)
    # Its `sitecustomize` keeps forbidden modules out, in every Python that is started from there.
    # By the link: the folder itself may be in the site-packages of a Python of another version.
    startup = placed / package.name / "guard" / "startup"
    guard = [startup] if runtime.forbid_import else []
    others = dict.fromkeys([*_elements(asked_for), *ros])
    return _joined([placed, *guard, *runtime.pythonpath, *others])


def _ros(runtime: RuntimeSettings, located: Located, environ: Mapping[str, str]) -> tuple[str, ...]:
    """List the folders of a sourced ROS workspace that this interpreter can use."""
    if not runtime.env.ros:
        return ()
    # Read off the file's name: it has not been run yet.
    name = os.path.basename(os.path.realpath(located.python))
    minor = re.match(r"python(3\.\d+)", name)
    return ros_pythonpath(environ, minor.group(1) if minor else "")


def _elements(value: str) -> list[str]:
    """Split a list variable; an empty element, which means the current folder, is left out."""
    return [element for element in value.split(os.pathsep) if element]


def _joined(folders: Iterable[str | Path]) -> str:
    elements = [os.fspath(folder) for folder in folders]
    for element in elements:
        if os.pathsep in element:
            name = next(part for part in element.split(os.sep) if os.pathsep in part)
            raise EnvironmentSetupError(
                f"{element} cannot be on PATH or PYTHONPATH: it has a {os.pathsep!r}, which "
                f"separates their elements. Rename the folder {name!r}"
            )
    return os.pathsep.join(elements)
