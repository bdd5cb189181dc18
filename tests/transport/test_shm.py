"""Frames through shared memory, between peers that may write there whatever they like."""

from __future__ import annotations

import os
import select
import socket
import struct

import pytest

from isthmus.errors import ConnectionLostError, RemoteProtocolError
from isthmus.transport import Waiter
from isthmus.transport.segment import Segment
from isthmus.transport.shm import ShmTransport

from .ends import frame, framer, nothing_left, number_of, put, shared, take

orders = pytest.mark.parametrize("ordered", [True, False], ids=["x86", "arm"])


@orders
def test_question_and_answer(ordered: bool) -> None:
    with shared(ordered_stores=ordered) as (link, gateway):
        for number in range(1, 50):
            assert put(link, frame(number, number))
            assert take(gateway) == frame(number, number)
            assert put(gateway, frame(number, 3 * number))
            assert take(link) == frame(number, 3 * number)
            assert link.poll() is gateway.poll() is None


@orders
def test_a_ring_means_look_and_says_nothing(ordered: bool) -> None:
    with shared(ordered_stores=ordered) as (link, gateway):
        waiter = Waiter(gateway)
        os.eventfd_write(link._out_bell, 5)
        assert waiter.wait(None)
        assert gateway.poll() is None
        put(link, frame(1))
        assert waiter.wait(None)
        taken = gateway.poll()
        assert taken is not None
        assert number_of(taken) == 1
        for _ in range(3):
            os.eventfd_write(link._out_bell, 1)
            assert waiter.wait(None)
            assert gateway.poll() is None, "a stale ring brings no stale frame"
        waiter.close()


def test_where_stores_are_unordered_a_frame_waits_for_its_ring() -> None:
    with shared(ordered_stores=False) as (link, gateway):
        bell, link._out_bell = link._out_bell, os.eventfd(0, os.EFD_NONBLOCK)
        put(link, frame(1))
        assert gateway.poll() is None, "the head alone is no fence"
        os.eventfd_write(bell, 1)
        assert number_of(take(gateway)) == 1
        os.close(link._out_bell)
        link._out_bell = bell


@orders
def test_a_full_doorbell_is_ringing(ordered: bool) -> None:
    with shared(ordered_stores=ordered) as (link, gateway):
        os.eventfd_write(link._out_bell, (1 << 64) - 2)
        assert put(link, frame(1)), "it neither blocks nor fails"
        assert number_of(take(gateway)) == 1
        put(gateway, frame(1))
        take(link)
        assert put(link, frame(2))
        assert number_of(take(gateway)) == 2


def test_a_doorbell_that_cannot_be_used_is_a_lost_connection() -> None:
    with shared(ordered_stores=False) as (link, gateway):
        gone = os.eventfd(0)
        os.close(gone)
        link._out_bell = gateway._in_bell = gone
        with pytest.raises(ConnectionLostError, match="cannot be rung: Bad file"):
            put(link, frame(1))
        with pytest.raises(ConnectionLostError, match="cannot be read: Bad file"):
            gateway.poll()


def test_doorbells_never_block() -> None:
    with shared() as (link, _):
        for number in (link._out_bell, link._in_bell):
            assert not os.get_blocking(number)


def test_what_was_received_is_private() -> None:
    with shared() as (link, gateway):
        put(link, frame(1, 500))
        received = gateway.poll()
        assert received is not None
        link._out[:] = b"\xff" * link._out.nbytes
        assert bytes(received) == frame(1, 500)


@pytest.mark.parametrize("size", [4097, 1 << 31, (1 << 64) - 1, 1 << 63])
def test_a_size_over_the_slot_is_refused(size: int) -> None:
    with shared() as (link, gateway):
        announce(link, 1, size)
        with pytest.raises(RemoteProtocolError, match="slot of 4096") as caught:
            gateway.poll()
        assert caught.value.code == "too_large"


@pytest.mark.parametrize("size", [0, 1, 127])
def test_a_size_under_a_header_is_refused(size: int) -> None:
    with shared() as (link, gateway):
        announce(link, 1, size)
        with pytest.raises(RemoteProtocolError, match=f"{size} bytes"):
            gateway.poll()


def test_each_word_of_the_head_is_read_once() -> None:
    with shared() as (link, gateway):
        put(link, frame(1))
        head = gateway._in_head = Changing(gateway._in_head)  # type: ignore[assignment]
        assert gateway.poll() is not None
        assert head.reads == [0, 1]
        gateway._in_head = head.real


class Changing:
    """A head that a peer changes between two looks."""

    def __init__(self, real: memoryview) -> None:
        self.real = real
        self.reads: list[int] = []

    def __getitem__(self, place: int) -> int:
        self.reads.append(place)
        value = int(self.real[place])
        self.real[place] = 1 << 40
        return value


def test_a_frame_larger_than_the_slot_goes_by_the_socket() -> None:
    with shared() as (link, gateway):
        assert put(link, frame(1, 9000))
        assert take(gateway) == frame(1, 9000)
        put(gateway, frame(1))
        take(link)
        put(link, frame(2))
        assert number_of(take(gateway)) == 2


def test_a_slot_that_was_perhaps_not_read_is_not_written() -> None:
    with shared() as (link, gateway):
        put(link, frame(1))
        take(gateway)
        put(gateway, frame(1, 300))
        put(gateway, frame(2, 10))
        put(gateway, frame(3))
        found = [take(link) for _ in range(3)]
        assert found == [frame(1, 300), frame(2, 10), frame(3)]
        put(link, frame(4))
        take(gateway)
        assert gateway.reserve(100).nbytes == 4096, "something came back: the slot is free again"


def test_what_comes_aside_shows_nothing_of_the_gateways_slot() -> None:
    with shared() as (link, gateway):
        put(link, frame(1))
        put(link, frame(2))  # behind an open question: by the socket
        assert number_of(take(gateway)) == 1
        put(gateway, frame(1, 300))
        assert number_of(take(gateway)) == 2
        put(gateway, frame(2, 10))  # the first was perhaps not read yet
        assert [take(link), take(link)] == [frame(1, 300), frame(2, 10)]


@pytest.mark.parametrize("cut", [1, 130, 1500])
def test_half_a_frame_on_the_socket_does_not_hold_one_in_the_slot_up(cut: int) -> None:
    late = frame(2, 2000)
    with shared() as (link, gateway):
        link.stream.socket.send(late[:cut])
        assert gateway.poll() is None
        put(link, frame(1, 50))
        assert take(gateway) == frame(1, 50)
        link.stream.socket.send(late[cut:] + frame(3))
        assert take(gateway) == late
        assert gateway.buffered()
        put(gateway, frame(1))
        take(link)
        put(link, frame(4, 70))
        assert {number_of(take(gateway)), number_of(take(gateway))} == {3, 4}


def test_what_a_socket_cannot_take_is_kept() -> None:
    with shared() as (link, gateway):
        big = frame(1, 1_000_000)
        done = put(link, big)
        assert not done
        waiter, found = Waiter(gateway), None
        while found is None:
            done = done or link.flush()
            found = gateway.poll()
        assert bytes(found) == big
        assert link.flush()
        waiter.close()


def test_a_peer_that_leaves_is_noticed() -> None:
    with shared() as (link, gateway):
        waiter = Waiter(link)
        gateway.close()
        assert waiter.wait(None)
        with pytest.raises(ConnectionLostError):
            link.poll()
        waiter.close()


def test_a_last_word_is_heard_before_the_end() -> None:
    with shared() as (link, gateway):
        put(gateway, frame(1))
        gateway.close()
        assert number_of(take(link)) == 1
        with pytest.raises(ConnectionLostError):
            link.poll()


def test_the_end_of_the_peers_process_is_noticed() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    watched = os.pidfd_open(child)
    select.select((watched,), (), ())
    with shared(peer_descriptor=watched) as (link, _):
        waiter = Waiter(link)
        assert waiter.wait(None)
        with pytest.raises(ConnectionLostError, match="process ended"):
            link.poll()
        waiter.close()
    os.waitpid(child, 0)


def test_closing_twice_is_harmless() -> None:
    with shared() as (link, gateway):
        for _ in range(2):
            link.close()
            gateway.close()
        assert link.descriptors()[0][0] == -1
        with pytest.raises(ConnectionLostError):
            gateway.poll()


def alone() -> tuple[ShmTransport, socket.socket]:
    """The link's end, with a process to watch, and the socket's other end."""
    left, right = socket.socketpair()
    watched = os.pidfd_open(os.getpid())
    return ShmTransport(
        left, Segment.create(100, 100), framer(), asks=True, peer_descriptor=watched
    ), right


def test_what_was_dropped_without_a_close_is_given_back() -> None:
    with nothing_left():
        link, right = alone()
        right.close()
        link.stream.close()  # a socket sees to itself, with a warning
        del link


def test_an_interrupted_close_is_finished_by_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    real, closed = os.close, []

    def interrupted(number: int) -> None:
        real(number)
        closed.append(number)
        if len(closed) == 2:
            raise KeyboardInterrupt

    with nothing_left():
        link, right = alone()
        right.close()
        monkeypatch.setattr(os, "close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            link.close()
        link.close()
        link.close()
        monkeypatch.undo()
        assert len(closed) == len(set(closed)) == 4


def announce(link: ShmTransport, count: int, size: int) -> None:
    """Write a head as no good peer would."""
    struct.pack_into("<2Q", link._out_head.cast("B"), 0, count, size)
    os.eventfd_write(link._out_bell, 1)
