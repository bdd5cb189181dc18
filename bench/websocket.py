"""The peer: a websocket + msgpack server in the way openpi serves policies.

    python -m bench.websocket answer sync|asyncio PAYLOAD PORT_FILE
    python -m bench.websocket ask    sync|asyncio PAYLOAD PORT_FILE     takes bursts

Arrays travel as msgpack maps of bytes, dtype and shape, as openpi's msgpack_numpy does; the client
is the synchronous one, as openpi's; no compression, no size limit. Keepalive pings, which openpi
leaves on, are off on both sides: it saves the peer a stall.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-not-found, import-untyped, unused-ignore]
import numpy as np
from websockets.asyncio.server import ServerConnection as AsyncConnection
from websockets.asyncio.server import serve as serve_asyncio
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection as SyncConnection
from websockets.sync.server import serve as serve_sync

from .bursts import serve_steps
from .payloads import PAYLOADS, Payload


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    return value


def _unpack(value: dict[Any, Any]) -> Any:
    if b"__ndarray__" in value:
        return np.ndarray(
            buffer=value[b"data"], dtype=np.dtype(value[b"dtype"]), shape=value[b"shape"]
        )
    return value


pack = functools.partial(msgpack.packb, default=_pack)
unpack = functools.partial(msgpack.unpackb, object_hook=_unpack, strict_map_key=False)


def answer_asyncio(payload: Payload, port_file: Path) -> None:
    """One asyncio server, as openpi's `WebsocketPolicyServer`."""
    answer = payload.arrays(payload.answer)

    async def handle(conn: AsyncConnection) -> None:
        async for message in conn:
            unpack(message)
            await conn.send(pack(answer))

    async def serve() -> None:
        async with serve_asyncio(
            handle, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None
        ) as server:
            announce(next(iter(server.sockets)).getsockname()[1], port_file)
            await server.serve_forever()

    asyncio.run(serve())


def answer_sync(payload: Payload, port_file: Path) -> None:
    """The same with the threaded server, which is quicker for one client."""
    answer = payload.arrays(payload.answer)

    def handle(conn: SyncConnection) -> None:
        for message in conn:
            unpack(message)
            conn.send(pack(answer))

    with serve_sync(
        handle, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None
    ) as server:
        announce(server.socket.getsockname()[1], port_file)
        server.serve_forever()


def announce(port: int, port_file: Path) -> None:
    """Leave the port where the asking side looks, and tell the runner."""
    port_file.write_text(str(port))
    print("ready", flush=True)


def ask_in_bursts(payload: Payload, port_file: Path) -> None:
    """Time round trips when the runner says so."""
    question = payload.arrays(payload.ask)
    url = f"ws://127.0.0.1:{int(port_file.read_text())}"
    with connect(url, compression=None, max_size=None, ping_interval=None, proxy=None) as conn:

        def step() -> None:
            conn.send(pack(question))
            unpack(conn.recv())

        serve_steps(step)


ROLES = {
    ("answer", "sync"): answer_sync,
    ("answer", "asyncio"): answer_asyncio,
    ("ask", "sync"): ask_in_bursts,
    ("ask", "asyncio"): ask_in_bursts,
}

if __name__ == "__main__":
    role, kind, payload_, file_ = sys.argv[1:]
    ROLES[role, kind](PAYLOADS[payload_], Path(file_))
