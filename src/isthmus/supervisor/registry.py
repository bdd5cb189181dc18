"""The runs of a project that are up, as another process sees them: look at them, end them."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.errors import SupervisionError
from isthmus.supervisor.identity import boot_id, send_signal, started_at
from isthmus.supervisor.recorded import read_record
from isthmus.supervisor.records import ASKED, is_held
from isthmus.supervisor.warden import remove_tree

__all__ = ["DIED", "ENDING", "UP", "Known", "end", "forget", "known_runs", "strays", "sweep"]

UP = "up"
ENDING = "ending"
"""The supervisor was killed; its wardens are still ending what they own."""
DIED = "died"
"""The supervisor was killed, and nobody is left to do anything."""

_PRIVATE = re.compile(r"/.*/isthmus-[0-9a-f]{12}")
_LOOK_AGAIN = 0.02  # seconds
_AFTER_KILL = 30.0  # seconds that wardens may take
_AFTER_STRAYS = 5.0  # seconds that the kernel may take
_OLD = 3600.0  # seconds after which nobody is still at a draft

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Known:
    """A run that has a record.

    Attributes:
        run_id: its name.
        state: `UP`, `ENDING` or `DIED`.
        record: what its supervisor wrote down last, as `report.facts`.
        file: that record.
        owner: the user whose run it is; "" if it is ours to end.
    """

    run_id: str
    state: str
    record: Mapping[str, Any]
    file: Path
    owner: str = ""

    @property
    def asked(self) -> Path:
        """What is there once `isthmus down` has asked it to end."""
        return self.file.with_suffix(ASKED)

    @property
    def lock(self) -> Path:
        """What is held as long as anything of the run is alive."""
        return self.file.with_suffix(".lock")

    @property
    def supervisor(self) -> tuple[int, int]:
        """Its process number and when it started, as `send_signal` takes them."""
        found = self.record["supervisor"]
        return found["pid"], found["ticks"]


def known_runs(folder: Path, warn: Say) -> list[Known]:
    """List the runs that have a record, oldest first.

    Args:
        folder: of the runs that are up; it need not be there.
        warn: told, in one line, of a record that cannot be used.

    Raises:
        SupervisionError: the folder cannot be read.
    """
    runs = []
    for file in _files(folder):
        if file.suffix != ".json" or file.name.startswith("."):
            continue
        # The lock first: a run that ends well removes its record, then its lock.
        held = _is_held(file.with_suffix(".lock"))
        record = read_record(file, warn)
        if record is None:
            continue
        alive = held is not False and _is_alive(record)
        state = UP if alive else ENDING if held else DIED
        runs.append(Known(file.stem, state, record, file, _owner(file)))
    return runs


def end(run: Known, timeout: float, say: Say) -> None:
    """End a run, and wait until nothing of it is left.

    Args:
        run: which.
        timeout: seconds it may take to stop in order; then its supervisor is killed, and its
            wardens end the processes.
        say: told, in one line, what is done.

    Raises:
        SupervisionError: it belongs to another user, or something of it cannot be ended.
    """
    if run.owner:
        raise SupervisionError(f"run {run.run_id} belongs to another user, {run.owner}")
    if run.state == UP:
        with contextlib.suppress(OSError):  # it only says why the run ended
            run.asked.touch()
        if send_signal(*run.supervisor, signal.SIGTERM) and not _wait_for_lock(run.lock, timeout):
            say(f"{run.run_id} did not stop in {timeout:g} s; killing it")
            send_signal(*run.supervisor, signal.SIGKILL)
    _signal(strays(run.run_id), signal.SIGCONT)  # a warden that was stopped hears nothing
    if not _wait_for_lock(run.lock, _AFTER_KILL):
        say(f"{run.run_id}: its wardens do not end it; killing all that is left")
        _signal(strays(run.run_id), signal.SIGKILL)
        if not _wait_for_lock(run.lock, _AFTER_STRAYS):
            raise SupervisionError(f"run {run.run_id}: some of its processes cannot be ended")
    while left := strays(run.run_id):
        say(f"{run.run_id}: ending {len(left)} that nobody watches any more")
        _signal(left, signal.SIGKILL)
        time.sleep(_LOOK_AGAIN)
    forget(run)


def forget(run: Known) -> None:
    """Remove what a run that died has left on disk; its directory and logs stay.

    Raises:
        SupervisionError: it cannot be removed.
    """
    sockets = str(run.record.get("sockets", ""))
    if _PRIVATE.fullmatch(sockets) and not os.path.islink(sockets):
        remove_tree(sockets)
    try:
        for file in (run.file, run.asked, run.lock):
            file.unlink(missing_ok=True)
    except OSError as exc:
        raise SupervisionError(f"cannot remove {exc.filename}: {exc.strerror}") from exc


def sweep(folder: Path) -> None:
    """Remove what supervisors have left that were killed before they had a record.

    Args:
        folder: of the runs that are up; it need not be there.
    """
    for file in _files(folder):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to remove
            draft = file.name.startswith(".") and time.time() - file.stat().st_mtime > _OLD
            alone = file.suffix in (".lock", ASKED) and not file.with_suffix(".json").exists()
            if draft or (alone and _is_held(file.with_suffix(".lock")) is False):
                file.unlink()


def strays(run_id: str) -> dict[int, int]:
    """Find processes of a run by their environment, where nobody else knows of them.

    Returns:
        Process number -> when it started.
    """
    mark = f"ISTHMUS_RUN_ID={run_id}".encode()
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        ticks = started_at(int(name))
        if ticks is not None and mark in _environ(name).split(b"\0"):
            found[int(name)] = ticks
    return found


def _environ(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "environ").read_bytes()
    except OSError:  # it has ended, or is another user's
        return b""


def _signal(processes: Mapping[int, int], number: int) -> None:
    for pid, ticks in processes.items():
        send_signal(pid, ticks, number)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []  # nothing was ever up
    except OSError as exc:
        raise SupervisionError(f"cannot read {folder}: {exc.strerror}") from exc


def _is_held(lock: Path) -> bool | None:
    """Tell whether a lock is held; None if it is another user's, who alone can tell."""
    try:
        return is_held(lock)
    except PermissionError:
        return None


def _owner(file: Path) -> str:
    """Name the user whose file it is; "" if we may do what they may."""
    try:
        uid = file.stat().st_uid
        return "" if os.geteuid() in (0, uid) else pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
    except FileNotFoundError:  # it has just ended
        return ""


def _is_alive(record: Mapping[str, Any]) -> bool:
    found = record["supervisor"]
    same_boot = bool(found.get("boot_id") == boot_id())
    return same_boot and started_at(found["pid"]) == found["ticks"]


def _wait_for_lock(lock: Path, timeout: float) -> bool:
    """Wait until nothing of a run is alive; False if the time ran out."""
    deadline = time.monotonic() + timeout
    while is_held(lock):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_AGAIN)
    return True
