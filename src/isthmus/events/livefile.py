"""The file that is being written: whole lines or nothing.

What a write could do only in part is cut back to the last whole line, so that a full disk leaves no
half line. The file is opened without following a link: whoever may write the folder cannot have
another file written.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ..errors import EventLogError
from .recovery import Torn, mend

__all__ = ["LiveFile"]

_FLAGS = (
    os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
)  # NONBLOCK: a FIFO of that name must not hold us up


class LiveFile:
    """One log's own file.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        """Bytes in it."""
        self._descriptor = -1
        self._identity = (0, 0)

    @property
    def is_open(self) -> bool:
        """True between `open` and `close`."""
        return self._descriptor >= 0

    def open(self) -> Torn | None:
        """Open or make the file, and see that it ends with a whole line.

        Returns:
            The half line that was cut off, None if there was none.

        Raises:
            EventLogError: the name is a link, no regular file, or a file that is no log.
            OSError: it cannot be opened or cut.
        """
        descriptor = _open(self.path)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise _no_file(self.path)
            torn = mend(descriptor, self.path)
            self.size = os.fstat(descriptor).st_size
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._identity = (found.st_dev, found.st_ino)
        return torn

    def is_gone(self) -> bool:
        """Tell whether what was written is no longer under that name.

        The file was removed, renamed, replaced, or cut by somebody else.
        """
        try:
            found = os.lstat(self.path)
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != self._identity or found.st_size < self.size

    def append(self, data: bytes) -> tuple[int, OSError | None]:
        """Write lines, as many as there is room for.

        Args:
            data: whole lines, with their ends.

        Returns:
            Bytes written, all of whole lines, and what kept the others from being written.
        """
        written, error = 0, None
        left = memoryview(data)
        try:
            while written < len(data):
                written += os.write(self._descriptor, left[written:])
        except OSError as exc:
            error = exc
        whole = written if error is None else data.rfind(b"\n", 0, written) + 1
        self.size += whole
        if whole < written:
            self._cut()
        return whole, error

    def sync(self) -> None:
        """Have what was written reach the disk.

        Raises:
            OSError: it did not.
        """
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _cut(self) -> None:
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            self.close()  # the half line is mended when the file is opened again


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS, 0o666)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_file(path) from exc
        raise


def _no_file(path: Path) -> EventLogError:
    what = "a symbolic link" if path.is_symlink() else "no regular file"
    return EventLogError(
        f"{path} is {what}; a log is written to a file of its own: remove it, or name another "
        "folder for the logs"
    )
