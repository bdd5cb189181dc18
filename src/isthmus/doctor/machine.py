"""What the system lets a process of this user do: sealed memory, sockets, open files."""

from __future__ import annotations

import fcntl
import os
import resource
import secrets
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from .kinds import finding
from .report import Finding, Machine

__all__ = ["machine_findings", "measure"]

_F_ADD_SEALS, _F_SEAL_SHRINK = 1033, 0x2
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 0x1, 0x2
_ENOUGH_FILES = 256
_MAX_PATH = 107  # bytes of a Unix socket's path
_NAME = 40  # bytes that a run adds to the folder: isthmus-XXXXXXXXXXXX/NAME.sock


def measure(environ: Mapping[str, str]) -> Machine:
    """Try what links and gateways need.

    Args:
        environ: XDG_RUNTIME_DIR is read.
    """
    folder = environ.get("XDG_RUNTIME_DIR", "")
    if not folder or len(os.fsencode(folder)) > _MAX_PATH - _NAME or not _is_writable(folder):
        folder = "/tmp"  # noqa: S108 - as a run's own folder
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        seals=_can_seal(),
        unix=_can_bind(Path(folder)),
        loopback=_can_listen(),
        folder=folder,
        files_soft=_count(soft),
        files_hard=_count(hard),
    )


def machine_findings(machine: Machine) -> Iterator[Finding]:
    """Name what is missing for links and gateways."""
    if not machine.loopback:
        yield finding("no-loopback", "machine", ["listening on 127.0.0.1 failed"])
    if not machine.unix:
        yield finding("no-unix", "machine", [f"no socket can be made in {machine.folder}"])
    if 0 <= machine.files_soft < _ENOUGH_FILES:
        evidence = f"the limit is {machine.files_soft}; it can be raised to {machine.files_hard}"
        yield finding("few-files", "machine", [evidence])


def _count(limit: int) -> int:
    return -1 if limit == resource.RLIM_INFINITY else limit


def _is_writable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _can_seal() -> bool:
    create = getattr(os, "memfd_create", None)
    if create is None:
        return False
    try:
        descriptor = create("isthmus", _MFD_CLOEXEC | _MFD_ALLOW_SEALING)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, _F_ADD_SEALS, _F_SEAL_SHRINK)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _can_bind(folder: Path) -> bool:
    path = folder / f"isthmus-{secrets.token_hex(6)}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.bind(os.fspath(path))
        except OSError:
            return False
    path.unlink(missing_ok=True)
    return True


def _can_listen() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.bind(("127.0.0.1", 0))
            sock.listen(1)
        except OSError:
            return False
    return True
