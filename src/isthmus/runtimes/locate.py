"""From what a manifest says under `python` to one interpreter of this machine.

A path is known by what it holds; a version range is looked up among the interpreters of
this machine. Of several alternatives the first that is there is taken; one that is there and broken
is an error, not a reason to go on: what runs must not depend on what happens to fail.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.expand import expand
from isthmus.runtimes.found import download_python, find_python, lowest_minor, nothing_fits
from isthmus.runtimes.installers import Say
from isthmus.runtimes.interpreters import Interpreter, probe
from isthmus.runtimes.isaac import ask_isaac, find_python_sh
from isthmus.runtimes.made import ensure_made, lock_of, made_environment
from isthmus.runtimes.probes import ProbeCache
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.runtimes.tools import find_uv, get_installer
from isthmus.runtimes.uvproject import PROJECT, ensure_project
from isthmus.runtimes.versions import Specifier, is_version_range

__all__ = ["KINDS", "Located", "locate"]

KINDS = ("executable", "venv", "conda", "isaac", "project", "made", "found")

# What an environment of either kind has in its folder.
_MARKERS = {"venv": "pyvenv.cfg", "conda": "conda-meta"}
_NAMES = {"venv": "virtual environment", "conda": "conda environment"}
_BASES = ("executable", "found")
_WHERE = {
    "running": "the Python that runs isthmus",
    "pyenv": "found by pyenv",
    "uv": "found by uv",
    "PATH": "found on PATH",
    "system": "found among the system's",
}

_OLDEST = Specifier.parse(">=3.10")
_PROBES = "interpreters.json"
# `--python python3.12` means that version: pyenv has a program of this name which may well fail.
_PROGRAM = re.compile(r"\Apython(3\.\d+)\Z")


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


def locate(
    runtime: RuntimeSettings,
    state: StateFolder,
    environ: Mapping[str, str],
    say: Say,
    *,
    build: bool = True,
) -> Located:
    """Find the interpreter of a runtime; make its environment if that is not done yet.

    Args:
        runtime: says where to look.
        state: where environments are made and answers kept.
        environ: a clean environment: given to what is run, and searched.
        say: told, in one line each, what takes a while.
        build: False makes, downloads and installs nothing.

    Raises:
        EnvironmentSetupError: nothing is there, with what was looked for and found; what is there
            is broken; or it would have to be made and `build` is False.
    """
    return _Search(runtime, state, environ, say, build).run()


class _NotThereError(Exception):
    """An alternative is not on this machine; says what was found instead."""


class _Search:
    """One look for one runtime."""

    def __init__(
        self,
        runtime: RuntimeSettings,
        state: StateFolder,
        environ: Mapping[str, str],
        say: Say,
        build: bool,
    ) -> None:
        self._runtime = runtime
        self._state = state
        self._environ = environ
        self._say = say
        self._build = build
        alternatives = runtime.python or (_OLDEST.text,)
        self._alternatives = [_PROGRAM.sub(r"\1", text) for text in alternatives]
        self._required = [_OLDEST, Specifier.parse(runtime.requires_python)]

    def run(self) -> Located:
        """Find it, and make its environment if it is to have one."""
        located = self._first()
        return self._made(located) if self._runtime.requirements else located

    def _first(self) -> Located:
        """Take the first alternative that is there; download only when none is."""
        reasons = {}
        for text in self._alternatives:
            try:
                return self._at(text)
            except _NotThereError as error:
                reasons[text] = str(error)
        for text in filter(is_version_range, reasons):
            try:
                return self._downloaded(text)
            except _NotThereError as error:
                reasons[text] += str(error)
        raise EnvironmentSetupError(_nothing_there(self._runtime.name, reasons))

    def _at(self, text: str) -> Located:
        if is_version_range(text):
            return self._of_this_machine(text)
        path = self._path(text)
        python_sh = find_python_sh(path)
        if python_sh is not None:
            found = ask_isaac(python_sh, self._environ, self._state.probes)
            origin = f"Isaac Sim, by {python_sh}"
            return Located(found.python, "isaac", origin, found.environ, found.python.parent)
        if os.path.isfile(path / PROJECT) and not _environment_kind(path):
            return self._project(path)
        return _at_folder(path) if os.path.isdir(path) else _at_file(path)

    def _path(self, text: str) -> Path:
        if not text.strip():
            raise _NotThereError("it is empty; is a variable not set?")
        try:
            path = expand(text, self._runtime.folder.absolute(), self._environ)
        except EnvironmentSetupError as error:
            raise _NotThereError(str(error)) from error
        if "/" not in text and not os.path.lexists(path):  # such as `--python pypy3`
            on_path = shutil.which(text, path=self._environ.get("PATH", os.defpath))
            path = Path(on_path) if on_path else path
        if not os.path.exists(path):
            raise _NotThereError(_missing(path))
        return path

    def _project(self, folder: Path) -> Located:
        python = ensure_project(
            folder,
            self._state.probes,
            lambda: self._uv(),
            self._environ,
            self._say,
            build=self._build,
        )
        return _plain(python, "project", f"uv project {folder}")

    def _of_this_machine(self, text: str) -> Located:
        wanted = [Specifier.parse(text), *self._required]
        probes = self._probes()
        chosen = self._made_before(wanted, probes)
        if chosen is None:
            chosen, found = find_python(wanted, self._environ, probes)
        if chosen is None:
            raise _NotThereError(nothing_fits(wanted, found))
        origin = f'range "{text}", {_WHERE.get(chosen.found, chosen.found)}'
        return _plain(chosen.path, "found", origin)

    def _made_before(self, wanted: list[Specifier], probes: ProbeCache) -> Interpreter | None:
        """Stay with the Python that the environment was made from: a newer one builds it anew."""
        made = made_environment(self._runtime, self._state) if self._runtime.requirements else None
        if made is None:
            return None
        base = probes(made.base, "made before")
        return base if base and all(one.allows(base.version) for one in wanted) else None

    def _downloaded(self, text: str) -> Located:
        wanted = [Specifier.parse(text), *self._required]
        uv = find_uv(self._state, self._environ) if self._build else None
        if uv is None or lowest_minor(wanted) is None:
            raise _NotThereError("")
        try:
            download_python(wanted, uv, self._environ, self._say)
        except EnvironmentSetupError as error:
            raise _NotThereError(f"; uv could not download one: {error}") from error
        return self._of_this_machine(text)

    def _made(self, located: Located) -> Located:
        name = self._runtime.name
        if located.kind not in _BASES:
            raise EnvironmentSetupError(
                f"[runtime.{name}] has requirements, of which an environment is made; that takes a "
                f"version range or a bare interpreter as python, found {located.origin}, which has "
                "packages of its own: install them there, or remove one of the two"
            )
        base = self._probes()(located.python, located.origin)
        if base is None:
            raise EnvironmentSetupError(
                f"{located.python} ({located.origin}) is no CPython of at least 3.10 that starts"
            )
        made = ensure_made(
            self._runtime,
            base,
            self._oldest(base),
            self._state,
            self._environ,
            self._say,
            build=self._build,
        )
        origin = f"made of {lock_of(self._runtime, self._state)} and Python {made.version}"
        return _plain(made.python, "made", origin)

    def _oldest(self, base: Interpreter) -> str:
        """Name the oldest Python that the lock is to hold for: another machine's may be it."""
        ranges = [Specifier.parse(text) for text in self._alternatives if is_version_range(text)]
        lowest = [lowest_minor([each, *self._required]) for each in ranges]
        minors = [base.minor, *(each for each in lowest if each)]
        return min(minors, key=lambda minor: tuple(map(int, minor.split("."))))

    def _uv(self) -> Path | None:
        """Get uv, from the package index if need be; None where that is not possible."""
        uv = find_uv(self._state, self._environ)
        if uv is None:
            maker, _ = find_python([_OLDEST], self._environ, self._probes())
            if maker is not None:
                get_installer(self._state, maker, self._environ, self._say)
            uv = find_uv(self._state, self._environ)
        return uv

    def _probes(self) -> ProbeCache:
        ask = partial(probe, environ=self._environ)
        return ProbeCache(self._state.probes / _PROBES, ask)


def _plain(python: Path, kind: str, origin: str) -> Located:
    return Located(python, kind, origin, {}, python.parent)


def _environment_kind(folder: Path) -> str:
    """Say what kind of environment a folder is; "" for none."""
    return next((kind for kind, marker in _MARKERS.items() if os.path.exists(folder / marker)), "")


def _at_folder(folder: Path) -> Located:
    kind = _environment_kind(folder)
    if not kind:
        raise _NotThereError(_no_python_in(folder))
    python = folder / "bin" / "python"
    if not os.path.exists(python):
        # It is there, and it is broken: not a reason to take the next.
        raise EnvironmentSetupError(
            f"the {_NAMES[kind]} {folder} is broken: {_missing(python)}; make it again"
        )
    return _plain(python, kind, f"{_NAMES[kind]} {folder}")


def _at_file(path: Path) -> Located:
    if not os.access(path, os.X_OK):
        raise _NotThereError("it is no executable file")
    kind = _environment_kind(path.parent.parent)
    origin = f"{_NAMES[kind]} {path.parent.parent}" if kind else "named by its path"
    return _plain(path, kind or "executable", origin)


def _missing(path: Path) -> str:
    if path.is_symlink():
        return f"{path} leads to {os.readlink(path)}, which is not there"
    return f"there is no {path}"


def _no_python_in(folder: Path) -> str:
    inner = next((each for each in (".venv", "venv") if _environment_kind(folder / each)), None)
    if inner:
        return f"it is a folder without an interpreter; its {inner} has one: name {folder / inner}"
    if (folder / "build.sh").is_file() and (folder / "source").is_dir():
        return "it looks like Isaac Sim's source, not built yet: run its build.sh"
    expected = ", ".join(["python.sh", *_MARKERS.values(), PROJECT])
    return f"it is a folder that holds none of {expected}"


def _nothing_there(name: str, reasons: Mapping[str, str]) -> str:
    if len(reasons) == 1:
        ((text, reason),) = reasons.items()
        return f"[runtime.{name}] python = {json.dumps(text)}: {reason}"
    listed = "".join(f"\n  {json.dumps(text)}: {reason}" for text, reason in reasons.items())
    return f"[runtime.{name}] python: none of the {len(reasons)} is there:{listed}"
