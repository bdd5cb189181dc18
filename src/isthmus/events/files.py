"""The files of one log as its writer sees them: somewhere to put lines, within bounds."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from .compressing import Compressor
from .livefile import LiveFile
from .lock import WriterLock
from .recovery import tidy
from .rotation import Part, next_part, parts, surplus

__all__ = ["Line", "LogFiles", "Note"]

_CHUNK = 1 << 18  # bytes written at once
_NAMED = 20  # removed files that are named


class Line(NamedTuple):
    """A line and its number."""

    seq: int
    text: bytes


class Note(Protocol):
    """Takes what a log has to say of itself."""

    def __call__(self, type_: str, /, **values: object) -> None:
        """Note one event of `kinds.EVENTS`, without the name of the log."""


class LogFiles:
    """Writes lines, and puts the file aside when it is full. One thread's alone.

    Args:
        path: the live file.
        max_bytes: of a file; only a line that is longer by itself makes one larger.
        quota_bytes: of all files together.
        compress: gzip what was put aside.
        wall: the wall clock, s.
        note: told of what an operator should know.
        compress_failed: told, from another thread, of a file that could not be compressed.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        quota_bytes: int,
        compress: bool,
        wall: Callable[[], float],
        note: Note,
        compress_failed: Callable[[Path, OSError], None],
    ) -> None:
        self.written = 0
        """Lines."""
        self.last_seq = -1
        """Number of the last of them."""
        self.rotations = 0
        self._path = path
        self._max_bytes = max_bytes
        self._limit = max_bytes
        self._aside = 0  # bytes put aside, before they were compressed
        self._aside_most = max(quota_bytes - max_bytes, 0)
        self._quota_bytes = quota_bytes
        self._wall, self._note = wall, note
        self._lock = WriterLock(path)
        self._live = LiveFile(path)
        self._compressor = Compressor(compress_failed) if compress else None
        self._last: tuple[str, int] | None = None  # newest name given to a part
        self._held: tuple[int, int] | None = None  # first and last number in the live file
        self._dirty = False

    @property
    def dirty(self) -> bool:
        """True if something written may not be on the disk yet."""
        return self._dirty

    def open(self) -> None:
        """Take the lock and open the live file, if that is not done; mend what a kill left.

        Raises:
            EventLogError: another writer has it, or there is something else of that name.
            OSError: the folder or the file cannot be made or opened.
        """
        if self._live.is_open:
            if not self._live.is_gone():
                return
            self._forget_file()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        tidy(self._path)
        torn = self._live.open()
        self._limit = self._max_bytes
        if torn is not None:
            self._note("log_torn", bytes=torn.size, text=torn.text)
        self._look_after_parts()

    def write(self, waiting: deque[Line]) -> None:
        """Write lines; what is written is taken off.

        Args:
            waiting: in order. What is noted meanwhile may be appended to it.

        Raises:
            EventLogError: as `open`.
            OSError: as `open`, or the disk is full; the lines not taken off are not written.
        """
        self.open()
        while waiting:
            chunk = self._fitting(waiting)
            if not chunk:
                self._rotate()
                continue
            whole, error = self._live.append(b"".join(chunk))
            done = len(chunk) if error is None else _count(chunk, whole)
            for _ in range(done):
                line = waiting.popleft()
                self.last_seq = line.seq
                self._held = (self._held[0] if self._held else line.seq, line.seq)
            self.written += done
            self._dirty = self._dirty or done > 0
            if error is not None:
                raise error

    def sync(self) -> None:
        """Have what was written reach the disk.

        Raises:
            OSError: it did not.
        """
        if self._dirty and self._live.is_open:
            self._live.sync()
        self._dirty = False

    def close(self) -> None:
        """Let go of everything; a compression that runs is left for the next time."""
        self._live.close()
        if self._compressor is not None:
            self._compressor.close(timeout=1.0)
        self._lock.release()

    def _fitting(self, waiting: deque[Line]) -> list[bytes]:
        """Take as many lines as the file has room for; none if it is full."""
        chunk: list[bytes] = []
        size = 0
        for line in waiting:
            size += len(line.text)
            fits = self._live.size + size <= self._limit
            alone = not chunk and not self._live.size  # whatever its length
            if not (fits or alone) or (chunk and size > _CHUNK):
                break
            chunk.append(line.text)
        return chunk

    def _rotate(self) -> None:
        """Put the live file aside and begin another; if that fails, it grows on for a while."""
        try:
            part = next_part(self._path, self._wall(), self._last)
            os.rename(self._path, part.path)
        except OSError as error:
            self._limit = self._live.size + self._max_bytes
            self._note("rotate_failed", error=error.strerror or str(error))
            return
        size = self._live.size
        self.rotations += 1
        self._last, self._held = part.key, None
        try:
            self.sync()
        finally:
            self._live.close()
        self._live.open()
        self._limit = self._max_bytes
        if self._compressor is not None:
            self._compressor.add([part.path])
        self._aside += size
        if self._aside > self._aside_most:
            self._keep_quota(parts(self._path))

    def _look_after_parts(self) -> None:
        """See what was put aside by those before us: keep within the quota, compress what stays."""
        found = parts(self._path)
        if found:
            self._last = max(found[-1].key, self._last or found[-1].key)
        left = self._keep_quota(found)
        if self._compressor is not None:
            self._compressor.add(part.path for part in left if not part.compressed)

    def _keep_quota(self, found: Sequence[Part]) -> list[Part]:
        """Remove the oldest; what stays."""
        sizes = [(part, _size(part.path)) for part in found]
        gone = surplus(sizes, self._aside_most)
        for part, _ in gone:
            part.path.unlink(missing_ok=True)
        self._aside = sum(size for _, size in sizes[len(gone) :])
        if gone:
            self._note(
                "log_removed",
                removed=[part.path.name for part, _ in gone[:_NAMED]],
                count=len(gone),
                bytes=sum(size for _, size in gone),
                quota_bytes=self._quota_bytes,
            )
        return list(found[len(gone) :])

    def _forget_file(self) -> None:
        """Somebody took the file away, or cut it: what it held is no longer ours."""
        self._live.close()
        self._dirty = False
        if self._held is not None:
            self._note("log_gone", first_seq=self._held[0], last_seq=self._held[1])
            self._held = None


def _count(chunk: list[bytes], size: int) -> int:
    """Count the lines that make up the first `size` bytes."""
    count = 0
    while count < len(chunk) and size >= len(chunk[count]):
        size -= len(chunk[count])
        count += 1
    return count


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # compressed or removed meanwhile
        return 0
