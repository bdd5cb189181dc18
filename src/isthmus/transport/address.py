"""URLs: how an address is written.

==================  ==================================================================
`shm:PATH`          shared memory, arranged over the Unix socket PATH; nothing less
`unix:PATH`         the Unix socket PATH; moves to shared memory where it can
`tcp://HOST:PORT`   TCP; moves to shared memory where both ends are on one host
`memory:MODEL`      a policy in this process; no gateway
==================  ==================================================================
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..errors import AddressError

__all__ = ["Address", "parse", "suggestion"]

MAX_PATH = 107
"""Bytes of a Unix socket's path that Linux takes."""


@dataclass(frozen=True)
class Address:
    """A parsed URL.

    Attributes:
        scheme: `shm`, `unix`, `tcp` or `memory`.
        path: of the socket, or the model; a leading NUL is Linux' abstract namespace.
        host: for tcp.
        port: for tcp; 0 lets the system choose.
    """

    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def url(self) -> str:
        """The address as it is written."""
        if self.scheme == "tcp":
            host = f"[{self.host}]" if ":" in self.host else self.host
            return f"tcp://{host}:{self.port}"
        return f"{self.scheme}:{self.path}"


def parse(url: str) -> Address:
    """Read a URL.

    Raises:
        AddressError: unknown scheme, no port, a path too long.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in ("shm", "unix", "tcp", "memory"):
        raise AddressError(
            f"cannot read the address {url!r}; expected shm:PATH, unix:PATH, tcp://HOST:PORT "
            f"or memory:MODEL{suggestion(url)}"
        )
    if scheme == "tcp":
        return _parse_tcp(url, rest)
    path = rest[2:] if rest.startswith("//") else rest
    if not path:
        raise AddressError(f"the address {url!r} has no path; expected {scheme}:PATH")
    size = len(os.fsencode(path))
    if "\0" in path[1:]:
        raise AddressError(f"the path in {url!r} holds a NUL character")
    if scheme != "memory" and size > MAX_PATH:
        raise AddressError(
            f"the socket path in {url!r} has {size} bytes; the system takes at "
            f"most {MAX_PATH}. Use a shorter or a relative path"
        )
    return Address(scheme, path=path)


def suggestion(url: str) -> str:
    """What may have been meant by an address without its scheme: `; did you mean ...?` or ""."""
    for pattern, scheme in _WITHOUT_SCHEME:
        if pattern.fullmatch(url):
            return f"; did you mean {scheme}{url}?"
    return ""


_WITHOUT_SCHEME = (
    (re.compile(r"(\[[\da-fA-F:]+\]|[\w.-]*):\d{1,5}"), "tcp://"),
    (re.compile(r"\d{1,5}"), "tcp://127.0.0.1:"),
    (re.compile(r"\.{0,2}/[^:]+|[^:/]+\.sock(et)?"), "unix:"),
)
"""How an address looks whose scheme was left out, and what it needs in front."""


def _parse_tcp(url: str, rest: str) -> Address:
    host, colon, port = rest.removeprefix("//").rpartition(":")
    if not rest.startswith("//") or not colon or not port.isascii() or not port.isdigit():
        raise AddressError(f"cannot read the address {url!r}; expected tcp://HOST:PORT")
    if int(port) > 65535:
        raise AddressError(f"the port in {url!r} is over 65535")
    return Address("tcp", host=host.strip("[]") or "127.0.0.1", port=int(port))
