"""A link of our own user that writes what it likes into the shared segment."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from ..support.gateways import Served
from ..support.waiting import until
from .good import Good


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 4096, 1 << 20, 1 << 40, (1 << 64) - 1])
def test_garbage_in_the_slot(served: Served, good: Good, size: int) -> None:
    with served.connect() as link:
        assert link.transport == "shm"
        shared: Any = link._channel.transport  # type: ignore[union-attr]
        noise = random.Random(size).randbytes(shared._out.nbytes)
        shared._out[:] = noise
        shared._out_head[1] = size
        shared._out_head[0] += 1
        os.eventfd_write(shared._out_bell, 1)
        until(lambda: served.engine.counters.errors == 1)
        good.asks()
        until(lambda: link.act(q=[1, 1], deadline=20).status == "policy")
        assert link.stats()["reconnects"] == 1


def test_a_bell_that_never_stops(served: Served, good: Good) -> None:
    with served.connect() as link:
        shared: Any = link._channel.transport  # type: ignore[union-attr]
        for _ in range(2000):
            os.eventfd_write(shared._out_bell, 1)
        good.asks(20)
        assert link.act(q=[1, 1]).status == "policy"
        assert link.stats()["reconnects"] == 0


def test_a_frame_that_changes_under_the_reader(served: Served, good: Good) -> None:
    # The engine copies before it believes: what it answers fits one of the two versions, and a
    # torn frame is refused, never half of each in a wrong shape.
    import threading

    with served.connect() as link:
        shared: Any = link._channel.transport  # type: ignore[union-attr]
        stop = threading.Event()

        def scribble() -> None:
            rng = random.Random(1)
            while not stop.is_set():
                shared._out[130:136] = rng.randbytes(6)

        thread = threading.Thread(target=scribble)
        thread.start()
        try:
            for _ in range(30):
                action = link.act(q=[1, 1], deadline=20)
                assert action["speed"].shape == (2,)
                assert abs(action["speed"]).max() < float("inf")
                good.asks(1)
        finally:
            stop.set()
            thread.join()
