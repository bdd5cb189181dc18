"""Find forbidden imports in programs without running them: `isthmus guard check`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .files import SourceFile, list_files
from .graph import Step, chains, link
from .hook import match
from .imports import Import, list_imports
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
        notes: imports whose module is known only when they run, and may be a forbidden one.
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
        entries: programs; with any, what they do not come to import is left alone.
    """
    listing = list_files([*paths, *entries])
    problems = [Problem(Place(path), message) for path, message in listing.problems]
    imports: dict[Path, list[Import]] = {}
    for file in listing.files:
        try:
            imports[file.path] = list_imports(read_units(file.path))
        except UnreadableError as exc:
            place = Place(file.shown, exc.cell, exc.line, exc.column)
            problems.append(Problem(place, str(exc)))
    starts = [file.path for file in list_files(entries).files]
    reached = chains(link(listing.files, imports), starts)
    shown = {file.path: file.shown for file in listing.files}
    checked = [file for file in listing.files if file.path in reached]
    names = tuple(forbidden)
    findings = [
        finding
        for file in checked
        for finding in _findings(file, imports.get(file.path, ()), names, reached, shown)
    ]
    notes = [note for file in checked for note in _notes(file, imports.get(file.path, ()), names)]
    return Report(
        len(checked),
        tuple(sorted(findings, key=lambda each: each.place)),
        tuple(sorted(notes, key=lambda each: each.place)),
        tuple(sorted(problems, key=lambda each: each.place)),
    )


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
