"""Modules of a project that its programs import and nobody named: beside the importer, or above.

Which folders are on a program's path is known only when it runs. So the folders looked into are
those from the importer's own up to the one around what was named, or to the top of the project.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .files import ENVIRONMENT_MARKS, SourceFile
from .imports import Import

__all__ = ["modules_nearby"]

_TOP_MARKS = (".git", "isthmus.toml", "pyproject.toml", "setup.py", "setup.cfg")


def modules_nearby(importer: SourceFile, asked: Import) -> list[SourceFile]:
    """List the files of a module that lies near a file that imports it.

    Args:
        importer: the file.
        asked: one of its imports.

    Returns:
        The packages above the module, the module, and what is taken from it where that is a module
        too; nothing where none of it is near.
    """
    if not asked.is_whole or asked.module.partition(".")[0] in sys.stdlib_module_names:
        return []
    for folder in _starts(importer, asked.level):
        found = [path for path in _candidates(folder, asked) if path.is_file()]
        if found:
            return [SourceFile(_shown(importer, path), path, folder) for path in found]
    return []


def _starts(importer: SourceFile, level: int) -> Iterable[Path]:
    """List the folders in which the first part of the module's name is looked for."""
    return list(importer.path.parents)[level - 1 : level] if level else _path_folders(importer)


def _path_folders(importer: SourceFile) -> Iterator[Path]:
    above = importer.path.parents
    top = next((each for each in above if _has_one_of(each, _TOP_MARKS)), None)
    last = importer.root.parent
    if top is not None and last.is_relative_to(top):
        last = top
    for folder in above:
        # A folder in a package is on nobody's path; what an environment holds is other people's.
        if not (folder / "__init__.py").is_file() and not _has_one_of(folder, ENVIRONMENT_MARKS):
            yield folder
        if folder == last:
            return


def _candidates(folder: Path, asked: Import) -> Iterator[Path]:
    parts = asked.module.split(".") if asked.module else []
    module = folder.joinpath(*parts)
    above = [folder.joinpath(*parts[:end]) for end in range(1, len(parts))]
    if asked.level:  # the package that the dots lead to is loaded first
        yield folder / "__init__.py"
    for each in (*above, module, *(module / name for name in asked.names)):
        if each != folder:
            yield each.with_name(f"{each.name}.py")
            yield each / "__init__.py"


def _shown(importer: SourceFile, path: Path) -> str:
    way = os.path.relpath(path, importer.path.parent)
    return os.path.normpath(os.path.join(os.path.dirname(importer.shown), way))


def _has_one_of(folder: Path, names: Iterable[str]) -> bool:
    return any((folder / name).exists() for name in names)
