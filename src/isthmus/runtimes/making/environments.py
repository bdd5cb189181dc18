"""Build environments from locks, once: a second call with nothing changed does nothing.

An environment carries a stamp, written last, that says what it was built from. One whose stamp is
missing or says something else is built again, so an interrupted build is never used; and so is one
from which something was taken away since.

Our own package is put there by a one-line `.pth` file that names the source folder: this works
offline, needs no build backend, and leaves the packages of the environment exactly the lock's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from isthmus.runtimes.interpreters import Interpreter
from isthmus.runtimes.making.folders import finish, held
from isthmus.runtimes.making.installers import Installer, Say, python_of, run_tool

STAMP = "isthmus-environment.json"
_STAMP_VERSION = 1
_INCLUDES = re.compile(
    r"^[ \t]*(?:-r|--requirement|-c|--constraint)[ =]?[ \t]*(\S.*?)[ \t]*(?:[ \t]#.*)?$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """What an environment is to be.

    Attributes:
        name: such as "sim" or "test-3.10".
        folder: where it is.
        lock: the requirements, pinned.
        source: a folder to put on its import path, or None.
    """

    name: str
    folder: Path
    lock: Path
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that is there.

    Attributes:
        name: as in its spec.
        python: its interpreter.
        version: of that interpreter, such as "3.10.13".
        lock: the file name of the lock it was built from, without suffix, such as "numpy1".
        base: the interpreter it was made from.
    """

    name: str
    python: Path
    version: str
    lock: str
    base: Path

    @property
    def minor(self) -> str:
        """The feature version, such as "3.10"."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class _Stamp:
    stamp_version: int
    name: str
    folder: str
    interpreter: str
    version: str
    lock: str
    lock_sha256: str
    source: str
    contents: Sequence[str] = field(default=(), compare=False)  # of site-packages, once it is built


def ensure_environment(
    spec: EnvironmentSpec,
    interpreter: Interpreter,
    installer: Callable[[], Installer],
    say: Say,
) -> Environment:
    """Build or bring up to date one environment, if it is not already what the spec says.

    Args:
        spec: what it is to be.
        interpreter: the Python it is made from.
        installer: called only when there is something to install.
        say: told, in one line, what is being built.

    Raises:
        EnvironmentSetupError: it could not be built.
    """
    wanted = _stamp_for(spec, interpreter)
    with held(spec.folder):
        present = _read_stamp(spec.folder)
        lost = missing_from(spec.folder)
        if present != wanted or lost:
            tool = installer()
            say(f"building {spec.name}: Python {wanted.version}, {spec.lock.name}, by {tool.name}")
            # Where half of a package is left, a tool takes the whole for installed.
            _build(spec, interpreter, tool, keep=_same_python(present, wanted) and not lost)
            _write_stamp(spec.folder, replace(wanted, contents=_contents(spec.folder)))
            finish(spec.folder)
    return _environment(spec.folder, wanted)


def read_environment(folder: Path) -> Environment | None:
    """Say what environment is in `folder`; None if none was finished there."""
    stamp = _read_stamp(folder)
    return None if stamp is None else _environment(folder, stamp)


def built_environments(root: Path) -> dict[str, Environment]:
    """List the finished environments in the folders of `root`, by name."""
    folders = sorted(root.iterdir()) if root.is_dir() else []
    found = (read_environment(folder) for folder in folders if folder.is_dir())
    return {environment.name: environment for environment in found if environment is not None}


def _build(spec: EnvironmentSpec, interpreter: Interpreter, tool: Installer, keep: bool) -> None:
    (spec.folder / STAMP).unlink(missing_ok=True)
    if not keep:
        tool.create(interpreter, spec.folder)
    tool.install(spec.folder, spec.lock)
    if spec.source is not None:
        print_folder = "import sysconfig; print(sysconfig.get_path('purelib'))"
        python = os.fspath(python_of(spec.folder))
        purelib = run_tool([python, "-I", "-c", print_folder], os.environ).strip()
        path_file = Path(purelib) / "isthmus-source.pth"
        path_file.write_text(f"{spec.source.resolve()}\n", encoding="utf-8")


def _stamp_for(spec: EnvironmentSpec, interpreter: Interpreter) -> _Stamp:
    return _Stamp(
        stamp_version=_STAMP_VERSION,
        name=spec.name,
        folder=str(spec.folder.resolve()),
        interpreter=str(interpreter.path),
        version=".".join(map(str, interpreter.version)),
        lock=spec.lock.stem,
        lock_sha256=_digest(spec.lock),
        source="" if spec.source is None else str(spec.source.resolve()),
    )


def _digest(lock: Path) -> str:
    """Say what a lock and the files it includes hold; one that is missing is its tool's to name."""
    digest = hashlib.sha256(lock.read_bytes())
    seen, unread = {lock}, _included(lock)
    while unread:
        file = unread.pop()
        if file not in seen and os.path.isfile(file):
            digest.update(b"\0" + file.read_bytes())
            unread += _included(file)
        seen.add(file)
    return digest.hexdigest()


def _included(file: Path) -> list[Path]:
    text = file.read_text(encoding="utf-8", errors="replace")
    return [file.parent / name for name in _INCLUDES.findall(text)]


def missing_from(folder: Path) -> list[str]:
    """List what was taken away from the packages of an environment since it was built."""
    stamp = _read_stamp(folder)
    if stamp is None or not stamp.contents:
        return []
    return sorted(set(stamp.contents) - set(_contents(folder)))


def _contents(folder: Path) -> list[str]:
    libraries = [*folder.glob("lib/python3*/site-packages"), folder / "Lib" / "site-packages"]
    names = os.listdir(libraries[0]) if libraries[0].is_dir() else []
    return sorted(name for name in names if name != "__pycache__")


def _same_python(present: _Stamp | None, wanted: _Stamp) -> bool:
    """Tell whether the packages alone have to change."""
    return present is not None and (present.folder, present.interpreter, present.version) == (
        wanted.folder,
        wanted.interpreter,
        wanted.version,
    )


def _read_stamp(folder: Path) -> _Stamp | None:
    """Read a stamp; None if it is missing or torn, of another layout, or its Python is gone."""
    try:
        facts = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        stamp = _Stamp(**facts)
    except (OSError, ValueError, TypeError):
        return None
    usable = stamp.stamp_version == _STAMP_VERSION and python_of(folder).exists()
    return stamp if usable else None


def _write_stamp(folder: Path, stamp: _Stamp) -> None:
    text = json.dumps(asdict(stamp), indent=2) + "\n"
    (folder / STAMP).write_text(text, encoding="utf-8")


def _environment(folder: Path, stamp: _Stamp) -> Environment:
    return Environment(
        name=stamp.name,
        python=python_of(folder),
        version=stamp.version,
        lock=stamp.lock,
        base=Path(stamp.interpreter),
    )


def is_current(spec: EnvironmentSpec, interpreter: Interpreter) -> bool:
    """Tell whether the environment is there, whole and what the spec says; nothing is run."""
    built = spec.lock.is_file() and _read_stamp(spec.folder) == _stamp_for(spec, interpreter)
    return built and not missing_from(spec.folder)
