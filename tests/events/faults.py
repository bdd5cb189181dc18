"""An operating system that fails where a test says, for one module and nobody else."""

from __future__ import annotations

import errno
import os
from typing import Any


class Faulty:
    """The module `os` with some functions replaced."""

    def __init__(self, **replaced: Any) -> None:
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class Disk:
    """Has room for some bytes; a write that does not fit is done in part, as a kernel does it."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room <= 0:
            raise fault(errno.ENOSPC)
        done = os.write(descriptor, bytes(data)[: self.room])
        self.room -= done
        return done


def fault(number: int) -> OSError:
    """Make the error of a number, as the system words it."""
    return OSError(number, os.strerror(number))


def failing(number: int) -> Any:
    """Make a function that always fails so."""

    def fail(*_: object) -> None:
        raise fault(number)

    return fail
