"""What this shell's variables do to programs that are started without isthmus.

Folders on PYTHONPATH are known by what lies in them; and each interpreter is started once with the
shell's variables as they are, because only that shows what really happens.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.examine import Examination, examine
from isthmus.runtimes.faults import Match, explain
from isthmus.runtimes.locate import Located

from .inspection import Subject
from .kinds import finding
from .origins import Origins
from .report import Finding

__all__ = ["shell_findings"]

_VERSION = re.compile(r"python(\d+\.\d+)t?(?=/|\Z)")
_PACKAGES = re.compile(r"/python(\d+\.\d+)t?/(?:site|dist)-packages(?:/|\Z)")
_STEERING = ("PYTHON", "LD_")
_FATAL = ("PYTHONHOME", "PYTHONPATH")
_BLAMED = {"pythonhome": "PYTHONHOME"}  # id of a fault -> the variable; else PYTHONPATH


@dataclass(frozen=True, slots=True)
class _Known:
    """A subject whose interpreter answered."""

    name: str
    located: Located
    examination: Examination


def shell_findings(
    environ: Mapping[str, str], subjects: Sequence[Subject], origins: Origins
) -> list[Finding]:
    """Name what is wrong with the variables of a shell.

    Args:
        environ: as `os.environ`.
        subjects: the runtimes.
        origins: of the same environment.
    """
    known = [
        _Known(each.settings.name, each.located, each.examination)
        for each in subjects
        if each.located is not None and each.examination is not None
    ]
    found = _Culprits(environ, origins)
    found.look_at_elements(known)
    found.start_each(known)
    wants_ros = any(each.settings.env.ros for each in subjects)
    return [
        *found.findings(ros_of=None if wants_ros else _ros_roots(environ)),
        *(_ros(environ, origins) if not wants_ros else ()),
        *_conda(environ, origins, known),
    ]


class _Culprits:
    """Collects, by kind of fault, what was seen."""

    def __init__(self, environ: Mapping[str, str], origins: Origins) -> None:
        self._environ = environ
        self._origins = origins
        self._elements: dict[str, dict[str, str]] = {}  # kind -> element -> what it is
        self._broken: dict[str, dict[str, str]] = {}  # kind -> runtime -> what it said

    def look_at_elements(self, subjects: Iterable[_Known]) -> None:
        """Find the folders on PYTHONPATH that are another Python's, for each interpreter."""
        path = [each for each in self._environ.get("PYTHONPATH", "").split(os.pathsep) if each]
        for subject in subjects:
            for element in path:
                for kind, what in _misplaced(element, subject.examination):
                    self._elements.setdefault(kind, {})[element] = what
                    self._broken.setdefault(kind, {}).setdefault(_named(subject), "")

    def start_each(self, subjects: Iterable[_Known]) -> None:
        """Start each interpreter with the shell's variables."""
        present = [name for name in _FATAL if self._environ.get(name)]
        if not any(name.startswith(_STEERING) for name in self._environ):
            return
        for subject in subjects:
            # One at a time: of two that are fatal only the first is heard of.
            for alone in present or [""]:
                others = set(present) - {alone}
                environ = {k: v for k, v in self._environ.items() if k not in others}
                kind, said = _start(subject.located, environ)
                if kind:
                    self._broken.setdefault(kind, {})[_named(subject)] = said

    def findings(self, ros_of: Sequence[str] | None) -> Iterator[Finding]:
        """Make the findings; those that a ROS workspace alone explains are left to it."""
        for kind, broken in self._broken.items():
            elements = self._elements.get(kind, {})
            if elements and ros_of and all(_is_below(each, ros_of) for each in elements):
                continue
            if kind == "foreign-extension" and self._is_within_library(elements):
                continue  # the same Python, seen from another side
            yield self._finding(kind, broken, elements)

    def _is_within_library(self, elements: Mapping[str, str]) -> bool:
        libraries = list(self._elements.get("foreign-stdlib", ()))
        return bool(libraries) and all(_is_below(each, libraries) for each in elements)

    def _finding(
        self, kind: str, broken: Mapping[str, str], elements: Mapping[str, str]
    ) -> Finding:
        name = _BLAMED.get(kind, "PYTHONPATH")
        value = os.pathsep.join(elements) or self._environ.get(name, "")
        evidence = [f"{name} has {element}: {what}" for element, what in elements.items()]
        if not evidence and name in self._environ:
            evidence = [f"{name}={value}"]
        fix = []
        if name in self._environ:
            origin = self._origins.of(name, value)
            evidence.append(origin.text)
            fix = [f"In this shell: `unset {name}`."]
            if origin.line is not None:
                fix.append(f"For good: take out {origin.line.file}:{origin.line.number}.")
        evidence += [f"breaks {who}{f': {said}' if said else ''}" for who, said in broken.items()]
        made = finding(kind, "shell", evidence, fix=fix)
        # The general advice says `unset` too, and less exactly.
        return replace(made, fix=tuple(_without_unset(made.fix, name))) if fix else made


def _without_unset(steps: Sequence[str], name: str) -> Iterator[str]:
    exact = f"In this shell: `unset {name}`."
    for step in steps:
        if step == exact or f"`unset {name}`" not in step:
            yield step


def _misplaced(element: str, examination: Examination) -> Iterator[tuple[str, str]]:
    """Say what a folder is that was made for another Python than this one."""
    own = [examination.base_prefix, examination.prefix]
    packages = _PACKAGES.search(element)
    if packages:
        if packages[1] != examination.minor:
            yield "foreign-extension", f"packages of Python {packages[1]}"
        return
    folder = Path(element)
    is_library = all((folder / name).exists() for name in ("os.py", "site.py", "encodings"))
    if not is_library and folder.name != "lib-dynload":
        return
    if any(_is_below(os.path.realpath(element), [os.path.realpath(each)]) for each in own):
        return
    version = _VERSION.search(element)
    whose = f"Python {version[1]}" if version else "another Python"
    same = version is not None and version[1] == examination.minor
    yield "same-minor-shadow" if same else "foreign-stdlib", f"the standard library of {whose}"


def _start(located: Located, environ: Mapping[str, str]) -> tuple[str, str]:
    """Start an interpreter with the shell's variables.

    Returns:
        The id of the fault it shows and what it said; two empty texts if it is well.
    """
    try:
        examine(located, environ)
    except EnvironmentSetupError as error:
        matches: list[Match] = explain(str(error))
        if matches:
            return matches[0].fault.id, matches[0].line
        return "python-dies", str(error).strip().splitlines()[-1].strip()
    return "", ""


def _named(subject: _Known) -> str:
    return f"{subject.name} (Python {subject.examination.version})"


def _is_below(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(f"{root.rstrip('/')}/") for root in roots)


def _ros_roots(environ: Mapping[str, str]) -> list[str]:
    named = [
        part
        for name in ("AMENT_PREFIX_PATH", "COLCON_PREFIX_PATH", "CMAKE_PREFIX_PATH")
        for part in environ.get(name, "").split(os.pathsep)
        if part
    ]
    return [*named, "/opt/ros"] if _ros_marks(environ) else []


def _ros_marks(environ: Mapping[str, str]) -> list[str]:
    return [name for name in ("ROS_DISTRO", "AMENT_PREFIX_PATH") if environ.get(name)]


def _ros(environ: Mapping[str, str], origins: Origins) -> Iterator[Finding]:
    marks = _ros_marks(environ)
    if not marks:
        return
    roots = _ros_roots(environ)
    path = [each for each in environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    on_path = [each for each in path if _is_below(each, roots)]
    origin = origins.of(marks[0])
    evidence = [f"{name}={environ[name]}" for name in marks]
    evidence += [f"PYTHONPATH has {each}" for each in on_path]
    fix = [f"Take out {origin.line.file}:{origin.line.number}."] if origin.line else []
    yield finding("ros-sourced", "shell", [*evidence, origin.text], fix=fix)


def _conda(
    environ: Mapping[str, str], origins: Origins, subjects: Iterable[_Known]
) -> Iterator[Finding]:
    prefix = environ.get("CONDA_PREFIX", "")
    if not prefix or environ.get("CONDA_SHLVL") == "0":
        return
    wanted = {os.path.realpath(each.examination.prefix) for each in subjects}
    if os.path.realpath(prefix) in wanted:
        return
    name = environ.get("CONDA_DEFAULT_ENV", "")
    evidence = [f"CONDA_PREFIX={prefix}{f' ({name})' if name else ''}"]
    evidence.append(origins.of("CONDA_PREFIX").text)
    yield finding("conda-active", "shell", evidence, value=prefix)
