"""What comes to the supervisor from wardens that were killed, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection

from isthmus.errors import SupervisionError
from isthmus.supervisor.warden import PR_SET_CHILD_SUBREAPER, own_children, prctl, signal_children

__all__ = ["adopt_orphans", "end_orphans"]

WNOTHREAD = 0x2000_0000
"""Linux: wait only for children of the calling thread. `os` has no name for it."""

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


async def end_orphans(wardens: Collection[int], *, tools: bool = False) -> None:
    """End what came to us from wardens that were killed, until none of it is left.

    To be called in the main thread: the kernel gives orphans to that one, and our only children of
    its own are wardens. What another thread has started (a probe, a tool that builds) is that
    thread's to wait for, and is never waited for here: its status would be lost to its owner, and
    its number could be a stranger's when the owner signals it.

    Wardens lead sessions of their own, and nobody can move from a session into ours; so a child of
    the main thread in another session that is no warden's is an orphan.

    Args:
        wardens: the process numbers of our wardens.
        tools: also end what other threads have started, and orphans of our own session: all that
            sets an environment up.
    """
    while found := [pid for pid in own_children() if pid not in wardens and _is_to_end(pid, tools)]:
        signal_children(found, signal.SIGKILL)
        for pid in found:
            _reap(pid)
        await asyncio.sleep(_LOOK_AGAIN)


def _is_to_end(pid: int, tools: bool) -> bool:
    if _is_main_threads(pid):
        return tools or _is_far(pid)
    return tools and not _has_ended(pid)


def _is_main_threads(pid: int) -> bool:
    return _look(pid, WNOTHREAD) is not None


def _has_ended(pid: int) -> bool:
    """Tell whether a child has ended, for its owner to wait for."""
    return _look(pid, 0) is not False


def _look(pid: int, options: int) -> bool | None:
    """Look at a child and leave it as it is: whether it has ended; None if it is not our child."""
    try:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT | options)
    except ChildProcessError:  # another thread's, or somebody has waited for it
        return None
    return found is not None


def _is_far(pid: int) -> bool:
    """Tell whether a child is in another session than we are."""
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:  # somebody has waited for it
        return False


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG | WNOTHREAD)
    except ChildProcessError:
        pass  # its owner waits for it, or has
