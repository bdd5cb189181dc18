"""Which files are checked: those that are named, and the Python files of folders that are named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENT_MARKS", "SUFFIXES", "Listing", "SourceFile", "list_files"]

SUFFIXES = (".py", ".pyw", ".ipynb")

# A folder with one of these is an environment: other people's code, with imports of its own.
ENVIRONMENT_MARKS = ("pyvenv.cfg", "conda-meta")
_SKIPPED = ("node_modules", "__pycache__", "site-packages")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to check.

    Attributes:
        shown: its path as the user named it, or as found below a folder so named.
        path: the same, absolute, links in it left as they are.
        root: the folder below which module names are sought.
    """

    shown: str
    path: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found.

    Attributes:
        files: without repetition, in the order of the arguments, then of their names.
        problems: path and what is wrong with it.
    """

    files: tuple[SourceFile, ...]
    problems: tuple[tuple[str, str], ...]


def list_files(paths: Iterable[str]) -> Listing:
    """List the files that paths name. Links below a folder are not followed, nor listed."""
    files: dict[Path, SourceFile] = {}
    problems: list[tuple[str, str]] = []
    for shown in paths:
        found = list(_below(shown, problems) if os.path.isdir(shown) else _one(shown, problems))
        for file in found:
            files.setdefault(file.path, file)
        if not found and not any(_is_within(path, shown) for path, _ in problems):
            problems.append((shown, "no Python file or notebook is in this folder"))
    return Listing(tuple(files.values()), tuple(problems))


def _is_within(path: str, folder: str) -> bool:
    return Path(folder) in (Path(path), *Path(path).parents)


def _one(shown: str, problems: list[tuple[str, str]]) -> Iterator[SourceFile]:
    path = Path(os.path.abspath(shown))
    if path.is_file():
        yield SourceFile(shown, path, path.parent)
    else:
        what = "is neither a file nor a folder" if os.path.lexists(path) else "does not exist"
        problems.append((shown, f"{what}; expected Python files, notebooks, or folders of them"))


def _below(top: str, problems: list[tuple[str, str]]) -> Iterator[SourceFile]:
    def complain(error: OSError) -> None:
        problems.append((str(error.filename), f"cannot be listed: {error.strerror}"))

    root = Path(os.path.abspath(top))
    for folder, folders, names in os.walk(top, onerror=complain):
        folders[:] = sorted(name for name in folders if not _is_skipped(folder, name))
        for name in sorted(names):
            shown = os.path.join(folder, name)
            if name.endswith(SUFFIXES) and not os.path.islink(shown) and os.path.isfile(shown):
                yield SourceFile(os.path.normpath(shown), Path(os.path.abspath(shown)), root)


def _is_skipped(folder: str, name: str) -> bool:
    inside = os.path.join(folder, name)
    return (
        name.startswith(".")
        or name in _SKIPPED
        or any(os.path.exists(os.path.join(inside, mark)) for mark in ENVIRONMENT_MARKS)
    )
