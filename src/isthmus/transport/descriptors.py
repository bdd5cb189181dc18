"""File descriptors across a Unix socket."""

from __future__ import annotations

import array
import os
import socket

from ..errors import ConnectionLostError, UpgradeError

__all__ = ["receive_with_descriptors", "send_with_descriptors"]

_SIZE = array.array("i").itemsize
_MOST = 3


def send_with_descriptors(sock: socket.socket, data: memoryview, descriptors: list[int]) -> None:
    """Send one short message with descriptors beside it.

    Raises:
        ConnectionLostError: the peer is gone.
        UpgradeError: the socket's buffer has no room for a short message.
    """
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    try:
        sent = sock.sendmsg([data], [rights])
    except BlockingIOError:
        raise UpgradeError("the socket had no room for the descriptors") from None
    except OSError as exc:
        raise ConnectionLostError(f"the peer is gone: {exc.strerror}") from exc
    if sent != data.nbytes:
        raise UpgradeError("the socket took a part of the message only")


def receive_with_descriptors(sock: socket.socket, room: memoryview) -> tuple[int, list[int]]:
    """Receive bytes into `room`, and the descriptors beside them; both may be none yet.

    They are closed on exec (`socket.recv_fds` would leave them open to every child).

    Returns:
        Bytes received (0 if nothing is there yet), descriptors.

    Raises:
        ConnectionLostError: the peer is gone.
        UpgradeError: descriptors were lost on the way.
    """
    try:
        count, ancillary, flags, _ = sock.recvmsg_into(
            [room], socket.CMSG_SPACE(_MOST * _SIZE), socket.MSG_CMSG_CLOEXEC
        )
    except BlockingIOError:
        return 0, []
    except OSError as exc:
        raise ConnectionLostError(f"the peer is gone: {exc.strerror}") from exc
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % _SIZE])
    descriptors = list(found)
    if flags & socket.MSG_CTRUNC:
        for descriptor in descriptors:
            os.close(descriptor)
        raise UpgradeError("descriptors were lost on the way; is the limit of open files reached?")
    if not count:
        raise ConnectionLostError("the peer closed the connection")
    return count, descriptors
