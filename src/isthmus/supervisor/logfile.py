"""The whole output of one process, on disk, within bounds.

A part that has grown to `PART_SIZE` is put aside as `NAME.log.1`, the older ones move up, and what
would be `NAME.log.KEPT` plus one is dropped: a process that floods fills this much and no more.
A disk that is full, or any other trouble with the file, is said once and counted; the run goes on,
and so does the log when the trouble is over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["KEPT", "PART_SIZE", "LogFile"]

PART_SIZE = 32 << 20
"""Bytes of one part."""
KEPT = 7
"""Older parts that are kept: 256 MiB of a process in all."""


class LogFile:
    """Writes what it is given, and never raises for it.

    Args:
        path: of the current part; made at the first `write`.
        say: told of trouble, and of the first rotation.
        part_size: bytes after which a new part is begun.
        kept: how many older ones are kept.
    """

    def __init__(
        self,
        path: Path,
        say: Callable[[str], None],
        *,
        part_size: int = PART_SIZE,
        kept: int = KEPT,
    ) -> None:
        self.path = path
        self._say = say
        self._part_size = part_size
        self._kept = kept
        self._file = -1
        self._size = 0
        self._lost = 0
        self._rotated = False

    def write(self, data: bytes) -> None:
        """Append to the log."""
        left = memoryview(data)
        try:
            self._prepare()
            while left:
                left = left[self._write(left) :]
        except OSError as error:
            if not self._lost:
                self._say(f"cannot write {self.path}: {error.strerror}; its output is not kept")
            self._lost += len(left)
            self._close()

    def close(self) -> None:
        """Say what was lost, and let go of the file."""
        if self._lost:
            self._say(f"{self._lost} bytes are missing at the end of {self.path}")
        self._close()

    def _prepare(self) -> None:
        """Open the log, a new part of it if this one is full, and note what is missing."""
        if self._size >= self._part_size:
            self._rotate()
        if self._file < 0:
            self._open()
        if self._lost:
            self._write(f"[isthmus: {self._lost} bytes are missing here]\n".encode())
            self._lost = 0

    def _write(self, data: bytes | memoryview) -> int:
        written = os.write(self._file, data)
        self._size += written
        return written

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o666)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        self._close()
        for number in range(self._kept, 0, -1):
            older = self._part(number - 1)
            if older.exists():
                older.replace(self._part(number))
        self._size = 0
        if not self._rotated:
            self._rotated = True
            whole = self._part_size * (self._kept + 1) >> 20
            self._say(f"{self.path} goes on in parts; the last {whole} MiB are kept")

    def _part(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
