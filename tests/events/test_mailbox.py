"""The queue of events: bounded in number and size, exact about what it drops."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import until

from isthmus.events.mailbox import Entry, Mailbox, payload_bytes


def numbered(mailbox: Mailbox, first: int, last: int) -> None:
    for number in range(first, last):
        mailbox.put({"n": number})


def take(mailbox: Mailbox, most: int = 100) -> list[Entry]:
    entries = []
    while len(entries) < most and (entry := mailbox.take()):
        entries.append(entry)
    return entries


def taken(mailbox: Mailbox, most: int = 100) -> list[tuple[int, int]]:
    """What was taken: number, and how many had been dropped before it."""
    return [(entry.event["n"], entry.dropped) for entry in take(mailbox, most)]


def test_events_come_out_in_order_with_their_times() -> None:
    instants = iter(range(100))
    mailbox = Mailbox(5, wall=lambda: 1.5, mono_ns=lambda: next(instants))
    numbered(mailbox, 0, 3)
    first, second = take(mailbox, 2)
    assert (first.event, first.wall, first.mono_ns) == ({"n": 0}, 1.5, 0)
    assert (second.event, second.mono_ns, len(mailbox)) == ({"n": 1}, 1, 1)


def test_what_finds_no_room_is_counted_where_it_would_have_been() -> None:
    mailbox = Mailbox(3)
    numbered(mailbox, 0, 5)
    assert taken(mailbox, 1) == [(0, 0)]
    numbered(mailbox, 5, 7)
    assert taken(mailbox) == [(1, 0), (2, 0), (5, 2)]
    assert mailbox.dropped == 3
    numbered(mailbox, 7, 8)
    assert taken(mailbox) == [(7, 3)]


def test_large_payloads_are_bounded_by_their_bytes() -> None:
    mailbox = Mailbox(100, max_bytes=20_000)
    large: dict[str, Any] = {"n": 0, "raw": b"x" * 9000}
    for _ in range(3):
        mailbox.put(large)
    assert (len(mailbox), mailbox.dropped) == (2, 1)
    mailbox.put({"n": 1, "raw": b"small"})
    assert taken(mailbox, 2) == [(0, 0), (0, 0)]
    mailbox.put(large)
    mailbox.put(large)
    assert (len(mailbox), mailbox.dropped) == (3, 1)


@pytest.mark.parametrize(
    ("event", "size"),
    [
        ({"raw": b"x" * 100}, 0),
        ({"raw": b"x" * 5000}, 5000),
        ({"resp": "x" * 5000, "raw": b"y" * 1000}, 6000),
        ({"arrays": {"q": np.zeros(1000), "image": np.zeros((64, 64, 3), np.uint8)}}, 20_288),
        ({"resp": {"data": {"delta": [0.0]}}}, 0),
        ({"detail": "x" * 5000}, 0),
    ],
)
def test_the_size_of_a_payload(event: dict[str, Any], size: int) -> None:
    assert payload_bytes(event) == size


def test_after_it_was_closed_everything_is_dropped() -> None:
    mailbox = Mailbox(3)
    numbered(mailbox, 0, 1)
    mailbox.close()
    numbered(mailbox, 1, 3)
    assert (taken(mailbox), mailbox.dropped) == ([(0, 0)], 2)
    assert mailbox.wait(None, at=0)


def test_a_sleeping_reader_is_woken_by_an_event_and_a_lingering_one_by_many() -> None:
    mailbox = Mailbox(10)
    woken: list[int] = []

    def read() -> None:
        for at in (0, 4, 0):
            mailbox.wait(None, at=at)
            woken.append(len(take(mailbox)))

    thread = threading.Thread(target=read)
    thread.start()
    mailbox.put({})
    until(lambda: len(woken) == 1)
    numbered(mailbox, 0, 4)
    assert not mailbox.dropped
    mailbox.put({})
    until(lambda: len(woken) == 2)
    mailbox.close()
    thread.join()
    assert woken == [1, 5, 0]


def test_many_threads_lose_nothing_uncounted() -> None:
    mailbox = Mailbox(50)
    each, threads = 2000, 8
    got: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set() or len(mailbox):
            got.extend(entry.dropped for entry in take(mailbox, 7))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=numbered, args=(mailbox, 0, each)) for _ in range(threads)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert len(got) + mailbox.dropped == each * threads
