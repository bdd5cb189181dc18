"""The runs of a project that are up, as another process sees them: look at them, end them."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.errors import SupervisionError
from isthmus.supervisor.identity import boot_id, send_signal, started_at
from isthmus.supervisor.records import is_held
from isthmus.supervisor.warden import remove_tree

__all__ = ["DIED", "ENDING", "UP", "Known", "end", "forget", "known_runs", "strays"]

UP = "up"
ENDING = "ending"
"""The supervisor was killed; its wardens are still ending what they own."""
DIED = "died"
"""The supervisor was killed, and nobody is left to do anything."""

_PRIVATE = re.compile(r"/.*/isthmus-[0-9a-f]{12}")
_LOOK_AGAIN = 0.02  # seconds
_AFTER_KILL = 30.0  # seconds that wardens may take


@dataclass(frozen=True, slots=True)
class Known:
    """A run that has a record.

    Attributes:
        run_id: its name.
        state: `UP`, `ENDING` or `DIED`.
        record: what its supervisor wrote down last, as `report.facts`.
        file: that record.
    """

    run_id: str
    state: str
    record: Mapping[str, Any]
    file: Path

    @property
    def lock(self) -> Path:
        """What is held as long as anything of the run is alive."""
        return self.file.with_suffix(".lock")

    @property
    def supervisor(self) -> tuple[int, int]:
        """Its process number and when it started, as `send_signal` takes them."""
        found = self.record["supervisor"]
        return found["pid"], found["ticks"]


def known_runs(folder: Path) -> list[Known]:
    """List the runs that have a record, oldest first.

    Args:
        folder: of the runs that are up.
    """
    runs = []
    for file in sorted(folder.glob("[!.]*.json")):
        held = is_held(file.with_suffix(".lock"))
        record = _read(file)
        if record is None:
            continue  # it has just ended well
        alive = held and _is_alive(record)
        runs.append(Known(file.stem, UP if alive else ENDING if held else DIED, record, file))
    return runs


def end(run: Known, timeout: float, say: Callable[[str], None]) -> None:
    """End a run, and wait until nothing of it is left.

    Args:
        run: which.
        timeout: seconds it may take to stop in order; then its supervisor is killed, and its
            wardens end the processes.
        say: told, in one line, what is done.

    Raises:
        SupervisionError: it belongs to another user, or something of it cannot be ended.
    """
    if run.state == UP and send_signal(*run.supervisor, signal.SIGTERM):
        if not _wait_for_lock(run.lock, timeout):
            say(f"{run.run_id} did not stop in {timeout:g} s; killing it")
            send_signal(*run.supervisor, signal.SIGKILL)
    if not _wait_for_lock(run.lock, _AFTER_KILL):
        raise SupervisionError(f"run {run.run_id}: some of its processes cannot be ended")
    while left := strays(run.run_id):
        say(f"{run.run_id}: ending {len(left)} that nobody watches any more")
        for pid, ticks in left.items():
            send_signal(pid, ticks, signal.SIGKILL)
        time.sleep(_LOOK_AGAIN)
    forget(run)


def forget(run: Known) -> None:
    """Remove what a run that died has left on disk; its directory and logs stay."""
    sockets = str(run.record.get("sockets", ""))
    if _PRIVATE.fullmatch(sockets) and not os.path.islink(sockets):
        remove_tree(sockets)
    run.file.unlink(missing_ok=True)
    run.lock.unlink(missing_ok=True)


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


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        _ = record["supervisor"]["pid"], record["supervisor"]["ticks"], record["processes"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise SupervisionError(f"{file} is damaged ({exc}); remove it") from exc
    found: Mapping[str, Any] = record
    return found


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
