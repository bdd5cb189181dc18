"""What is on disk about a run that is up: its lock, its record, and its directory.

The lock is held by the supervisor *and* by every warden, which inherit its descriptor: as long as
anything of a run is alive, the lock is taken; the kernel lets go of it when the last one has gone,
however that came. So a lock that can be taken belongs to a run that is over.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isthmus.errors import SupervisionError
from isthmus.runtimes.state import StateFolder

__all__ = [
    "ASKED",
    "LOGS",
    "UP",
    "RunLock",
    "is_held",
    "make_run_folder",
    "private_folder",
    "up_folder",
    "write_json",
]

LOGS = "logs"
UP = "up.json"
ASKED = ".asked"
"""Suffix of what `isthmus down` leaves beside a record before it sends SIGTERM."""

_MAX_BASE = 40  # bytes; a Unix socket's path may have 107 in all


class RunLock:
    """The lock of one run, held until the supervisor and all wardens have gone.

    Args:
        folder: of the runs that are up.
        run_id: of this one.

    Raises:
        SupervisionError: the folder cannot be written.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self.path = folder / f"{run_id}.lock"
        self.record = folder / f"{run_id}.json"
        self.asked = folder / f"{run_id}{ASKED}"
        draft = folder / f".{run_id}.{secrets.token_hex(4)}"
        try:
            self.descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
            draft.rename(self.path)  # whoever sees it sees it taken
        except OSError as exc:
            raise SupervisionError(f"cannot write in {folder}: {exc.strerror}") from exc

    def release(self) -> None:
        """Forget the run: it has ended well."""
        try:
            for file in (self.record, self.asked, self.path):
                file.unlink(missing_ok=True)
        finally:
            os.close(self.descriptor)


def is_held(path: Path) -> bool:
    """Tell whether anything of a run is alive, by its lock.

    Raises:
        PermissionError: it is another user's.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two may look at once
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def up_folder(state: StateFolder) -> Path:
    """Make the folder of the runs that are up.

    Raises:
        SupervisionError: it cannot be made.
    """
    try:
        return state.up
    except OSError as exc:
        raise SupervisionError(f"cannot make {state.root}/up: {exc.strerror}") from exc


def make_run_folder(runs: Path, run_id: str) -> Path:
    """Make a run's directory with a folder for its logs.

    Raises:
        SupervisionError: it cannot be made.
    """
    folder = (runs / run_id).absolute()
    try:
        (folder / LOGS).mkdir(parents=True)
    except OSError as exc:
        raise SupervisionError(f"cannot make {folder / LOGS}: {exc.strerror}") from exc
    return folder


def private_folder(environ: Mapping[str, str]) -> str:
    """Name the folder of a run's sockets; the first warden makes it."""
    base = environ.get("XDG_RUNTIME_DIR", "")
    usable = base.startswith("/") and len(os.fsencode(base)) <= _MAX_BASE
    if not usable or not os.path.isdir(base) or not os.access(base, os.W_OK | os.X_OK):
        base = "/tmp"
    return f"{base.rstrip('/')}/isthmus-{secrets.token_hex(6)}"


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Replace a file at once: a reader sees the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
