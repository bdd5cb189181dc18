"""A log of hash mismatches as it lies on the disk: the live file, and those put aside by its side.

Whatever cannot be read is counted and said, and does not hide the rest.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ...errors import RecordError
from .mismatch import Mismatch, parse
from .ordering import ordered

__all__ = ["MAX_LINE", "NAME", "DriftLog", "find_log", "read_log"]

NAME = "hash_mismatch_events.jsonl"

MAX_LINE = 4 << 20
"""Bytes of a line; a longer one is no line of such a log."""

_PART = re.compile(r"\.\d[\dA-Za-z:._+-]*")
"""What a rotated file has behind the live one's name: when it was put aside, and perhaps `.gz`."""

_OF_THE_LOG = ("log_", "dropped", "compress_failed")
"""How the kinds of events begin that a log writes about itself."""


@dataclass
class DriftLog:
    """What was found.

    Attributes:
        files: those that were read, oldest first.
        mismatches: in their order, see `ordering`.
        lines: that were not empty.
        unreadable: torn lines, and what is no JSON.
        own: what the log says of itself: opened, closed, torn.
        foreign: JSON that is neither.
        lost: mismatches that the writer says it had to drop.
        notes: files that could not be read to their end, and why; clocks that were set.
    """

    files: list[Path] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    lines: int = 0
    unreadable: int = 0
    own: int = 0
    foreign: int = 0
    lost: int = 0
    notes: list[str] = field(default_factory=list)


def find_log(path: Path | str) -> list[Path]:
    """The files of a log, oldest first.

    Args:
        path: the live file, which may have been rotated away, or the folder it is in.

    Raises:
        RecordError: there is none.
    """
    live = Path(path)
    if live.is_dir():
        live = live / NAME
    found = [file for file in _parts(live) if file.suffix != ".gz" or not _plain(file).exists()]
    if live.is_file():
        found.append(live)
    if not found:
        raise RecordError(
            f"{live}: no such file; a gateway writes it at the first mismatch, in its --log-dir. "
            "If it served with this folder, there was none"
        )
    return found


def read_log(path: Path | str) -> DriftLog:
    """Read a log and everything of it that was put aside.

    Args:
        path: as `find_log`.

    Raises:
        RecordError: there is none, or not one file of it can be opened.
    """
    log = DriftLog()
    files = find_log(path)
    for file in files:
        try:
            with _open(file) as stream:
                log.files.append(file)
                for line in _lines(stream):
                    _take(log, line)
        except (OSError, EOFError, zlib.error) as exc:
            log.notes.append(f"{file}: not read to its end: {exc}")
    if not log.files:
        raise RecordError("; ".join(log.notes))
    log.mismatches, notes = ordered(log.mismatches)
    log.notes += notes
    return log


def _parts(live: Path) -> list[Path]:
    try:
        names = [file.name for file in live.parent.iterdir()]
    except OSError:
        return []
    size = len(live.name)
    behind = [n for n in names if n.startswith(live.name) and _PART.fullmatch(n[size:])]
    return sorted(live.parent / name for name in behind)


def _plain(file: Path) -> Path:
    """The file that a compressed one was made of; beside it, the compressed one may be half."""
    return file.with_suffix("")


def _open(file: Path) -> IO[bytes]:
    if file.suffix == ".gz":
        return gzip.open(file)  # type: ignore[return-value]
    return file.open("rb")


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE):
        whole = line.strip(b"\0 \t\r\n")  # a power cut leaves zeros
        if whole:
            yield whole


def _take(log: DriftLog, line: bytes) -> None:
    log.lines += 1
    try:
        found = parse(line)
    except ValueError:
        log.unreadable += 1
        return
    if isinstance(found, Mismatch):
        log.mismatches.append(found)
    elif str(found.get("type", "")).startswith(_OF_THE_LOG):
        log.own += 1
        log.lost += _lost(found)
    else:
        log.foreign += 1


def _lost(note: dict[str, Any]) -> int:
    count = note.get("count") if note["type"] == "dropped" else 0
    return count if isinstance(count, int) and count > 0 else 0
