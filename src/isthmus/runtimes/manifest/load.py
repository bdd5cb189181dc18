"""`isthmus.toml`: find it, read it, and say what is wrong in it, with the line.

::

    text --tomltext--> tables --reader--> values --here--> settings
     |                           |                            |
    lines                      keys: what there is         references: what
    says the line of           kinds: of what kind         the parts say
    every key                  values, checks              of each other
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from isthmus import tomltext
from isthmus.errors import ManifestError, MissingDependencyError
from isthmus.runtimes.manifest.checks import Written
from isthmus.runtimes.manifest.kinds import Surroundings
from isthmus.runtimes.manifest.lines import Lines
from isthmus.runtimes.manifest.reader import Complaint, read_table
from isthmus.runtimes.manifest.references import RULES
from isthmus.runtimes.settings import (
    ContractSettings,
    EnvironSettings,
    Manifest,
    ProcessSettings,
    Ready,
    RunSettings,
    RuntimeSettings,
)

__all__ = ["FILE_NAME", "MAX_TEXT", "find_manifest", "load_manifest", "read_manifest"]

FILE_NAME = "isthmus.toml"

MAX_TEXT = 1 << 17
"""Longest file that is read, in bytes."""

# A dotted key costs the parser memory that is quadratic in its length.
_MAX_LINE = 2048


def find_manifest(start: Path) -> Path:
    """Find `isthmus.toml` in a folder or the nearest one above it.

    Raises:
        ManifestError: there is none.
    """
    folder = Path(os.path.abspath(start))
    for each in (folder, *folder.parents):
        if os.path.isfile(each / FILE_NAME):
            return each / FILE_NAME
    raise ManifestError(
        f"no {FILE_NAME} in {folder} or above it; `isthmus init` writes one for this folder"
    )


def load_manifest(path: Path, environ: Mapping[str, str]) -> Manifest:
    """Read a manifest.

    Args:
        path: the file.
        environ: as `os.environ`; for `${NAME}` and `~`.

    Raises:
        ManifestError: it cannot be read, or says something wrong; names the line.
        MissingDependencyError: this Python cannot read TOML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT + 1)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_TEXT:
        raise ManifestError(f"{path} is larger than {MAX_TEXT} bytes, the most that is read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{path}:{line}: expected UTF-8 text: {error.reason}") from error
    return read_manifest(text, path, environ)


def read_manifest(text: str, path: Path, environ: Mapping[str, str]) -> Manifest:
    """Understand the text of a manifest; nothing is read from disk.

    Args:
        text: the whole document.
        path: the file it is or will be in.
        environ: as `os.environ`.

    Raises:
        ManifestError: it says something wrong; names the line.
        MissingDependencyError: this Python cannot read TOML.
    """
    data = _parse(text, path)
    whole = Path(os.path.abspath(path))
    try:
        values = read_table(data, Surroundings(whole.parent, environ))
        manifest = _manifest(values, whole)
        for rule in RULES:
            for complaint in rule(manifest):
                raise complaint
    except Complaint as complaint:
        line = Lines(text).of(complaint.place)
        raise ManifestError(f"{path}:{line}: {complaint}") from complaint
    return _with_lines(manifest, text, path)


def _with_lines(manifest: Manifest, text: str, path: Path) -> Manifest:
    """Note of each runtime where its `python` is, for what is found wrong with it later."""
    lines = Lines(text)
    runtimes = {
        name: replace(each, where=f"{path}:{lines.of(('runtime', name, 'python'))}")
        for name, each in manifest.runtimes.items()
    }
    return replace(manifest, runtimes=runtimes)


def _parse(text: str, path: Path) -> dict[str, Any]:
    for number, line in enumerate(text.split("\n"), 1):  # what ends a line of TOML, and only that
        if len(line) > _MAX_LINE:
            raise ManifestError(
                f"{path}:{number}: longer than {_MAX_LINE} characters, the most of a line; "
                "break the list"
            )
    try:
        return tomltext.loads(text, Written)
    except RecursionError:
        raise ManifestError(f"{path}: nested too deep to be a manifest") from None
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{error}. It is only the Python of `isthmus` itself that must read {path.name}; "
            "those of the runtimes need not"
        ) from error
    except ValueError as error:
        raise ManifestError(_malformed(str(error), text, path)) from error


def _malformed(message: str, text: str, path: Path) -> str:
    """Put the parser's own line where a reader looks for it."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if found:
        return f"{path}:{found[2]}: {found[1]}, at column {found[3]}: no well-formed TOML"
    line = text.count("\n", 0, len(text.rstrip())) + 1
    what = message.replace(" (at end of document)", ", at the end of the file")
    return f"{path}:{line}: {what}: no well-formed TOML"


def _manifest(values: Mapping[str, Any], path: Path) -> Manifest:
    return Manifest(
        path=path,
        runs_folder=values.get("runs", path.parent / "runs"),
        runtimes={
            name: _runtime(name, each, path.parent)
            for name, each in values.get("runtime", {}).items()
        },
        processes={name: _process(name, each) for name, each in values.get("process", {}).items()},
        runs={name: RunSettings(name, **each) for name, each in values.get("run", {}).items()},
        contract=ContractSettings(**values.get("contract", {})),
    )


def _runtime(name: str, values: Mapping[str, Any], folder: Path) -> RuntimeSettings:
    env = EnvironSettings(**values.get("env", {}))
    return RuntimeSettings(name, **{**values, "env": env, "folder": folder})


def _process(name: str, values: Mapping[str, Any]) -> ProcessSettings:
    if "ready" not in values:
        return ProcessSettings(name, **values)
    ((kind, what),) = values["ready"].items()
    ready = Ready("line", lines=what) if kind == "lines" else Ready(kind, target=what)
    return ProcessSettings(name, **{**values, "ready": ready})
