"""The bare Python transport: what arrays cost between two interpreters with nothing on top.

    python -m bench.bare answer eventfd|unix|tcp PAYLOAD PATH    the policy side
    python -m bench.bare ask    eventfd|unix|tcp PAYLOAD PATH    the simulator side; takes bursts

`eventfd`: a memfd and two eventfds cross by SCM_RIGHTS; edge-triggered epoll waits for a doorbell,
so nothing reads it. No header, no check, no deadline, no second client: the difference to the whole
stack is what the stack costs.
"""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import select
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bursts import serve_steps
from .payloads import PAYLOADS, Payload

Bytes = NDArray[np.uint8]
Call = Callable[[], object]
PAGE = mmap.PAGESIZE


@dataclass(frozen=True, slots=True)
class Ends:
    """How one side sends its arrays and takes the other's."""

    send: Call
    take: Call


def arrays_of(payload: Payload) -> tuple[list[Bytes], list[Bytes]]:
    """Private arrays (questions, answers), seen as bytes."""
    sides = (payload.arrays(payload.ask), payload.arrays(payload.answer))
    ask, answer = ([a.reshape(-1).view(np.uint8) for a in side.values()] for side in sides)
    return ask, answer


# ---- shared memory ------------------------------------------------------------------------------


def copies(pairs: list[tuple[Bytes, Bytes]]) -> Call:
    """A call that copies each (into, from) pair."""

    def copy() -> None:
        for into, source in pairs:
            np.copyto(into, source)

    return copy


def views(segment: Bytes, arrays: list[Bytes], offset: int) -> list[Bytes]:
    """Places in the segment for the arrays, 64-byte aligned, from `offset` on."""
    found = []
    for one in arrays:
        found.append(segment[offset : offset + one.size])
        offset += -(-one.size // 64) * 64
    return found


def ring_and_wait(mine: int, theirs: int) -> tuple[Call, Call]:
    """Calls that ring their doorbell and wait for mine."""
    epoll = select.epoll()
    epoll.register(mine, select.EPOLLIN | select.EPOLLET)
    wait, write = epoll.poll, os.eventfd_write
    return (lambda: write(theirs, 1)), wait


def shared_ends(payload: Payload, memfd: int, mine: int, theirs: int, asking: bool) -> Ends:
    """The two ends over a mapped segment: questions in its first half, answers behind."""
    segment = np.frombuffer(mmap.mmap(memfd, segment_size(payload)), np.uint8)
    ask, answer = arrays_of(payload)
    ask_slot, answer_slot = views(segment, ask, 0), views(segment, answer, answer_offset(payload))
    ring, wait = ring_and_wait(mine, theirs)
    fill = copies(
        list(zip(ask_slot, ask, strict=True) if asking else zip(answer_slot, answer, strict=True))
    )
    drain = copies(
        list(zip(answer, answer_slot, strict=True) if asking else zip(ask, ask_slot, strict=True))
    )

    def send() -> None:
        fill()
        ring()

    def take() -> None:
        wait()
        drain()

    return Ends(send, take)


def answer_offset(payload: Payload) -> int:
    """Where the answers start: the next page after the questions."""
    return -(-(payload.size(payload.ask) + 64 * len(payload.ask)) // PAGE) * PAGE


def segment_size(payload: Payload) -> int:
    """Bytes of the whole segment."""
    return answer_offset(payload) + payload.size(payload.answer) + 64 * len(payload.answer)


def offer_segment(conn: socket.socket, payload: Payload) -> Ends:
    """Make the segment and the doorbells, and hand them to the asking side."""
    end_with(conn)
    memfd = os.memfd_create("bare", os.MFD_CLOEXEC)
    os.posix_fallocate(memfd, 0, segment_size(payload))
    mine, theirs = os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK)
    fds = array.array("i", [memfd, mine, theirs])
    conn.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    return shared_ends(payload, memfd, mine, theirs, asking=False)


def end_with(conn: socket.socket) -> None:
    """Let the kernel end this process (SIGIO) when the asker goes: nobody reads its socket."""
    fcntl.fcntl(conn, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(conn, fcntl.F_SETFL, fcntl.fcntl(conn, fcntl.F_GETFL) | os.O_ASYNC)


def accept_segment(conn: socket.socket, payload: Payload) -> Ends:
    """Take the segment and the doorbells that the answering side made."""
    fds = array.array("i")
    _, ancillary, _, _ = conn.recvmsg(1, socket.CMSG_SPACE(3 * fds.itemsize))
    fds.frombytes(ancillary[0][2])
    memfd, theirs, mine = fds
    return shared_ends(payload, memfd, mine, theirs, asking=True)


# ---- sockets ------------------------------------------------------------------------------------


def socket_ends(conn: socket.socket, payload: Payload, asking: bool) -> Ends:
    """The two ends over a blocking stream socket: raw arrays, one after the other."""
    ask, answer = (np.concatenate(side) for side in arrays_of(payload))
    outgoing, incoming = (ask, answer) if asking else (answer, ask)
    room = memoryview(incoming)
    sendall, receive = conn.sendall, conn.recv_into

    def take() -> None:
        filled = 0
        while filled < len(room):
            got = receive(room[filled:])
            if not got:
                sys.exit(0)
            filled += got

    return Ends(lambda: sendall(outgoing), take)


def listen(mode: str, path: str) -> socket.socket:
    """A listening socket; a TCP one leaves its port in the file at `path`."""
    family = socket.AF_INET if mode == "tcp" else socket.AF_UNIX
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0) if mode == "tcp" else path)
    listener.listen(1)
    if mode == "tcp":
        with open(path, "w") as file:
            file.write(str(listener.getsockname()[1]))
    return listener


def dial(mode: str, path: str) -> socket.socket:
    """The asking side's connection."""
    if mode != "tcp":
        conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        conn.connect(path)
        return conn
    with open(path) as file:
        conn = socket.create_connection(("127.0.0.1", int(file.read())))
    return conn


def answer_for_ever(mode: str, payload: Payload, path: str) -> None:
    """The answering side: serve one asker until it goes."""
    listener = listen(mode, path)
    print("ready", flush=True)
    conn, _ = listener.accept()
    if mode == "tcp":
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ends = offer_segment(conn, payload) if mode == "eventfd" else socket_ends(conn, payload, False)
    while True:
        ends.take()
        ends.send()


def ask_in_bursts(mode: str, payload: Payload, path: str) -> None:
    """The asking side: time round trips when the runner says so."""
    conn = dial(mode, path)
    if mode == "tcp":
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ends = accept_segment(conn, payload) if mode == "eventfd" else socket_ends(conn, payload, True)

    def step() -> None:
        ends.send()
        ends.take()

    serve_steps(step)


if __name__ == "__main__":
    role, mode_, payload_, path_ = sys.argv[1:]
    {"answer": answer_for_ever, "ask": ask_in_bursts}[role](mode_, PAYLOADS[payload_], path_)
