"""From what a manifest says under `python` to one interpreter of this machine.

A path is known by what it holds; a version range is looked up among the interpreters of this
machine. Of several alternatives the first that is there is taken; one that is there and broken is
an error, not a reason to go on: what runs must not depend on what happens to fail.

Modules that make environments are loaded when there is something to make: every start of every
program passes here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.expand import expand
from isthmus.runtimes.isaac import ask_isaac, find_python_sh
from isthmus.runtimes.located import (
    KINDS,
    PROJECT,
    Located,
    NotThereError,
    at_path,
    environment_kind,
    missing,
)
from isthmus.runtimes.settings import RuntimeSettings
from isthmus.runtimes.state import StateFolder
from isthmus.runtimes.versions import Specifier, is_version_range

if TYPE_CHECKING:
    from isthmus.runtimes.interpreters import Interpreter
    from isthmus.runtimes.probes import ProbeCache

__all__ = ["KINDS", "Located", "locate"]

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
_LIKE_A_VERSION = re.compile(r"(?i:c?py(?:thon)?|v)[ -]?(3\.\d+)")
# `--python python3.12` means that version: pyenv has a program of this name which may well fail.
_PROGRAM = re.compile(r"\Apython(3\.\d+)\Z")


def locate(
    runtime: RuntimeSettings,
    state: StateFolder,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    *,
    build: bool = True,
    variables: Mapping[str, str] | None = None,
) -> Located:
    """Find the interpreter of a runtime; make its environment if that is not done yet.

    Args:
        runtime: says where to look.
        state: where environments are made and answers kept.
        environ: a clean environment: given to what is run, and searched.
        say: told, in one line each, what takes a while; where nothing is built, what would be.
        build: False makes, downloads and installs nothing.
        variables: what `${NAME}` in `python` stands for, such as a CONDA_PREFIX that a clean
            environment does not have; None takes those of `environ`.

    Raises:
        EnvironmentSetupError: nothing is there, with what was looked for and found, or what is
            there is broken; NotBuiltError if it would have to be made and `build` is False.
    """
    search = _Search(
        runtime, state, environ, say, build, environ if variables is None else variables
    )
    try:
        return search.run()
    except OSError as error:  # a folder that may not be read or written
        raise EnvironmentSetupError(f"{runtime.called} {_unusable(error, state)}") from error


class _Search:
    """One look for one runtime."""

    def __init__(
        self,
        runtime: RuntimeSettings,
        state: StateFolder,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        build: bool,
        variables: Mapping[str, str],
    ) -> None:
        self._runtime = runtime
        self._state = state
        self._environ = environ
        self._say = say
        self._build = build
        self._variables = variables
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
            except NotThereError as error:
                reasons[text] = str(error)
            except EnvironmentSetupError as error:
                raise type(error)(f"{self._runtime.called} {error}") from error
        for text in filter(is_version_range, reasons):
            try:
                return self._downloaded(text)
            except NotThereError as error:
                reasons[text] += str(error)
        raise EnvironmentSetupError(_nothing_there(self._runtime, reasons))

    def _at(self, text: str) -> Located:
        if is_version_range(text):
            return self._of_this_machine(text)
        path = self._path(text)
        python_sh = find_python_sh(path)
        if python_sh is not None:
            found = ask_isaac(python_sh, self._environ, self._state.probes)
            origin = f"Isaac Sim, by {python_sh}"
            return Located(found.python, "isaac", origin, found.environ, found.python.parent)
        if os.path.isfile(path / PROJECT) and not environment_kind(path):
            return self._project(path)
        return at_path(path)

    def _path(self, text: str) -> Path:
        if not text.strip():
            raise NotThereError("it is empty; is a variable not set?")
        try:
            path = expand(text, self._runtime.folder.absolute(), self._variables)
        except EnvironmentSetupError as error:
            raise NotThereError(str(error)) from error
        if "/" not in text and not os.path.lexists(path):  # such as `--python pypy3`
            on_path = shutil.which(text, path=self._environ.get("PATH", os.defpath))
            path = Path(on_path) if on_path else path
        if not os.path.exists(path):
            raise NotThereError(f"{missing(path)}{_hint(text)}")
        return path

    def _project(self, folder: Path) -> Located:
        from isthmus.runtimes.making.uvproject import ensure_project

        python = ensure_project(
            folder,
            self._state.probes,
            self._uv,
            self._environ,
            self._say,
            build=self._build,
        )
        return Located.plain(python, "project", f"uv project {folder}")

    def _of_this_machine(self, text: str) -> Located:
        from isthmus.runtimes.found import best, find_python, lowest_minor, nothing_fits

        wanted = [Specifier.parse(text), *self._required]
        probes = self._probes()
        chosen = self._made_before(wanted, probes)
        if chosen is None:
            chosen, found = find_python(wanted, self._environ, probes)
        if chosen is None:
            required = self._runtime.requires_python
            others = best(found, [Specifier.parse(text), _OLDEST]) if required else None
            said = f'requires-python = "{required}" excludes {others}; ' if others else ""
            if others and lowest_minor(wanted) is None:
                raise NotThereError(f"{said}change one of the two")
            raise NotThereError(said + nothing_fits(wanted, found))
        origin = f'range "{text}", {_WHERE.get(chosen.found, chosen.found)}'
        return Located.plain(chosen.path, "found", origin)

    def _made_before(self, wanted: list[Specifier], probes: ProbeCache) -> Interpreter | None:
        """Stay with the Python that the environment was made from: a newer one builds it anew."""
        from isthmus.runtimes.making.made import made_environment

        made = made_environment(self._runtime, self._state) if self._runtime.requirements else None
        if made is None:
            return None
        base = probes(made.base, "made before")
        return base if base and all(one.allows(base.version) for one in wanted) else None

    def _downloaded(self, text: str) -> Located:
        from isthmus.runtimes.found import download_python, lowest_minor
        from isthmus.runtimes.making.tools import find_uv

        wanted = [Specifier.parse(text), *self._required]
        uv = find_uv(self._state, self._environ) if self._build else None
        if uv is None or lowest_minor(wanted) is None:
            raise NotThereError("")
        try:
            download_python(wanted, uv, self._environ, self._say)
        except EnvironmentSetupError as error:
            raise NotThereError(f"; uv could not download one: {error}") from error
        return self._of_this_machine(text)

    def _made(self, located: Located) -> Located:
        from isthmus.runtimes.making.made import ensure_made, lock_of

        if located.kind not in _BASES:
            raise EnvironmentSetupError(
                f"{self._runtime.called} has requirements, of which an environment is made; that "
                "takes a version range or a bare interpreter as python, found "
                f"{located.origin}, which has packages of its own: install them there, or remove "
                "one of the two"
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
        return Located.plain(made.python, "made", origin)

    def _oldest(self, base: Interpreter) -> str:
        """Name the oldest Python that the lock is to hold for: another machine's may be it."""
        from isthmus.runtimes.found import lowest_minor

        ranges = [Specifier.parse(text) for text in self._alternatives if is_version_range(text)]
        lowest = [lowest_minor([each, *self._required]) for each in ranges]
        minors = [base.minor, *(each for each in lowest if each)]
        return min(minors, key=lambda minor: tuple(map(int, minor.split("."))))

    def _uv(self) -> Path | None:
        """Get uv, from the package index if need be; None where that is not possible."""
        from isthmus.runtimes.found import find_python
        from isthmus.runtimes.making.tools import find_uv, get_installer

        uv = find_uv(self._state, self._environ)
        if uv is None:
            maker, _ = find_python([_OLDEST], self._environ, self._probes())
            if maker is not None:
                get_installer(self._state, maker, self._environ, self._say)
            uv = find_uv(self._state, self._environ)
        return uv

    def _probes(self) -> ProbeCache:
        from isthmus.runtimes.interpreters import probe
        from isthmus.runtimes.probes import ProbeCache

        ask = partial(probe, environ=self._environ)
        return ProbeCache(self._state.probes / _PROBES, ask)


def _nothing_there(runtime: RuntimeSettings, reasons: Mapping[str, str]) -> str:
    key = "" if runtime.where.startswith("--") else " python"
    if len(reasons) == 1:
        ((text, reason),) = reasons.items()
        return f"{runtime.called}{key}{' =' if key else ''} {json.dumps(text)}: {reason}"
    listed = "".join(f"\n  {json.dumps(text)}: {reason}" for text, reason in reasons.items())
    return f"{runtime.called}{key}: none of the {len(reasons)} is there:{listed}"


def _unusable(error: OSError, state: StateFolder) -> str:
    if str(error.filename).startswith(os.fspath(state.root)):
        return (
            f"expected to write into {state.root}, got: {error.strerror}; make the folder "
            "writable, or a link to a folder that is"
        )
    return str(error)


def _hint(text: str) -> str:
    """Say what is taken, where a word is none of it."""
    if "/" in text:
        return ""
    if text.startswith("conda"):
        return (
            '; a conda environment is named by its folder, such as "~/miniconda3/envs/sim": '
            "`conda env list` shows it"
        )
    version = _LIKE_A_VERSION.match(text)
    return (
        f'; {f"""did you mean "{version[1]}"? """ if version else ""}expected a version range '
        "such as 3.12 or >=3.11,<3.13, or the path of an interpreter, an environment or Isaac "
        "Sim's folder"
    )
