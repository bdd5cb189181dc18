"""Both ends of each transport in one process, and what a process holds."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from isthmus.protocol.binaryframer import BinaryFramer
from isthmus.protocol.messages import Telemetry
from isthmus.transport import Transport, Waiter
from isthmus.transport.segment import Segment
from isthmus.transport.shm import ShmTransport
from isthmus.transport.stream import StreamTransport

from ..protocol.peers import CODECS, encoded
from ..support.waiting import until

SOON_NS = 10_000_000_000
"""Much longer than anything takes; only a test that fails waits for so long."""


def framer() -> BinaryFramer:
    """For small frames."""
    made = BinaryFramer()
    made.limit(0)
    return made


def frame(number: int, size: int = 0) -> bytes:
    """A whole frame with this number, and about so many bytes."""
    return encoded(CODECS["binary"](), Telemetry({"x": "x" * size}, seq=number))


def number_of(data: bytes | memoryview) -> int:
    """The number of a frame."""
    return int.from_bytes(data[16:24], "little")


def put(transport: Transport, data: bytes) -> bool:
    """Send one frame."""
    transport.reserve(len(data))[: len(data)] = data
    return transport.send(len(data))


def take(transport: Transport) -> bytes:
    """The next frame, waited for."""
    waiter = Waiter(transport)
    try:
        while True:
            found = transport.poll()
            if found is not None:
                return bytes(found)
            assert waiter.wait(_soon()), "nothing came"
    finally:
        waiter.close()


def _soon() -> int:
    from time import monotonic_ns

    return monotonic_ns() + SOON_NS


@contextmanager
def streams(name: str = "unix") -> Iterator[tuple[StreamTransport, StreamTransport]]:
    """Two ends of a socket."""
    left, right = socket.socketpair()
    ends = StreamTransport(left, name, framer()), StreamTransport(right, name, framer())
    try:
        yield ends
    finally:
        for end in ends:
            end.close()


@contextmanager
def shared(
    size: int = 4096, *, ordered_stores: bool = True, peer_descriptor: int | None = None
) -> Iterator[tuple[ShmTransport, ShmTransport]]:
    """The link's end and the gateway's."""
    left, right = socket.socketpair()
    made = Segment.create(size, size)
    copied = [os.dup(number) for number in made.descriptors()]
    mapped = Segment.attach(copied, made.question_size, made.answer_size)
    link = ShmTransport(
        left, mapped, framer(), asks=True, peer_descriptor=peer_descriptor,
        ordered_stores=ordered_stores,
    )  # fmt: skip
    gateway = ShmTransport(right, made, framer(), asks=False, ordered_stores=ordered_stores)
    del made, mapped
    try:
        yield link, gateway
    finally:
        link.close()
        gateway.close()


def descriptors() -> set[str]:
    """What this process has open."""
    return {f"{name} {_target(name)}" for name in os.listdir("/proc/self/fd")}


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:
        return "the listing itself"


def segments() -> int:
    """Shared segments that this process has mapped."""
    gc.collect()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return sum("isthmus" in line for line in maps)


@contextmanager
def nothing_left() -> Iterator[None]:
    """What is opened and mapped within is closed and unmapped at its end."""
    gc.collect()
    before, mapped = descriptors(), segments()
    yield

    def left() -> set[str]:
        return {
            one for one in descriptors() - before if "listing" not in one and "/proc/" not in one
        }

    # A gateway in this process has a thread of its own, which may still be at it.
    until(lambda: segments() == mapped, "every segment unmapped")
    until(lambda: not left(), "every descriptor closed")
