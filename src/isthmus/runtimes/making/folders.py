"""The folder of an environment while it is made, so that whoever is killed then leaves no trouble.

::

    NAME                what is used
    .NAME.unfinished    says that NAME is being made, and which folder that is; removed at the end
    .NAME.old-XXXX      what NAME was, being removed
    NAME.lock           held meanwhile

Removing takes a while, and half an environment cannot be told from somebody's files. So it is moved
aside first, in one step. What is half made is known by its note.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus.errors import EnvironmentSetupError

__all__ = [
    "empty_folder",
    "finish",
    "held",
    "held_locks",
    "is_unfinished",
    "remove_environment",
]


class _Locks(threading.local):
    """The descriptors of the locks that a thread holds."""

    def __init__(self) -> None:
        self.held: tuple[int, ...] = ()


_LOCKS = _Locks()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep two builds out of one folder; a second one waits and then finds it done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":
        yield
        return
    import fcntl

    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = _LOCKS.held
        _LOCKS.held = (*before, file.fileno())
        try:
            yield
        finally:
            _LOCKS.held = before


def held_locks() -> tuple[int, ...]:
    """List the locks of this thread, for a tool that is started under them.

    If we are killed, the tool goes on writing: a lock lasts as long as anybody has it open.
    """
    return _LOCKS.held


def empty_folder(folder: Path) -> None:
    """Make an empty folder for an environment, in place of the one that is there.

    Until `finish` is called, whatever is in it is taken for half an environment.

    Raises:
        EnvironmentSetupError: there is something else.
    """
    remove_environment(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _note(folder).write_text(_number(folder), encoding="utf-8")


def finish(folder: Path) -> None:
    """Say that an environment is whole."""
    _note(folder).unlink(missing_ok=True)


def is_unfinished(folder: Path) -> bool:
    """Tell whether an environment is being made, or was when its maker was killed."""
    try:
        # The number: somebody may have put a folder of their own in place of the one we made.
        return _note(folder).read_text(encoding="utf-8") == _number(folder)
    except OSError:
        return False


def remove_environment(folder: Path) -> None:
    """Remove an environment, and what is left of those that were there before.

    Raises:
        EnvironmentSetupError: the folder is something else.
    """
    for left in folder.parent.glob(f".{folder.name}.old-*"):
        shutil.rmtree(left, ignore_errors=True)  # what cannot be removed is in nobody's way
    if not os.path.lexists(folder):
        return
    if not _is_environment(folder):
        raise EnvironmentSetupError(
            f"expected a virtual environment or nothing at {folder}, found other files; "
            "move them away"
        )
    aside = folder.with_name(f".{folder.name}.old-{os.urandom(4).hex()}")
    folder.rename(aside)
    shutil.rmtree(aside)


def _is_environment(folder: Path) -> bool:
    if os.path.islink(folder) or not os.path.isdir(folder):
        return False
    whole = os.path.isfile(folder / "pyvenv.cfg")
    return whole or is_unfinished(folder) or not any(folder.iterdir())


def _note(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.unfinished")


def _number(folder: Path) -> str:
    found = os.stat(folder)
    return f"{found.st_dev} {found.st_ino}\n"
