"""Name the known faults in a traceback or log.

`FAULTS` is the one table: `explain` reads it, `isthmus doctor --explain` prints it, and
docs/TROUBLESHOOTING.md is written from it. The rows are in the `faults_*` modules, by subject.

A log comes as it is: megabytes of it, coloured, each line behind the name of its process, with
consequences before and after the cause. So patterns never cross a line, never assume its start,
and every line is explained once, by the first row that fits it; rows that name causes come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .base import Fault
from .compiled import COMPILED_FAULTS
from .isaac import ISAAC_FAULTS
from .python import PYTHON_FAULTS
from .system import SYSTEM_FAULTS

__all__ = ["FAULTS", "Fault", "Match", "explain", "fault"]

FAULTS: tuple[Fault, ...] = (*PYTHON_FAULTS, *COMPILED_FAULTS, *ISAAC_FAULTS, *SYSTEM_FAULTS)

MAX_LINE = 240
"""Characters shown of a line."""

# Colours and titles of terminals. Bounded: a log may hold a million escapes that never end.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|.)?"
)
_FRAME = re.compile(r'File "([^"\n]{1,400})", line \d+')
_VERSION = re.compile(r"\d+\.\d+")
_RUNTIME = re.compile(r"\[runtime\.[\w-]+\]")
_FRAME_REACH = 1200  # characters before the error in which the file it came from is looked for


@dataclass(frozen=True, slots=True)
class Match:
    """One known fault in a text.

    Attributes:
        fault: the row of the table.
        line: the line that gave it away, without colours, at most `MAX_LINE` characters.
        number: of that line, from 1.
        what: the part of the line that differs from case to case, such as a module; may be "".
        frame: the file to blame, as far as the text names one; may be "".
        count: lines that say the same.
    """

    fault: Fault
    line: str
    number: int
    what: str = ""
    frame: str = ""
    count: int = 1

    @property
    def fix(self) -> str:
        """What to do, for the version and the runtime that the text speaks of."""
        text, version = self.fault.fix, _VERSION.search(self.what)
        if self.fault.version and version:
            text = text.replace(self.fault.version, version[0])
        runtime = _RUNTIME.search(self.line)
        return text.replace("[runtime.NAME]", runtime[0]) if runtime else text


def explain(text: str) -> list[Match]:
    """Find the known faults in a traceback or log.

    Args:
        text: any text.

    Returns:
        Each fault once, at the first line that shows it: causes before what follows from them, and
        what comes first in the text before what comes later. Empty if nothing is known.
    """
    text = _plain(text)
    taken: set[int] = set()
    found = []
    for row in sorted(FAULTS, key=lambda row: row.rank):
        lines = _lines(row, text, taken)
        if lines:
            first = min(lines)
            found.append((row.rank, first, _match(row, text, first, lines[first], len(lines))))
            taken.update(lines)
    return [match for _, _, match in sorted(found, key=lambda each: each[:2])]


def fault(name: str) -> Fault:
    """Look up one row of the table.

    Raises:
        KeyError: there is no such row.
    """
    return _by_id()[name]


@cache
def _by_id() -> dict[str, Fault]:
    return {row.id: row for row in FAULTS}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _plain(text: str) -> str:
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _lines(row: Fault, text: str, taken: set[int]) -> dict[int, re.Match[str]]:
    """Find the lines that show a fault, by where they begin; without those explained before."""
    lines: dict[int, re.Match[str]] = {}
    for start, found in _findings(row, text):
        if start not in taken:
            lines.setdefault(start, found)
    return lines


def _findings(row: Fault, text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """Find where its patterns are, and where that line begins; looks at no character twice."""
    for pattern in row.patterns:
        start = looked = 0
        for found in _compiled(pattern).finditer(text):
            start = text.rfind("\n", looked, found.start()) + 1 or start
            looked = found.start()
            yield start, found


def _match(row: Fault, text: str, start: int, found: re.Match[str], count: int) -> Match:
    if row.place:
        frames = _compiled(row.place).findall(text[found.end() : found.end() + _FRAME_REACH])[:1]
    else:
        frames = _FRAME.findall(text[max(0, found.start() - _FRAME_REACH) : found.start()])
    return Match(
        fault=row,
        line=_excerpt(text, start, found),
        number=text.count("\n", 0, start) + 1,
        what=found.groupdict().get("what") or "",
        frame=frames[-1] if frames else "",
        count=count,
    )


def _excerpt(text: str, start: int, found: re.Match[str]) -> str:
    """Cut a line to what can be shown, keeping what was found in it."""
    end = text.find("\n", found.start())
    end = len(text) if end < 0 else end
    if end - start <= MAX_LINE:
        return text[start:end].strip()
    first = max(start, min(found.start() - 40, end - MAX_LINE + 6))
    last = min(end, first + MAX_LINE - 6)
    head = "..." if first > start else ""
    tail = "..." if last < end else ""
    return head + text[first:last].strip() + tail
