"""Frames over a socket that takes as much as it likes, when it likes."""

from __future__ import annotations

import random
import socket

import pytest

from isthmus.errors import ConnectionLostError, RemoteProtocolError
from isthmus.protocol.framer import LineFramer
from isthmus.transport import Waiter
from isthmus.transport.sockets import tune
from isthmus.transport.stream import StreamTransport

from .ends import frame, framer, nothing_left, number_of, put, streams, take


def test_frames_come_in_order() -> None:
    with nothing_left(), streams() as (left, right):
        for number in range(20):
            assert put(left, frame(number, number * 100))
        assert [number_of(take(right)) for _ in range(20)] == list(range(20))
        assert right.poll() is None
        assert not right.buffered()


def test_what_the_socket_cannot_take_is_kept_and_the_next_frame_waits() -> None:
    with streams() as (left, right):
        frames = [frame(number, 300_000) for number in range(4)]
        assert not all([put(left, each) for each in frames])
        found: list[bytes] = []
        while len(found) < 4:
            left.flush()
            came = right.poll()
            if came is not None:
                found.append(bytes(came))
        assert found == frames
        assert left.flush()


def test_reserving_again_does_not_touch_what_is_kept() -> None:
    with streams() as (left, right):
        assert not put(left, frame(1, 900_000))
        for size in (10, 2_000_000, 10):
            left.reserve(size)[:10] = b"\xff" * 10
        while (found := right.poll()) is None:
            left.flush()
        assert bytes(found) == frame(1, 900_000)
        assert put(left, frame(2))
        assert number_of(take(right)) == 2


def test_a_peer_that_never_reads_is_given_up() -> None:
    with streams() as (left, _):
        big = frame(1, 900_000)
        with pytest.raises(ConnectionLostError, match="does not read"):
            for _ in range(10):
                put(left, big)
        assert left._kept is not None
        assert left._kept.nbytes < 3_000_000


def test_a_peer_that_sends_nothing_whole_does_not_hold_us() -> None:
    left, right = socket.socketpair()
    lines = StreamTransport(right, "unix", LineFramer(4096))
    left.setblocking(False)
    sent = 0
    try:
        while True:
            sent += left.send(b"\n" * 65536)
    except BlockingIOError:
        pass
    polls = 0
    while sent > 0:
        assert lines.poll() is None
        sent -= 16 * 4096
        polls += 1
    assert polls > 1, "it came back to its caller in between"
    left.close()
    lines.close()


@pytest.mark.parametrize("seed", range(3))
def test_bytes_in_any_slices(seed: int) -> None:
    source = random.Random(seed)
    left, right = socket.socketpair()
    transport = StreamTransport(right, "unix", framer())
    sent = [frame(number, source.randrange(5000)) for number in range(30)]
    data, found = b"".join(sent), []
    while data:
        cut = source.randrange(1, 3000)
        left.sendall(data[:cut])
        data = data[cut:]
        while (came := transport.poll()) is not None:
            found.append(bytes(came))
    assert found == sent
    left.close()
    with pytest.raises(ConnectionLostError, match="closed"):
        transport.poll()
    transport.close()


@pytest.mark.parametrize("act", ["send", "poll", "flush"])
def test_a_peer_that_left_is_ours_to_name(act: str) -> None:
    with streams() as (left, right):
        if act == "flush":
            put(left, frame(1, 900_000))
        right.close()
        with pytest.raises(ConnectionLostError):
            for _ in range(3):
                {"send": lambda: put(left, frame(1)), "poll": left.poll, "flush": left.flush}[act]()


def test_garbage_is_named() -> None:
    left, right = socket.socketpair()
    transport = StreamTransport(right, "tcp", framer())
    left.sendall(b"\x16\x03\x01" * 100)
    with pytest.raises(RemoteProtocolError) as caught:
        transport.poll()
    assert caught.value.code == "bad_json"
    left.close()
    transport.close()


def test_a_socket_given_away_stays_open() -> None:
    with streams() as (left, right):
        sock = right.detach()
        right.close()
        other = StreamTransport(sock, "unix", framer())
        put(left, frame(5))
        assert number_of(take(other)) == 5
        with pytest.raises(ConnectionLostError):
            right.poll()
        other.close()


def test_waiting_ends_at_the_deadline() -> None:
    with streams() as (left, right):
        waiter = Waiter(right)
        assert not waiter.wait(0)
        assert not waiter.wait_writable(0)
        put(left, frame(1))
        assert waiter.wait(None)
        waiter.close()


def test_a_network_is_watched_and_small_frames_leave_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as sock:
            tune(sock)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
