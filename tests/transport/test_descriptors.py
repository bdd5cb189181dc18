"""Descriptors across a socket."""

from __future__ import annotations

import array
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from isthmus.errors import ConnectionLostError, UpgradeError
from isthmus.transport.descriptors import receive_with_descriptors, send_with_descriptors

from .ends import nothing_left


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def test_they_arrive_and_no_child_inherits_them(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    left, right = sockets
    with nothing_left():
        sent = [os.memfd_create("one"), os.eventfd(0), os.eventfd(0)]
        for number in sent:
            os.set_inheritable(number, True)
        send_with_descriptors(left, memoryview(b"hello"), sent)
        room = memoryview(bytearray(100))
        count, came = receive_with_descriptors(right, room)
        assert bytes(room[:count]) == b"hello"
        assert len(came) == 3
        assert not any(os.get_inheritable(number) for number in came)
        assert [os.fstat(n).st_ino for n in came] == [os.fstat(n).st_ino for n in sent]
        for number in sent + came:
            os.close(number)


def test_nothing_there_yet(sockets: tuple[socket.socket, socket.socket]) -> None:
    assert receive_with_descriptors(sockets[1], memoryview(bytearray(9))) == (0, [])


def test_more_than_a_segment_has_are_refused(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    left, right = sockets
    with nothing_left():
        sent = [os.eventfd(0) for _ in range(20)]
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", sent))
        left.sendmsg([b"x"], [rights])
        with pytest.raises(UpgradeError, match="lost on the way"):
            receive_with_descriptors(right, memoryview(bytearray(9)))
        for number in sent:
            os.close(number)


def test_no_room_for_them_is_said(sockets: tuple[socket.socket, socket.socket]) -> None:
    left, right = sockets
    with nothing_left():
        sent = [os.eventfd(0) for _ in range(3)]
        send_with_descriptors(left, memoryview(b"x"), sent)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        first_free = os.dup(0)
        os.close(first_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, limits[1]))
        try:
            with pytest.raises(UpgradeError, match="limit of open files"):
                receive_with_descriptors(right, memoryview(bytearray(9)))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for number in sent:
            os.close(number)


def test_a_peer_that_left(sockets: tuple[socket.socket, socket.socket]) -> None:
    left, right = sockets
    left.close()
    with pytest.raises(ConnectionLostError, match="closed"):
        receive_with_descriptors(right, memoryview(bytearray(9)))
    with pytest.raises(ConnectionLostError):
        send_with_descriptors(right, memoryview(b"x"), [0])


def test_a_full_socket_says_so(sockets: tuple[socket.socket, socket.socket]) -> None:
    left, _ = sockets
    try:
        while True:
            left.send(bytes(65536))
    except BlockingIOError:
        pass
    with pytest.raises(UpgradeError):
        send_with_descriptors(left, memoryview(bytes(65536)), [0])
