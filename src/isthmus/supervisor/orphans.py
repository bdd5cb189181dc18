"""What comes to the supervisor from wardens that were killed, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection

from isthmus.errors import SupervisionError
from isthmus.supervisor.warden import PR_SET_CHILD_SUBREAPER, own_children, prctl, signal_children

__all__ = ["adopt_orphans", "end_orphans"]

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

    Wardens lead sessions of their own, and nobody can move from a session into ours; so a child in
    another session that is no warden's is an orphan.

    Args:
        wardens: the process numbers of our wardens.
        tools: also end children in our own session: those that set an environment up.
    """
    while found := [pid for pid in own_children() if pid not in wardens and (tools or _far(pid))]:
        signal_children(found, signal.SIGKILL)
        for pid in found:
            _reap(pid)
        await asyncio.sleep(_LOOK_AGAIN)


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
