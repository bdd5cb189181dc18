"""Names of hosts, and their addresses."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket

from isthmus.supervisor.aside import Aside

__all__ = ["Names"]


class Names:
    """Looks up names in threads that nobody waits for: a name server may be silent for minutes."""

    def __init__(self) -> None:
        self._aside = Aside()
        self._pending: dict[str, asyncio.Future[list[str]]] = {}

    async def look_up(self, host: str) -> list[str]:
        """Give the addresses of a host, the preferred one first.

        Raises:
            OSError: it has none.
            ValueError: this is no name.
        """
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        pending = self._pending.get(host)
        if pending is None or pending.done():  # else it is still looked up for an earlier try
            pending = asyncio.ensure_future(self._aside.run(lambda: _addresses(host)))
            self._pending[host] = pending
        return await asyncio.shield(pending)


def _addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
