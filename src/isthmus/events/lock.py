"""One writer for a log: a lock beside it, held as long as the writer lives.

The kernel lets go of it when the process ends, however that came. The file stays, and says who had
it last.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ..errors import EventLogError

__all__ = ["WriterLock"]


class WriterLock:
    """The right to write a log.

    Args:
        live: the log's own file; the lock is `.NAME.lock` beside it.
    """

    def __init__(self, live: Path) -> None:
        self.live = live
        self.path = live.with_name(f".{live.name}.lock")
        self._descriptor = -1

    def take(self) -> None:
        """Take the lock, or make sure that the one held is still the one beside the log.

        Raises:
            EventLogError: another writer has it.
            OSError: its file cannot be opened.
        """
        if self._descriptor >= 0 and self._is_there():
            return
        self.release()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self.path, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _text(descriptor)
            os.close(descriptor)
            raise EventLogError(
                f"{self.live} is being written by {holder}; end that, or name another folder for "
                "the logs"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _write(descriptor, f"process {os.getpid()}")

    def release(self) -> None:
        """Let another have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _is_there(self) -> bool:
        try:
            found, held = os.lstat(self.path), os.fstat(self._descriptor)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


def _text(descriptor: int) -> str:
    text = os.pread(descriptor, 64, 0).decode("ascii", "replace")
    return text if text.isprintable() and text else "another process"


def _write(descriptor: int, text: str) -> None:
    """Say who holds the lock; a full disk is no reason not to hold it."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode("ascii"), 0)
    except OSError:
        return
