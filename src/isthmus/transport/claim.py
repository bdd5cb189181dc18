"""Whose a socket's path is: a lock beside it, held for as long as its owner lives.

The lock is an empty file `.NAME.isthmus-lock`, a name nobody else gives a file. What is not
empty, or is not the file that was locked, is somebody else's and stays where it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from dataclasses import dataclass

from ..errors import AddressError

__all__ = ["Claim", "claim"]


@dataclass(eq=False)
class Claim:
    """A path that is ours until it is released, or until the kernel sees our process end.

    Attributes:
        path: of the socket, absolute: the process may change directory.
        lock_path: of the lock, absolute.
        lock: descriptor of the lock.
    """

    path: str
    lock_path: str
    lock: int | None
    _socket: os.stat_result | None = None

    def bound(self) -> None:
        """The socket has just been bound: know it again."""
        with contextlib.suppress(FileNotFoundError):
            self._socket = os.lstat(self.path)

    def release(self) -> None:
        """Remove our socket's path and the lock. Does nothing the second time."""
        if self.lock is None:
            return
        if self._socket is not None:
            _remove(self.path, self._socket)
        mine = os.fstat(self.lock)
        if mine.st_size == 0:
            _remove(self.lock_path, mine)
        self.leave()

    def leave(self) -> None:
        """Let the lock go and leave the files: in a forked child they stay the parent's."""
        lock, self.lock = self.lock, None
        if lock is not None:
            os.close(lock)


def claim(path: str, url: str) -> Claim:
    """Own a path; the kernel frees it on kill -9.

    Args:
        path: where the socket is to be.
        url: the address, for messages.

    Raises:
        AddressError: another process owns it, or the lock's name is taken by another file.
        OSError: the folder cannot be written.
    """
    path = os.path.abspath(path)
    folder, name = os.path.split(path)
    lock_path = os.path.join(folder, f".{name}.isthmus-lock")
    while True:
        lock = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if _take(lock, lock_path, url):
                return Claim(path, lock_path, lock)
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # its last owner has just removed it: make a new one


def _take(lock: int, lock_path: str, url: str) -> bool:
    """Lock an open file; False if its path names it no longer."""
    found = os.fstat(lock)
    if not stat.S_ISREG(found.st_mode) or found.st_size:
        raise AddressError(
            f"{lock_path!r} is no lock of isthmus (expected an empty file); "
            "move it away or choose another path"
        )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AddressError(
            f"{url!r} is in use by another process; stop it or choose another path"
        ) from None
    try:
        return os.path.samestat(found, os.lstat(lock_path))
    except FileNotFoundError:
        return False


def _remove(path: str, ours: os.stat_result) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(ours, os.lstat(path)):
            os.unlink(path)
