"""Blocking work beside the event loop, in a thread that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Aside"]

T = TypeVar("T")


class Aside:
    """Runs things that block, each in a thread of its own.

    Unlike with `asyncio.to_thread`, cancelling does not wait for them, nor does the end of the
    program: an environment that takes minutes to build must not hold up a Ctrl-C.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    @property
    def busy(self) -> bool:
        """True while something still runs, waited for or not."""
        return any(thread.is_alive() for thread in self._threads)

    async def run(self, work: Callable[[], T]) -> T:
        """Run something that blocks; gives what it gives, or raises what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, failure = None, None
            try:
                result = work()
            except BaseException as error:
                failure = error
            try:
                loop.call_soon_threadsafe(settle, result, failure)
            except RuntimeError:
                pass  # the loop has ended, and nobody waits

        thread = threading.Thread(target=run, name="aside", daemon=True)
        self._threads.append(thread)
        thread.start()
        return await future
