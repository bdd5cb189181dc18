"""Find forbidden imports in programs without running them: `isthmus guard check`."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .files import Listing, SourceFile, list_files
from .graph import Step, chains, link
from .hook import match
from .imports import Import, list_imports
from .nearby import modules_nearby
from .sources import UnreadableError, read_units

__all__ = ["Finding", "Place", "Problem", "Report", "scan"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is.

    Attributes:
        path: as it was named, or found below a folder that was.
        cell: of a notebook, its number among the code cells, from 1; 0 of a file.
        line: from 1; 0 for the file as a whole.
        column: from 1; 0 if not known.
    """

    path: str
    cell: int = 0
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        cell = f"cell {self.cell}" if self.cell else ""
        return ":".join(str(part) for part in (self.path, cell, self.line, self.column) if part)


@dataclass(frozen=True, slots=True)
class Finding:
    """A forbidden import.

    Attributes:
        place: where it is.
        module: what is imported; ends in "..." if only its beginning is known.
        rule: the forbidden name that holds.
        function: the function that imports when it is called; "" if the file does at once.
        importers: where the file is imported, from the outermost file on.
    """

    place: Place
    module: str
    rule: str
    function: str
    importers: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be checked, or not wholly.

    Attributes:
        place: where it is.
        message: what is wrong.
    """

    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        files: how many were checked.
        findings: forbidden imports, by place.
        notes: imports whose module is known only when they run, and may be a forbidden one; and
            modules of the project that were not looked into.
        problems: what could not be checked, by place.
    """

    files: int
    findings: tuple[Finding, ...]
    notes: tuple[Problem, ...]
    problems: tuple[Problem, ...]


def scan(paths: Iterable[str], forbidden: Iterable[str], *, entries: Sequence[str] = ()) -> Report:
    """Look for forbidden imports.

    Args:
        paths: files, and folders of them.
        forbidden: dotted names; each forbids what is below it too.
        entries: programs; with any, what they do not come to import is left alone, and what they
            do is looked into although it is beside the paths.
    """
    names = tuple(forbidden)
    reading = _Reading(list_files([*paths, *entries]), names)
    starts = [file.path for file in list_files(entries).files]
    reached = reading.reached(starts)
    while entries and reading.add(reading.nearby(reached)):
        reached = reading.reached(starts)
    checked = [file for file in reading.files if file.path in reached]
    shown = {file.path: file.shown for file in checked}
    imports = reading.imports
    findings = [
        finding
        for file in checked
        for finding in _findings(file, imports.get(file.path, ()), names, reached, shown)
    ]
    notes = [note for file in checked for note in _notes(file, imports.get(file.path, ()), names)]
    notes += _left_out(list(reading.nearby(reached).values()))
    return Report(
        len(checked),
        tuple(sorted(findings, key=lambda each: each.place)),
        tuple(sorted(notes, key=lambda each: each.place)),
        tuple(sorted(reading.problems, key=lambda each: each.place)),
    )


_Nearby = Mapping[Path, tuple[SourceFile, Import, SourceFile]]
"""Of files that are not read: who imports them, by which import, and the files themselves."""


class _Reading:
    """The files that are read, and what they import."""

    def __init__(self, listing: Listing, forbidden: Sequence[str]) -> None:
        self.files: list[SourceFile] = []
        self.imports: dict[Path, list[Import]] = {}
        self.problems = [Problem(Place(path), message) for path, message in listing.problems]
        self._forbidden = forbidden
        self._read(listing.files)

    def add(self, nearby: _Nearby) -> bool:
        """Read these files too; False if there are none."""
        self._read([file for _, _, file in nearby.values()])
        return bool(nearby)

    def reached(self, starts: Sequence[Path]) -> dict[Path, tuple[Step, ...]]:
        """Find the importers of each file, as `graph.chains`."""
        return chains(link(self.files, self.imports), starts)

    def nearby(self, reached: Container[Path]) -> _Nearby:
        """Find the modules near these files that they import, and that are not read."""
        read = {file.path for file in self.files}
        found: dict[Path, tuple[SourceFile, Import, SourceFile]] = {}
        for file in self.files:
            for each in self.imports.get(file.path, ()) if file.path in reached else ():
                if _forbidden_in(each, self._forbidden)[1]:
                    continue
                for target in modules_nearby(file, each):
                    if target.path not in read:
                        found.setdefault(target.path, (file, each, target))
        return found

    def _read(self, files: Iterable[SourceFile]) -> None:
        for file in files:
            self.files.append(file)
            try:
                self.imports[file.path] = list_imports(read_units(file.path))
            except UnreadableError as exc:
                place = Place(file.shown, exc.cell, exc.line, exc.column)
                self.problems.append(Problem(place, str(exc)))


def _left_out(nearby: Sequence[tuple[SourceFile, Import, SourceFile]]) -> list[Problem]:
    """Say once which modules were left out, however many they are."""
    if not nearby:
        return []
    file, asked, target = nearby[0]
    more = len(nearby) - 1
    others = f", and further on {more} other{'s' * (more > 1)}" if more else ""
    message = (
        f"this imports {target.shown}{others}: not among the paths, and not looked into; name "
        "what else there is, or follow the imports of a program with --entry"
    )
    return [Problem(_place(file, asked), message)]


def _findings(
    file: SourceFile,
    imports: Sequence[Import],
    forbidden: Sequence[str],
    reached: Mapping[Path, tuple[Step, ...]],
    shown: Mapping[Path, str],
) -> list[Finding]:
    importers = tuple(Place(shown[s.importer], s.cell, s.line) for s in reached[file.path])
    found = []
    for each in imports:
        module, rule = _forbidden_in(each, forbidden)
        if rule:
            found.append(Finding(_place(file, each), module, rule, each.function, importers))
    return found


def _forbidden_in(asked: Import, forbidden: Sequence[str]) -> tuple[str, str]:
    """Tell which module of an import is forbidden, and by which name; "" if none is."""
    if asked.level:
        return "", ""
    if not asked.is_whole:  # "omni.usd." is below it, whatever follows; "omni" may become omnibus
        known = asked.module.rpartition(".")[0]
        return f"{asked.module}...", match(known, forbidden) if known else ""
    modules = [asked.module, *(f"{asked.module}.{name}" for name in asked.names)]
    return next(((m, rule) for m in modules if (rule := match(m, forbidden))), ("", ""))


def _notes(file: SourceFile, imports: Sequence[Import], forbidden: Sequence[str]) -> list[Problem]:
    return [
        Problem(_place(file, each), "what is imported here is known only when it runs")
        for each in imports
        if not each.is_whole
        and any(rule.startswith(each.module) for rule in forbidden)
        and not _forbidden_in(each, forbidden)[1]
    ]


def _place(file: SourceFile, each: Import) -> Place:
    return Place(file.shown, each.cell, each.line, each.column)
