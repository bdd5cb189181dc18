"""Frames by a direct call."""

from __future__ import annotations

import pytest

from isthmus.errors import ConnectionLostError
from isthmus.transport.memory import MemoryTransport

from .ends import frame, framer, number_of, put


class Echo:
    """Answers each frame with itself, until it is closed."""

    def __init__(self) -> None:
        self.closed = 0
        self.memory = memoryview(bytearray(100_000))

    def __call__(self, sent: memoryview) -> memoryview | None:
        if number_of(sent) == 0:
            return None
        self.memory[: sent.nbytes] = sent
        return self.memory[: sent.nbytes]

    def close(self) -> None:
        self.closed += 1


def test_the_answer_is_there_when_sending_returns_and_is_private() -> None:
    echo = Echo()
    transport = MemoryTransport(echo, framer())
    assert not transport.buffered()
    for number in (1, 2):
        assert put(transport, frame(number, 9000 * number))
        assert transport.buffered()
        found = transport.poll()
        echo.memory[:] = bytes(echo.memory.nbytes)
        assert found is not None
        assert bytes(found) == frame(number, 9000 * number)
    assert transport.poll() is None
    assert transport.flush()
    assert not transport.descriptors()


def test_no_answer_is_none() -> None:
    transport = MemoryTransport(Echo(), framer())
    put(transport, frame(0))
    assert transport.poll() is None


def test_what_needs_no_answer_leaves_the_last_one_there() -> None:
    transport = MemoryTransport(Echo(), framer())
    put(transport, frame(1))
    put(transport, frame(0))
    found = transport.poll()
    assert found is not None
    assert number_of(found) == 1


def test_a_closed_link_asks_nobody() -> None:
    echo = Echo()
    transport = MemoryTransport(echo, framer())
    transport.close()
    transport.close()
    assert echo.closed == 1
    with pytest.raises(ConnectionLostError, match="closed"):
        put(transport, frame(1))
