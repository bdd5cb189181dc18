"""The files of one log: the live one, and those put aside, in their order.

A log `NAME` that is full is renamed to `NAME.20261123T040542Z`, the UTC second of the rotation; a
second one of that second gets `-1` behind it. A name is never older than the newest there is: when
the clock jumps back, the last second is used on, with the next number. So the names' order is the
order of the writing, whatever the clock does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

__all__ = ["Part", "drafts", "next_part", "parts", "surplus"]

_STAMP = r"(?P<stamp>\d{8}T\d{6}Z)(?:-(?P<number>\d+))?"


class Part(NamedTuple):
    """A file put aside. Parts compare by when that was.

    Attributes:
        stamp: the second, as in its name.
        number: which of that second.
        path: the file; with `.gz` if it is compressed.
    """

    stamp: str
    number: int
    path: Path

    @property
    def key(self) -> tuple[str, int]:
        """What orders parts, and tells them apart, compressed or not."""
        return self.stamp, self.number

    @property
    def compressed(self) -> bool:
        """True if it ends in `.gz`."""
        return self.path.suffix == ".gz"


def parts(live: Path) -> list[Part]:
    """List what was put aside, oldest first.

    Where a part is there plain and compressed, because compressing was interrupted at its very
    end, the plain file is listed.

    Args:
        live: the log's own file.

    Raises:
        OSError: its folder cannot be read; one that is not there has no parts.
    """
    pattern = re.compile(rf"{re.escape(live.name)}\.{_STAMP}(?P<gz>\.gz)?")
    found: dict[tuple[str, int], Part] = {}
    for name in sorted(_names(live.parent)):  # the plain file's name comes first
        match = pattern.fullmatch(name)
        if match:
            part = Part(match["stamp"], int(match["number"] or 0), live.parent / name)
            found.setdefault(part.key, part)
    return [found[key] for key in sorted(found)]


def drafts(live: Path) -> list[Path]:
    """List what compressing left half done."""
    pattern = re.compile(rf"\.{re.escape(live.name)}\.{_STAMP}\.gz\.tmp")
    return [live.parent / name for name in _names(live.parent) if pattern.fullmatch(name)]


def next_part(live: Path, wall: float, last: tuple[str, int] | None) -> Part:
    """Name the part that the live file becomes.

    Args:
        live: the log's own file.
        wall: now, seconds since 1970; whatever a clock may say.
        last: key of the newest part, None if there is none.
    """
    stamp, number = _stamp(wall), 0
    if last is not None and stamp <= last[0]:
        stamp, number = last[0], last[1] + 1
    while True:
        path = live.with_name(f"{live.name}.{stamp}{f'-{number}' if number else ''}")
        if not os.path.lexists(path) and not os.path.lexists(f"{path}.gz"):
            return Part(stamp, number, path)
        number += 1


def surplus(found: Sequence[tuple[Part, int]], most: int) -> list[tuple[Part, int]]:
    """Choose what goes so that the rest takes at most `most` bytes.

    Args:
        found: parts and their bytes, oldest first.
        most: bytes that may stay.
    """
    total = sum(size for _, size in found)
    gone = 0
    while gone < len(found) and total > most:
        total -= found[gone][1]
        gone += 1
    return list(found[:gone])


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _stamp(wall: float) -> str:
    try:
        return datetime.fromtimestamp(max(wall, 0.0), tz=timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    except (OverflowError, ValueError, OSError):
        return "99991231T235959Z"
