"""Who imports whom among the files that are checked."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .files import SourceFile
from .imports import Import

__all__ = ["Step", "chains", "link"]


@dataclass(frozen=True, slots=True)
class Step:
    """One import of a file by another.

    Attributes:
        importer: the file that imports.
        line: where in it.
        cell: of a notebook, from 1; 0 of a file.
    """

    importer: Path
    line: int
    cell: int = 0


Graph = Mapping[Path, Mapping[Path, Step]]
"""Of each file, the files it imports, and where."""


def link(files: Sequence[SourceFile], imports: Mapping[Path, Sequence[Import]]) -> Graph:
    """Resolve the imports of files among these files."""
    index = _Index(files)
    graph: dict[Path, dict[Path, Step]] = {file.path: {} for file in files}
    for path, asked in imports.items():
        for each in asked:
            for target in index.find(path, each):
                if target != path:
                    graph[path].setdefault(target, Step(path, each.line, each.cell))
    return graph


def chains(graph: Graph, entries: Iterable[Path] = ()) -> dict[Path, tuple[Step, ...]]:
    """Find the shortest chain of importers of each file, from the outermost on.

    Args:
        graph: as `link` makes it.
        entries: where chains begin; none: at files that nobody imports, and those that only import
            each other in a circle.

    Returns:
        Of each file that is reached, the imports that lead to it; empty for a beginning.
    """
    found: dict[Path, tuple[Step, ...]] = {}
    imported = {target for targets in graph.values() for target in targets}
    begun = list(entries)
    _spread(graph, begun or [path for path in graph if path not in imported], found)
    for path in graph:
        if not begun and path not in found:
            _spread(graph, [path], found)
    return found


def _spread(graph: Graph, starts: Iterable[Path], found: dict[Path, tuple[Step, ...]]) -> None:
    waiting = deque(starts)
    found.update(dict.fromkeys(waiting, ()))
    while waiting:
        path = waiting.popleft()
        for target, step in graph[path].items():
            if target not in found:
                found[target] = (*found[path], step)
                waiting.append(target)


class _Index:
    """Module names of the files.

    A file in packages is known from the outermost folder with `__init__.py` down. Folders without
    one may be packages too, and any may be on the path, so further names begin at each of those
    above it, up to the folder that was named.
    """

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._paths = {file.path for file in files}
        self._by_name: dict[str, list[Path]] = {}
        for file in files:
            for name in self._names(file):
                self._by_name.setdefault(name, []).append(file.path)

    def find(self, importer: Path, asked: Import) -> list[Path]:
        """List the files that an import loads: the module, packages above it, names below it."""
        if not asked.is_whole:
            return []
        if asked.level:
            return self._relative(importer, asked)
        if asked.module.partition(".")[0] in sys.stdlib_module_names:
            return []
        parts = asked.module.split(".")
        names = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        names += [f"{asked.module}.{name}" for name in asked.names]
        return [path for name in names for path in self._nearest(importer, name)]

    def _nearest(self, importer: Path, name: str) -> list[Path]:
        found = self._by_name.get(name, [])
        beside = importer.parent.joinpath(*name.split("."))
        return [path for path in found if path in _files_of(beside)] or found

    def _relative(self, importer: Path, asked: Import) -> list[Path]:
        package = importer.parent
        for _ in range(asked.level - 1):
            package = package.parent
        module = package.joinpath(*filter(None, asked.module.split(".")))
        between = [parent for parent in module.parents if parent.is_relative_to(package)]
        folders = [*reversed(between), module, *(module / name for name in asked.names)]
        return [file for folder in folders for file in _files_of(folder) if file in self._paths]

    def _names(self, file: SourceFile) -> list[str]:
        folder, parts = file.path.parent, [file.path.stem]
        if parts == ["__init__"]:
            folder, parts = folder.parent, [folder.name]
        while (folder / "__init__.py").is_file():
            folder, parts = folder.parent, [folder.name, *parts]
        names = [".".join(parts)]
        while folder.is_relative_to(file.root) and folder.name.isidentifier():
            folder, parts = folder.parent, [folder.name, *parts]
            names.append(".".join(parts))
        return names


def _files_of(module: Path) -> tuple[Path, Path]:
    return module.with_name(f"{module.name}.py"), module / "__init__.py"
