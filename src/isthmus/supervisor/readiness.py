"""How to see that a process is ready: by what it prints, or by trying to reach it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from isthmus.errors import ManifestError

__all__ = ["PROBES", "LineWatch", "Reach"]

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds between two tries; they grow from one to the other."""
_TRY = 5.0  # seconds one try may take


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


class Reach:
    """Tries to reach a process until it answers.

    Args:
        kind: a key of `PROBES`.
        target: where; its placeholders are filled in.
    """

    def __init__(self, kind: str, target: str) -> None:
        self._kind = kind
        self._target = target
        self._answer = "was not tried yet"

    async def until_reached(self) -> None:
        """Wait until it answers.

        Raises:
            ManifestError: the target cannot be understood.
        """
        probe = PROBES[self._kind]
        pause = FIRST_PAUSE
        while True:
            try:
                answer = await asyncio.wait_for(probe(self._target), _TRY)
                if not answer:
                    return
                self._answer = answer
            except asyncio.TimeoutError:
                self._answer = "does not answer"
            except (OSError, EOFError, asyncio.LimitOverrunError) as error:
                self._answer = getattr(error, "strerror", None) or str(error)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    @property
    def missing(self) -> str:
        """What is waited for, and what came instead."""
        return f"{self._kind} {self._target}: {self._answer}"


async def _socket_accepts(target: str) -> str:
    """A file that is there is not enough: one may have been left by a process that died."""
    _, writer = await asyncio.open_unix_connection(target)
    await _hang_up(writer)
    return ""


async def _port_accepts(target: str) -> str:
    host, _, port = target.rpartition(":")
    _, writer = await asyncio.open_connection(host.strip("[]") or "127.0.0.1", _port(port, target))
    await _hang_up(writer)
    return ""


async def _http_is_well(target: str) -> str:
    url = urlsplit(target)
    if url.scheme != "http" or not url.hostname:
        raise ManifestError(f"ready.http: expected http://HOST:PORT/PATH, got {target!r}")
    port = _port(url.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2] or "80", target)
    reader, writer = await asyncio.open_connection(url.hostname, port)
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        request = f"GET {path} HTTP/1.0\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii", "replace"))
        status = (await reader.readuntil(b"\n")).split()
    finally:
        await _hang_up(writer)
    well = len(status) > 1 and status[0].startswith(b"HTTP/") and status[1][:1] == b"2"
    return "" if well else b" ".join(status).decode("ascii", "replace")


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _port(text: str, target: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ManifestError(f"ready: expected a port from 1 to 65535 in {target!r}")
    return int(text)


PROBES: Mapping[str, Callable[[str], Awaitable[str]]] = {
    "socket": _socket_accepts,
    "port": _port_accepts,
    "http": _http_is_well,
}
"""Kind of readiness -> what was answered instead; "" if it is well. OSError: nobody is there."""
