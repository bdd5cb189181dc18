"""A simulator may have thousands of files open; select takes descriptors below 1024 only."""

from __future__ import annotations

import os
import resource
import select
from collections.abc import Iterator
from time import monotonic_ns

import pytest

from isthmus.transport import Waiter
from isthmus.transport.base import is_ready, wait_for

from .ends import frame, number_of, put, shared, streams, take


@pytest.fixture
def many() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1500:
        pytest.skip("this user may not open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    opened = [os.dup(0) for _ in range(1100)]
    yield
    for number in opened:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_streams(many: None) -> None:
    with streams() as (left, right):
        assert left.socket.fileno() > 1024
        put(left, frame(1))
        assert number_of(take(right)) == 1
        waiter = Waiter(left)
        assert waiter.wait_writable(monotonic_ns() + 1_000_000_000)
        assert not waiter.wait(monotonic_ns() + 300_000)
        assert not waiter.wait(monotonic_ns() + 2_300_000)
        waiter.close()


def test_shared_memory_and_a_watched_process(many: None) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    with shared(peer_descriptor=os.pidfd_open(child)) as (link, gateway):
        put(link, frame(1))
        assert number_of(take(gateway)) == 1
        assert is_ready(link._peer_descriptor or 0, select.POLLIN, 10.0)
    os.waitpid(child, 0)


def test_without_many_files_too() -> None:
    with select.epoll() as epoll:
        started = monotonic_ns()
        assert wait_for(epoll, started + 1_300_000, 1) == []
        assert monotonic_ns() >= started + 1_300_000
        assert wait_for(epoll, started, 1) == []
