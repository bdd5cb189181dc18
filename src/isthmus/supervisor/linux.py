"""What the supervisor asks of Linux: orphans, their end, and who a process number belongs to."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection
from pathlib import Path

from isthmus.errors import SupervisionError
from isthmus.supervisor.warden import PR_SET_CHILD_SUBREAPER, own_children, prctl, signal_children

__all__ = ["adopt_orphans", "boot_id", "end_orphans", "send_signal", "started_at"]

_LOOK_AGAIN = 0.01  # seconds


def adopt_orphans() -> None:
    """Be the one to whom the kernel gives what a killed warden leaves.

    Raises:
        SupervisionError: this system cannot do that.
    """
    try:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    except (OSError, AttributeError) as exc:
        raise SupervisionError(f"cannot supervise processes here: {exc}; Linux is needed") from exc


async def end_orphans(wardens: Collection[int], *, tools: bool = False) -> int:
    """End what came to us from wardens that were killed, until none of it is left.

    Wardens lead sessions of their own, and nobody can move from a session into ours; so a child in
    another session that is no warden's is an orphan.

    Args:
        wardens: the process numbers of our wardens.
        tools: also end children in our own session: those that set an environment up.

    Returns:
        How many processes were ended.
    """
    ended: set[int] = set()
    while found := [pid for pid in own_children() if pid not in wardens and (tools or _far(pid))]:
        ended.update(found)
        signal_children(found, signal.SIGKILL)
        for pid in found:
            _reap(pid)
        await asyncio.sleep(_LOOK_AGAIN)
    return len(ended)


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
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # The descriptor holds on to one process; now see which.
        if started_at(pid) != ticks:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    except PermissionError as exc:
        raise SupervisionError(f"process {pid} belongs to another user") from exc
    finally:
        os.close(descriptor)
    return True


def _far(pid: int) -> bool:
    """Tell whether a child is in another session than we are."""
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:  # somebody has waited for it
        return False


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # whoever started it has waited for it
