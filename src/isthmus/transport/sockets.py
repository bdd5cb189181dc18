"""Sockets: listening, and connecting without ever blocking. OS errors become ours here."""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
import stat
import struct
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import AddressError, ConnectError, TransportError
from .address import Address
from .base import is_ready
from .claim import Claim, claim
from .forked import release_in_child

__all__ = ["Listener", "Peer", "begin_connect", "finish_connect", "listen", "peer_of", "resolve"]

BACKLOG = 128
_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
USER_TIMEOUT_MS = 10_000
_PEER = struct.Struct("iII")


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a Unix socket, as the kernel says."""

    pid: int
    uid: int
    gid: int


def peer_of(sock: socket.socket) -> Peer | None:
    """The peer's process, or None if this is no Unix socket."""
    if sock.family != socket.AF_UNIX:
        return None
    return Peer(*_PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)))


def resolve(address: Address) -> tuple[socket.AddressFamily, object]:
    """Family and socket address; looks a host name up, which may take long.

    Raises:
        AddressError: the host has no address.
    """
    if address.scheme != "tcp":
        return socket.AF_UNIX, address.path
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise AddressError(f"no address for the host in {address.url!r}: {exc}") from exc
    family, _, _, _, where = found[0]
    return family, where


def begin_connect(family: socket.AddressFamily, where: object) -> socket.socket:
    """Start connecting; the socket becomes writable when it is done.

    Raises:
        ConnectError: refused, no such socket, no permission.
    """
    try:
        sock = socket.socket(family, _KIND)
    except OSError as exc:
        raise ConnectError(_why(exc)) from exc
    try:
        sock.connect(where)  # type: ignore[arg-type]
    except BlockingIOError:  # TCP: under way. Unix: the listener's queue is full, try again later
        if family == socket.AF_UNIX:
            sock.close()
            raise ConnectError("the listener's queue is full") from None
    except OSError as exc:
        sock.close()
        raise ConnectError(_why(exc)) from exc
    except (TypeError, ValueError) as exc:  # a path the peer named, which can be any text
        sock.close()
        raise ConnectError(f"{where!r} is no address: {exc}") from exc
    return sock


def finish_connect(sock: socket.socket) -> None:
    """Learn how a connection attempt ended, once the socket is writable.

    Raises:
        ConnectError: it failed; the socket is closed.
    """
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        sock.close()
        raise ConnectError(_why(OSError(error, os.strerror(error))))
    tune(sock)


def tune(sock: socket.socket) -> None:
    """Small messages leave at once, and a silent network is noticed."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


@dataclass(eq=False)
class Listener:
    """A bound, listening, non-blocking socket.

    Attributes:
        address: where it listens; for tcp with the port that the system chose.
    """

    address: Address
    sock: socket.socket
    _claim: Claim | None = field(default=None)

    def __post_init__(self) -> None:
        """See to it that no child goes on listening when we are gone."""
        release_in_child(self)

    def accept(self) -> socket.socket | None:
        """The next connection, or None.

        Raises:
            TransportError: descriptors are used up; accepting must pause.
        """
        try:
            sock, _ = self.sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as exc:
            raise TransportError(f"cannot accept: {exc.strerror}") from exc
        sock.setblocking(False)
        tune(sock)
        return sock

    def close(self) -> None:
        """Stop listening and remove the socket's path."""
        self.sock.close()
        if self._claim is not None:
            self._claim.release()

    def forked(self) -> None:
        """In a forked child: the path and its lock stay the parent's."""
        self.sock.close()
        if self._claim is not None:
            self._claim.leave()


def listen(address: Address) -> Listener:
    """Listen on loopback or on a socket only this user can open.

    Raises:
        AddressError: in use by a live process, not loopback, no permission, unsafe folder.
    """
    if address.scheme == "memory":
        raise AddressError("memory: is a policy in the link's own process; nobody listens there")
    if address.scheme == "tcp":
        return _listen_tcp(address)
    if address.path.startswith("\0"):
        return _listen_at(address, socket.AF_UNIX, address.path)
    return _listen_unix(address)


def _listen_tcp(address: Address) -> Listener:
    family, where = resolve(address)
    host = where[0]  # type: ignore[index]
    if not ipaddress.ip_address(host).is_loopback:
        raise AddressError(
            f"{address.url} is not loopback: anyone on the network could move the robot. "
            "Listen on 127.0.0.1 and reach it through an SSH tunnel"
        )
    found = _listen_at(address, family, where)
    port = found.sock.getsockname()[1]
    return Listener(Address("tcp", host=address.host, port=port), found.sock)


def _listen_at(address: Address, family: socket.AddressFamily, where: object) -> Listener:
    try:
        sock = socket.socket(family, _KIND)
    except OSError as exc:
        raise AddressError(f"cannot listen on {address.url!r}: {exc.strerror}") from exc
    try:
        if family == socket.AF_UNIX:
            os.fchmod(sock.fileno(), 0o600)  # before bind: the path is never open to others
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)  # type: ignore[arg-type]
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise AddressError(f"cannot listen on {address.url!r}: {exc.strerror}") from exc
    return Listener(address, sock)


def _listen_unix(address: Address) -> Listener:
    folder = Path(address.path).parent
    try:
        _check_folder(address, folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise AddressError(
                f"the folder of {address.url!r} can be written by everyone; "
                "use one that only you can write"
            )
        owned = claim(address.path, address.url)
    except OSError as exc:
        raise AddressError(f"cannot listen on {address.url!r}: {exc.strerror}") from exc
    try:
        _remove_stale(address)
        found = _listen_at(address, socket.AF_UNIX, address.path)
        owned.bound()
    except BaseException:
        owned.release()
        raise
    return Listener(address, found.sock, owned)


def _check_folder(address: Address, folder: Path) -> None:
    """Refuse a folder that would have to be made, unless it is plainly meant: one, in one there is.

    Raises:
        AddressError: it is missing, and so is what it would be in, or its name was to be replaced.
    """
    if folder.exists():
        return
    if any(mark in address.path for mark in "${}"):
        raise AddressError(
            f"cannot listen on {address.url!r}: there is no folder {str(folder)!r}, and nothing "
            "put a value in place of the name in it. In isthmus.toml it is written {NAME}, as in "
            "{sockets}; in a shell $NAME, without single quotes"
        )
    if not folder.parent.exists():
        raise AddressError(
            f"cannot listen on {address.url!r}: there is no folder {str(folder.parent)!r}; make "
            "it, or use a path in a folder that is there"
        )


def _remove_stale(address: Address) -> None:
    """Remove the path a dead process left; we hold the lock, so no isthmus owns it."""
    try:
        mode = os.lstat(address.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressError(f"{address.path!r} exists and is no socket; choose another path")
    if _answers(address.path):
        raise AddressError(
            f"{address.url!r} is in use by a program that is not isthmus; choose another path"
        )
    os.unlink(address.path)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except OSError as exc:
            return exc.errno == errno.EAGAIN
        return True


def _why(exc: OSError) -> str:
    return exc.strerror or str(exc)


def writable(sock: socket.socket) -> bool:
    """True once a connection attempt has ended."""
    return is_ready(sock.fileno(), select.POLLOUT)
