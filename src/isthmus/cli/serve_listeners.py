"""Where `isthmus serve` listens, and the descriptors that it needs for it."""

from __future__ import annotations

import argparse
import os
import resource
import secrets

from isthmus.errors import AddressError
from isthmus.transport import Address, parse
from isthmus.transport.address import suggestion
from isthmus.transport.sockets import Listener, listen

from .serve_flags import DEFAULT_HOST, DEFAULT_LISTEN, DEFAULT_PORT

__all__ = ["add_upgrade_listener", "allow_descriptors", "wanted_addresses"]

LISTENABLE = ("shm", "unix", "tcp")

DESCRIPTORS_PER_SESSION = 5
"""Of a session over shared memory: a socket, the memory twice (mmap keeps its own), two bells."""
OTHER_DESCRIPTORS = 512
"""For newcomers, listeners, models and the interpreter."""


def wanted_addresses(args: argparse.Namespace) -> list[Address]:
    """Where the command line says to listen.

    Raises:
        AddressError: an address that cannot be listened on, before a model is loaded.
    """
    urls = list(args.listen or ())
    if args.host is not None or args.port is not None:
        host = DEFAULT_HOST if args.host is None else args.host
        port = DEFAULT_PORT if args.port is None else args.port
        urls.append(f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}")
    return [_address(url) for url in urls or [DEFAULT_LISTEN]]


def _address(url: str) -> Address:
    if url.partition(":")[0] not in LISTENABLE:
        raise AddressError(
            f"--listen {url}: expected shm:PATH, unix:PATH or tcp://HOST:PORT{suggestion(url)}"
        )
    return parse(url)


def allow_descriptors(max_sessions: int) -> None:
    """As many open files as the sessions need, where the system's limit allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_sessions * DESCRIPTORS_PER_SESSION + OTHER_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def add_upgrade_listener(listeners: list[Listener]) -> str:
    """A way to shared memory for tcp links on this host: a socket that has no file."""
    if all(listener.address.scheme != "tcp" for listener in listeners):
        return ""
    name = f"isthmus-{os.getpid()}-{secrets.token_hex(8)}"
    listeners.append(listen(Address("unix", path="\0" + name)))
    return "@" + name
