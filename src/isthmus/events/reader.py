"""Reading a log: all its files in order, also while it is being written and rotated.

A reader takes what is there; called again, it goes on where it was. The live file is opened first
and kept: if it is put aside meanwhile, what is left of it is read from there before the newer
files. A line that was seen is known by its number, so a file that was compressed under the reader's
hands is not read twice.

What cannot be read is noted (`damage`) and passed over. Half a line at the end of the live file is
no damage: its writer may be in the middle of it.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..errors import EventLogError
from .encode import MAX_LINE
from .rotation import Part, parts

__all__ = ["Damage", "LogLine", "LogReader", "Missed"]

_HEAD = re.compile(rb'\{"seq":(\d{1,18}),"boot":"(\w{1,64})"')
_LONGEST = MAX_LINE + 1
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # NONBLOCK: a FIFO must not hold us up


class LogLine(NamedTuple):
    """One event of a log.

    Attributes:
        text: the line as it is in the file, without its end.
        event: what it says.
        seq: its number; -1 in a log that has none.
        boot: token of its writer's life, "" in a log that has none.
    """

    text: bytes
    event: dict[str, Any]
    seq: int
    boot: str


class Damage(NamedTuple):
    """Something that could not be read.

    Attributes:
        path: the file.
        what: in words.
    """

    path: Path
    what: str


class Missed(NamedTuple):
    """Numbers that came neither as lines nor as lost.

    Attributes:
        boot: token of a writer's life.
        first: the first of them.
        last: the last of them.
    """

    boot: str
    first: int
    last: int


class LogReader:
    """Reads the events of a log, in order.

    Args:
        live: the log's own file. It may be missing, as at the instant of a rotation.
        needle: only lines with these bytes in them are looked at; makes a search fast.
    """

    def __init__(self, live: Path, *, needle: bytes = b"") -> None:
        self.live = live
        self.damage: list[Damage] = []
        self.missed: list[Missed] = []
        """Holes between the lines read, as of files that were removed before they were read."""
        self._needle = needle
        self._tail: _Tail | None = None
        self._done: tuple[str, int] | None = None  # key of the newest part that was read
        self._seen: dict[bytes, int] = {}  # boot -> last number

    def read(self) -> Iterator[LogLine]:
        """Give what is there and was not given before.

        Raises:
            EventLogError: the log's folder, or its file, may not be read.
        """
        try:
            while True:
                self._tail = self._tail or _Tail.open(self.live, self.damage)
                yield from self._older()
                if self._tail is None:
                    return
                moved = self._tail.is_moved()  # asked first: nothing is added to a moved file
                yield from self._parse(self._tail.path, self._tail.lines(self.damage))
                if not moved:
                    return
                self.close()
        except OSError as error:
            raise EventLogError(f"cannot read {self.live}: {error.strerror}") from error

    def read_file(self, path: Path) -> Iterator[LogLine]:
        """Give the events of one file that was put aside.

        Raises:
            EventLogError: it cannot be opened.
        """
        try:
            yield from self._parse(path, _lines_of(path, self.damage))
        except OSError as error:
            raise EventLogError(f"cannot read {path}: {error.strerror}") from error

    def unfinished(self) -> int:
        """Bytes of the half line at the end of the live file."""
        return self._tail.rest() if self._tail is not None else 0

    def close(self) -> None:
        """Let go of the live file; a later `read` goes on with the newer ones."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _older(self) -> Iterator[LogLine]:
        """Read the parts put aside since, up to the one that is open as the tail."""
        for part in parts(self.live):
            if self._done is not None and part.key <= self._done:
                continue
            self._done = part.key
            if self._tail is not None and self._tail.is_file(part.path):
                return
            yield from self._part(part)

    def _part(self, part: Part) -> Iterator[LogLine]:
        other = Path(f"{part.path}.gz")
        try:
            yield from self._parse(part.path, _lines_of(part.path, self.damage))
        except FileNotFoundError:  # compressed, or removed, since it was listed
            if other.exists():
                yield from self._parse(other, _lines_of(other, self.damage))

    def _parse(self, path: Path, lines: Iterator[bytes]) -> Iterator[LogLine]:
        for line in lines:
            head = _HEAD.match(line)
            boot, seq = (head[2], int(head[1])) if head else (b"", -1)
            if head:
                before = self._seen.get(boot, -1)
                if seq <= before:
                    continue
                self._seen[boot] = seq
                if seq > before + 1:
                    self._note_missed(boot, before + 1, seq, line)
            if self._needle not in line:
                continue
            event = _event(line)
            if event is None:
                self.damage.append(Damage(path, f"no event: {line[:60]!r}"))
                continue
            yield LogLine(line, event, seq, boot.decode("ascii"))

    def _note_missed(self, boot: bytes, first: int, seq: int, line: bytes) -> None:
        """Note a hole before a line, as far as that line does not say itself what is in it."""
        event = _event(line) or {}
        said = event.get("first_seq") if event.get("type") == "dropped" else None
        last = (said if isinstance(said, int) else seq) - 1
        if last >= first:
            self.missed.append(Missed(boot.decode("ascii"), first, last))


class _Tail:
    """The live file, read as far as its lines are whole."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        found = os.fstat(file.fileno())
        self._identity = (found.st_dev, found.st_ino)

    @classmethod
    def open(cls, path: Path, damage: list[Damage]) -> _Tail | None:
        """Open it; None if it is not there, or nothing that can be read to an end."""
        try:
            descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            return None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return cls(path, os.fdopen(descriptor, "rb"))
        os.close(descriptor)
        found = Damage(path, "no regular file; not read")
        if found not in damage:
            damage.append(found)
        return None

    def is_file(self, path: Path) -> bool:
        """Tell whether this is the name of the open file."""
        try:
            found = path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def is_moved(self) -> bool:
        """Tell whether the open file was put aside, or removed."""
        return not self.is_file(self.path)

    def lines(self, damage: list[Damage]) -> Iterator[bytes]:
        """Give the whole lines that were added."""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)  # somebody cut it; what was seen is known by its number
        while True:
            start = self._file.tell()
            line = self._file.readline(_LONGEST)
            if not line.endswith(b"\n"):
                if len(line) < _LONGEST:
                    self._file.seek(start)
                    return
                _skip(self._file, self.path, damage)
                continue
            yield line[:-1]

    def rest(self) -> int:
        """Bytes behind the last whole line."""
        return max(os.fstat(self._file.fileno()).st_size - self._file.tell(), 0)

    def close(self) -> None:
        self._file.close()


def _lines_of(path: Path, damage: list[Damage]) -> Iterator[bytes]:
    """Give the lines of a file that nobody writes any more."""
    opened: IO[bytes] = gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[assignment]
    with opened as file:
        try:
            while line := file.readline(_LONGEST):
                if line.endswith(b"\n"):
                    yield line[:-1]
                elif len(line) >= _LONGEST:
                    _skip(file, path, damage)
                else:
                    damage.append(Damage(path, f"ends in half a line of {len(line)} bytes"))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            damage.append(Damage(path, f"damaged from here on: {error}"))


def _skip(file: IO[bytes], path: Path, damage: list[Damage]) -> None:
    """Pass over a line that is too long to be an event."""
    damage.append(Damage(path, f"a line of more than {MAX_LINE} bytes"))
    while (rest := file.readline(_LONGEST)) and not rest.endswith(b"\n"):
        pass


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
