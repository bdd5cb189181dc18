"""Between which two processes a variable appeared, by the environments they were started with.

Linux keeps of every process the environment it was started with. A variable that a shell's children
have and the shell was not started with was set in that shell: typed, or read from a start-up file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ancestor", "ancestors", "setter_of"]

_MOST = 64  # processes; a chain of parents that is longer is damaged


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A process above this one.

    Attributes:
        pid: its number.
        name: of its program, such as "bash".
        environ: what it was started with; None if that is not ours to read.
    """

    pid: int
    name: str
    environ: dict[str, str] | None

    def __str__(self) -> str:
        """Name it for a person."""
        return f"{self.name} (process {self.pid})"


def ancestors(proc: Path, pid: int) -> list[Ancestor]:
    """List the parents of a process, the nearest first.

    Args:
        proc: where the process file system is, `/proc`.
        pid: of the process.
    """
    found: list[Ancestor] = []
    parent = _parent(proc, pid)
    while parent > 0 and len(found) < _MOST:
        found.append(Ancestor(parent, _name(proc, parent), _environ(proc, parent)))
        parent = _parent(proc, parent)
    return found


def setter_of(name: str, value: str, parents: list[Ancestor]) -> Ancestor | None:
    """Say in which process a variable got its value.

    Returns:
        The nearest parent that was started without it; None if all that can be read had it.
    """
    for parent in parents:
        if parent.environ is None:
            return None
        if parent.environ.get(name) != value:
            return parent
    return None


def _parent(proc: Path, pid: int) -> int:
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):  # it has ended, or this is no Linux
        return 0


def _name(proc: Path, pid: int) -> str:
    try:
        return (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"


def _environ(proc: Path, pid: int) -> dict[str, str] | None:
    try:
        data = (proc / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    pairs = (os.fsdecode(entry).partition("=") for entry in data.split(b"\0") if b"=" in entry)
    return {name: value for name, _, value in pairs}
