"""What an environment made on demand is to hold: requirement lines, and the lock made of them.

The lock is a requirements file with hashes, meant to be committed. Its first lines say what it was
made from, so that it is written again when the requirements change, and only then; versions that
still fit stay. A lock without those lines is somebody's own, and used as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes.interpreters import Interpreter
from isthmus.runtimes.making.resolving import Resolution
from isthmus.runtimes.versions import Specifier, is_version_range

__all__ = ["Lock", "Requirements", "read_lock", "read_requirements", "write_lock"]

_DIGEST = "# requirements-sha256: "
_VALID_FOR = "# valid-for: "
_INCLUDE = re.compile(r"(-r|--requirement)[ =]?\s*(?P<file>\S.*)")
_CONSTRAINT = re.compile(r"(-c|--constraint)[ =]?\s*(?P<file>\S.*)")
# What no hash can be kept for: a folder changes without a version changing.
_LOCAL = re.compile(r"(-e\b|--editable\b|(.*\s@\s*)?(file:|/|\.{1,2}(/|\[|\Z)))")

# Options that the lock would lose or contradict, and what to do instead.
_OPTIONS = (
    (
        re.compile(r"(?:^|\s)(--hash|--require-hashes)\b"),
        "isthmus finds the hashes itself and keeps them in the lock; to name your own, write a "
        "lock, which is used as it is: `lock` names it",
    ),
    (
        re.compile(
            r"(?:^|\s)(-i\b|--index-url|--extra-index-url|--no-index|-f\b|--find-links"
            r"|--trusted-host)"
        ),
        "a lock names no place; set it for the tools of this machine (UV_INDEX, UV_FIND_LINKS, "
        "PIP_EXTRA_INDEX_URL and their like, uv.toml, pip.conf)",
    ),
    (
        re.compile(r"^[^-\s].*\s(--[a-z][a-z-]*|-C\b)"),
        "options of one package are not kept in the lock; write a lock of your own, which is used "
        "as it is: `lock` names it",
    ),
)


@dataclass(frozen=True, slots=True)
class Requirements:
    """Requirement lines, files they include read in.

    Attributes:
        text: as in a requirements file; constraints by absolute path.
        folder: where relative paths in it start.
        digest: of all that was read, and of no path.
    """

    text: str
    folder: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as it is on disk.

    Attributes:
        body: the pinned requirements.
        digest: of the requirements it was made from; "" in somebody's own lock.
        valid_for: see `resolving.Resolution`.
    """

    body: str
    digest: str
    valid_for: str

    def fits(self, requirements: Requirements, interpreter: Interpreter) -> bool:
        """Tell whether it can be used as it is."""
        if not self.digest:
            return True
        return self.digest == requirements.digest and self._holds_for(interpreter)

    def _holds_for(self, interpreter: Interpreter) -> bool:
        if is_version_range(self.valid_for):
            return Specifier.parse(self.valid_for).allows(interpreter.version)
        return self.valid_for == interpreter.soabi


def read_requirements(given: tuple[str, ...] | Path, folder: Path) -> Requirements:
    """Read requirement lines, or a file of them with the files it includes.

    Args:
        given: lines, or one file.
        folder: where relative paths in lines start; those in a file start at its own folder.

    Raises:
        EnvironmentSetupError: a file cannot be read, includes itself, asks for a local folder, or
            has an option that a lock cannot keep.
    """
    lines = list(_lines_of(given, ()) if isinstance(given, Path) else _each(given, folder, ()))
    text = "".join(f"{line}\n" for line, _ in lines)
    digest = hashlib.sha256("\n".join(meaning for _, meaning in lines).encode()).hexdigest()
    return Requirements(text, given.parent if isinstance(given, Path) else folder, digest)


def read_lock(file: Path) -> Lock | None:
    """Read a lock; None if there is none."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentSetupError(f"cannot read the lock {file}: {error}") from error
    head = {key: "" for key in (_DIGEST, _VALID_FOR)}
    for line in text.splitlines()[:5]:
        for key in head:
            if line.startswith(key):
                head[key] = line.removeprefix(key).strip()
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    return Lock(body, head[_DIGEST], head[_VALID_FOR])


def write_lock(file: Path, name: str, requirements: Requirements, found: Resolution) -> None:
    """Write a lock, whole or not at all.

    Args:
        file: its folder is made.
        name: of the runtime.
        requirements: what it was made from.
        found: the exact versions.
    """
    text = (
        f"# Exact versions for [runtime.{name}], by isthmus: written again when its requirements\n"
        "# change. Commit it; remove it to move to newer versions.\n"
        f"{_DIGEST}{requirements.digest}\n"
        f"{_VALID_FOR}{found.valid_for}\n"
        f"{found.text}"
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
        ) as stream:
            stream.write(text)
        os.chmod(stream.name, 0o644)
        os.replace(stream.name, file)
    except OSError as error:
        raise EnvironmentSetupError(
            f"cannot write the lock of [runtime.{name}] to {file}: {error}"
        ) from error


def _lines_of(file: Path, within: tuple[Path, ...]) -> Iterator[tuple[str, str]]:
    if file in within:
        raise EnvironmentSetupError(f"the requirements file {file} includes itself")
    yield from _each(_read(file).splitlines(), file.parent, (*within, file))


def _each(
    lines: tuple[str, ...] | list[str], folder: Path, within: tuple[Path, ...]
) -> Iterator[tuple[str, str]]:
    """Yield each line as a tool reads it, and what it means wherever the project lies."""
    for raw in lines:
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        include, constraint = _INCLUDE.match(line), _CONSTRAINT.match(line)
        if include:
            yield from _lines_of(folder / include["file"], within)
        elif constraint:
            file = folder / constraint["file"]
            yield f"-c {file}", f"-c {_read(file)}"
        elif _LOCAL.match(line):
            raise EnvironmentSetupError(
                f"the requirement {line!r} is a file or folder of this machine, for which no exact "
                "version can be kept: name a package, put the folder in `pythonpath`, or make it "
                "a uv project and name that as `python`"
            )
        elif line:
            _check_options(line)
            yield line, line


def _check_options(line: str) -> None:
    for pattern, instead in _OPTIONS:
        found = pattern.search(line)
        if found:
            raise EnvironmentSetupError(
                f"the requirement {line!r} has {found[1]}, which cannot be followed: {instead}"
            )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentSetupError(f"cannot read the requirements {file}: {error}") from error
