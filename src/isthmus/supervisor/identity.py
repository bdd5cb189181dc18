"""Which process a number belongs to: numbers are given again, a start since boot is not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus.errors import SupervisionError

__all__ = ["boot_id", "send_signal", "started_at"]


def started_at(pid: int) -> int | None:
    """Tell when a process started, in clock ticks since boot; None if there is none.

    With the boot's id this names a process for good; its number alone does not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[19])


def boot_id() -> str:
    """Name the time since this machine was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def send_signal(pid: int, ticks: int, number: int) -> bool:
    """Signal a process that is not our child, if it is still the one that was meant.

    Args:
        pid: its number.
        ticks: when it started, as `started_at`.
        number: the signal.

    Returns:
        False if it has ended.

    Raises:
        SupervisionError: it belongs to another user.
    """
    try:
        with _held(pid) as send:
            if started_at(pid) != ticks:
                return False
            send(number)
    except ProcessLookupError:
        return False
    except PermissionError as exc:
        raise SupervisionError(f"process {pid} belongs to another user") from exc
    return True


@contextmanager
def _held(pid: int) -> Iterator[Callable[[int], None]]:
    """Hold on to a process, whose number then stands for it; gives what signals it."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        # A Python built for an old kernel. Between a look and the signal lie microseconds.
        yield lambda number: os.kill(pid, number)
        return
    descriptor = os.pidfd_open(pid)
    try:
        yield lambda number: signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
