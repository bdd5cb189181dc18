"""Rotated files are compressed beside everything else, by a thread that gives way to all others.

The compressed file has a name of its own until it is whole and on the disk; then it is renamed,
and the plain one removed. A kill in between costs the work and nothing else: `recovery.tidy`
removes the half, and the plain file is taken up again when the log is next opened.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue

__all__ = ["Compressor", "compress"]

_BLOCK = 1 << 20
_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say: with gzip's header
_NICE = 19


class Compressor:
    """Compresses files one after another.

    Args:
        failed: told of a file that could not be compressed, and why.
    """

    def __init__(self, failed: Callable[[Path, OSError], None]) -> None:
        self._failed = failed
        self._files: SimpleQueue[Path | None] = SimpleQueue()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, files: Iterable[Path]) -> None:
        """Compress these, in order."""
        for file in files:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="isthmus-compress", daemon=True
                )
                self._thread.start()
            self._files.put(file)

    def close(self, timeout: float) -> None:
        """Leave what is not done for the next time.

        Args:
            timeout: seconds to wait for the thread.
        """
        self._ending.set()
        self._files.put(None)
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        _give_way()
        while (file := self._files.get()) is not None and not self._ending.is_set():
            try:
                compress(file, self._ending.is_set)
            except FileNotFoundError:
                continue  # the quota, or a user, was quicker
            except OSError as error:
                self._failed(file, error)


def compress(file: Path, stop: Callable[[], bool] = lambda: False) -> bool:
    """Replace a file by its compressed form.

    Args:
        file: what to compress; its time of change is kept.
        stop: asked now and then; when true, everything is left as it was.

    Returns:
        Whether it was done.

    Raises:
        OSError: it cannot be read, or not be written.
    """
    draft = file.with_name(f".{file.name}.gz.tmp")
    try:
        if not _write(file, draft, stop):
            draft.unlink(missing_ok=True)
            return False
        os.lstat(file)  # what was removed meanwhile must not come back
        draft.rename(f"{file}.gz")
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    file.unlink(missing_ok=True)
    return True


def _write(file: Path, draft: Path, stop: Callable[[], bool]) -> bool:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    with file.open("rb") as source, draft.open("wb") as target:
        while block := source.read(_BLOCK):
            if stop():
                return False
            target.write(packer.compress(block))
        target.write(packer.flush())
        target.flush()
        found = os.fstat(source.fileno())
        os.fchmod(target.fileno(), found.st_mode & 0o777)
        os.utime(target.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(target.fileno())
    return True


def _give_way() -> None:
    """Run when nobody else wants the processor; Linux has a priority for each thread."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    except OSError:
        return  # without it, it is only less polite
