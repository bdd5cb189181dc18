"""How to see that a process is ready: by what it prints, or by trying to reach it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import SplitResult, urlsplit

from isthmus.errors import ManifestError
from isthmus.supervisor.names import Names

__all__ = ["PROBES", "LineWatch", "Reach"]

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds between two tries; they grow from one to the other."""
_TRY = 5.0  # seconds one try may take
_LOOK = 1.0  # seconds to see whether a place is taken
_WELL = re.compile(r"HTTP/\S+ 2\d\d(?!\S)")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[str, int], Awaitable[Streams]]


class LineWatch:
    """Looks for lines, each after the one before it, whatever lies between.

    Args:
        patterns: regular expressions, searched for in a line.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.values: dict[str, str] = {}
        """What the named groups matched."""
        self.done = asyncio.Event()
        self._patterns = [re.compile(pattern) for pattern in patterns]
        self._found = 0

    def see(self, line: str) -> None:
        """Take the next line."""
        if self.done.is_set():
            return
        found = self._patterns[self._found].search(line)
        if found is None:
            return
        self.values.update({k: v for k, v in found.groupdict().items() if v is not None})
        self._found += 1
        if self._found == len(self._patterns):
            self.done.set()

    async def until_reached(self) -> None:
        """Wait until all were found."""
        await self.done.wait()

    @property
    def missing(self) -> str:
        """What is waited for."""
        return f"no line has matched {self._patterns[self._found].pattern!r}"

    @property
    def wanted(self) -> str:
        """The same, shorter."""
        return f"line {self._patterns[self._found].pattern!r}"


class Reach:
    """Tries to reach a process until it answers.

    Args:
        kind: a key of `PROBES`.
        target: where; its placeholders are filled in.
    """

    def __init__(self, kind: str, target: str) -> None:
        self._kind = kind
        self._target = target
        self._names = Names()
        self._doing = self._answer = "does not answer"

    async def until_reached(self) -> None:
        """Wait until it answers.

        Raises:
            ManifestError: the target cannot be understood.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                answer = await asyncio.wait_for(self._probe(), _TRY)
                if not answer:
                    return
                self._answer = answer
            except asyncio.TimeoutError:
                self._answer = self._doing
            except (OSError, EOFError, asyncio.LimitOverrunError) as error:
                self._answer = getattr(error, "strerror", None) or str(error)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    async def is_taken(self) -> bool:
        """Tell whether somebody listens there although nothing was started: not who is meant.

        Only a place on this machine is looked at: what answers elsewhere was there before us.

        Raises:
            ManifestError: the target cannot be understood.
        """
        try:
            place = _place(self._kind, self._target)
        except ValueError as error:
            raise self._not_understood(error) from error
        if not _is_here(place):
            return False
        try:
            opening = self.connect(*place) if place else asyncio.open_unix_connection(self._target)
            _, writer = await asyncio.wait_for(opening, _LOOK)
        except (asyncio.TimeoutError, OSError):
            return False
        await _hang_up(writer)
        return True

    @property
    def missing(self) -> str:
        """What is waited for, and what came instead."""
        return f"{self._kind} {self._target}: {self._answer}"

    @property
    def wanted(self) -> str:
        """The same, shorter."""
        return f"{self._kind} {self._target} ({self._answer})"

    async def connect(self, host: str, port: int) -> Streams:
        """Connect by TCP.

        Raises:
            OSError: nobody is there.
        """
        self._doing = f"the name {host} is still being looked up"
        addresses = await self._names.look_up(host)
        self._doing = "does not answer"
        for address in addresses[:-1]:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(address, port)
        return await asyncio.open_connection(addresses[-1], port)

    async def _probe(self) -> str:
        try:
            return await PROBES[self._kind](self._target, self.connect)
        except ValueError as error:
            raise self._not_understood(error) from error

    def _not_understood(self, error: ValueError) -> ManifestError:
        # Such as "http://a..b", of which the socket module says what a label may be.
        expected = EXPECTED[self._kind]
        return ManifestError(
            f"ready.{self._kind}: expected {expected}, got {self._target!r}: {error}"
        )


async def _socket_accepts(target: str, connect: Connect) -> str:
    """A file that is there is not enough: one may have been left by a process that died."""
    _, writer = await asyncio.open_unix_connection(target)
    await _hang_up(writer)
    return ""


async def _port_accepts(target: str, connect: Connect) -> str:
    _, writer = await connect(*_host_and_port(target))
    await _hang_up(writer)
    return ""


async def _http_is_well(target: str, connect: Connect) -> str:
    url, host, port = _parts_of_url(target)
    reader, writer = await connect(host, port)
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        request = f"GET {path} HTTP/1.0\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii", "replace"))
        line = (await reader.readuntil(b"\n")).decode("ascii", "replace").strip()
    finally:
        await _hang_up(writer)
    return "" if _WELL.match(line) else line


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _host_and_port(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    return host.strip("[]") or "127.0.0.1", _port(port)


def _parts_of_url(target: str) -> tuple[SplitResult, str, int]:
    url = urlsplit(target)
    if url.scheme != "http" or not url.hostname:
        raise ValueError("its scheme or its host is missing")
    port = url.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    return url, url.hostname, _port(port or "80")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) < 65536:
        raise ValueError(f"expected a port from 1 to 65535, got {text[:20]!r}")
    return int(text)


def _place(kind: str, target: str) -> tuple[str, int] | None:
    """Give host and port of a target; None for a socket, which has a path."""
    if kind == "http":
        return _parts_of_url(target)[1:]
    return _host_and_port(target) if kind == "port" else None


def _is_here(place: tuple[str, int] | None) -> bool:
    """Tell whether a place is surely on this machine, without asking anybody."""
    if place is None:
        return True
    try:
        address = ipaddress.ip_address(place[0])
    except ValueError:
        return place[0] == "localhost"
    return address.is_loopback or address.is_unspecified


PROBES: Mapping[str, Callable[[str, Connect], Awaitable[str]]] = {
    "socket": _socket_accepts,
    "port": _port_accepts,
    "http": _http_is_well,
}
"""Kind of readiness -> what was answered instead; "" if it is well. OSError: nobody is there;
ValueError: the target makes no sense."""

EXPECTED = {
    "socket": "the path of a socket",
    "port": "PORT or HOST:PORT",
    "http": "http://HOST:PORT/PATH",
}
"""Kind of readiness -> what its target looks like."""
