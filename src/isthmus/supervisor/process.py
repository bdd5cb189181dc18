"""One process of a run, over all its restarts: from waiting for others to its final end.

::

    waiting -> starting -> running -> ended
                  ^           |
                  +-restarting+        `stopping` between any of them and `ended`
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from isthmus.errors import Error, SupervisionError
from isthmus.runtimes.settings import ProcessSettings, Ready
from isthmus.supervisor.output import Output
from isthmus.supervisor.patience import tell_waiting
from isthmus.supervisor.readiness import LineWatch, Reach
from isthmus.supervisor.restarts import Restarts
from isthmus.supervisor.ward import Ending, Order, Ward
from isthmus.supervisor.words import duration, how_it_ended

__all__ = ["Outcome", "Process", "Surroundings", "facts"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What finally became of a process.

    Attributes:
        kind: "ended" by itself and well, "failed", "stopped" because the run ended, or "not
            started".
        how: the same in words.
        status: as `Ending.status`; None if it has none of its own.
        brief: what is said of the run where this ended it.
    """

    kind: str
    how: str
    status: int | None = None
    brief: str = "failed"


class Surroundings(Protocol):
    """What a process needs of its run."""

    values: dict[str, str]
    """What placeholders stand for."""
    stopping: asyncio.Event
    """Set when nothing is to be started any more."""

    async def order(self, settings: ProcessSettings) -> Order:
        """Prepare what is to be started, with the placeholders filled in."""

    def target(self, ready: Ready) -> str:
        """Fill in where a process is to be reached."""

    async def start(self, name: str, order: Order, output: Callable[[bytes], None]) -> Ward:
        """Start it."""

    async def dismiss(self, ward: Ward) -> None:
        """Let go of an earlier life's warden."""

    async def sweep(self) -> None:
        """End what a killed warden has left."""

    def changed(self) -> None:
        """Take note that a process is in another state."""

    def say(self, text: str) -> None:
        """Tell the user."""

    def show_failure(self, process: Process, what: str) -> None:
        """Tell the user of a failure, with the last words of the process."""


class Process:
    """One process of a run.

    Args:
        settings: as in the manifest.
        dependencies: the processes it depends on.
        output: where its output goes.
        run: what is around it.
    """

    def __init__(
        self,
        settings: ProcessSettings,
        dependencies: Sequence[Process],
        output: Output,
        run: Surroundings,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self.dependencies = dependencies
        self.output = output
        self.state = "waiting"
        self.pid: int | None = None
        self.restarts = Restarts(settings.restart, settings.restart_limit)
        self.started_ns: int | None = None
        self.ended_ns: int | None = None
        self.status: int | None = None
        self.outcome: Outcome | None = None
        self.ready = asyncio.Event()
        self.over = asyncio.Event()
        self.ward: Ward | None = None
        self._run = run
        self._asked = False
        self._killed = False
        self._trouble = ""

    async def live(self) -> Outcome:
        """Live; the final outcome. Does not raise what is the process's own trouble."""
        try:
            self.outcome = await self._live()
        except Error as error:
            self.outcome = Outcome("failed", str(error))
            self._run.say(f"{self.name}: {error}")
        self.pid = None
        self._enter("ended")
        self.over.set()
        return self.outcome

    def stop(self) -> None:
        """Ask it to end."""
        self._asked = True
        if self.ward is not None and self.pid is not None:
            self._enter("stopping")
            number = signal.Signals[self.settings.stop_signal]
            self.ward.stop(number, self.settings.stop_timeout)

    def kill(self) -> None:
        """End it now."""
        self._asked = self._killed = True
        if self.ward is not None and self.pid is not None:
            self._enter("stopping")
            self.ward.kill()

    async def _live(self) -> Outcome:
        for dependency in self.dependencies:
            if await self._unless_stopping(dependency.ready.wait()) is None:
                return Outcome("not started", "was not started")
        while True:
            self._enter("starting")
            order = await self._unless_stopping(self._run.order(self.settings))
            if order is None or self._run.stopping.is_set():
                return self._stopped_between()
            if await self._unless_stopping(self._expect_nobody()) is None:
                return self._stopped_between()
            ending, ready_for = await self._one_life(order)
            if self._asked:
                return self._stopped(ending)
            delay = self.restarts.after(1 if self._trouble else ending.status, ready_for)
            if delay is None or self._run.stopping.is_set():
                return self._final(ending, ready_for)
            self._announce_restart(ending, delay)
            if await self._unless_stopping(_later(delay)) is None:
                return self._stopped_between()

    async def _expect_nobody(self) -> bool:
        """See that nobody is where the process will be: they would be taken for it.

        Raises:
            SupervisionError: somebody is there.
        """
        ready = self.settings.ready
        if ready is not None and ready.kind != "line":
            target = self._run.target(ready)
            if await Reach(ready.kind, target).is_taken():
                raise SupervisionError(
                    f"before it was started, somebody listens at {ready.kind} {target} already: "
                    "end that one, or choose another place"
                )
        return True

    async def _one_life(self, order: Order) -> tuple[Ending, float | None]:
        """Start it and see it to its end; the second value is for how many seconds it was ready."""
        self._trouble = ""
        watch = self._watch()
        ward = await self._run.start(self.name, order, self.output.take)
        self.ward, previous = ward, self.ward
        if previous is not None:
            await self._run.dismiss(previous)
        self.pid, self.status = ward.pid, None
        self.started_ns, self.ended_ns = time.time_ns(), None
        self._run.values[f"{self.name}.pid"] = str(ward.pid)
        self._enter("starting")
        if self._killed:
            self.kill()
        elif self._asked:
            self.stop()
        ended = asyncio.create_task(ward.wait())
        is_ready = await self._until_ready(watch, ended)
        ready_at = time.monotonic()
        if is_ready:
            self._be_ready(watch)
        elif not ended.done() and not self._asked:
            ward.stop(signal.Signals[self.settings.stop_signal], self.settings.stop_timeout)
        ending = await ended
        self.pid, self.status, self.ended_ns = None, ending.status, time.time_ns()
        await self._clear_up(ending)
        return ending, time.monotonic() - ready_at if is_ready else None

    def _watch(self) -> LineWatch | None:
        ready = self.settings.ready
        watch = LineWatch(ready.lines) if ready is not None and ready.kind == "line" else None
        self.output.on_line = watch.see if watch is not None else None
        return watch

    async def _until_ready(self, watch: LineWatch | None, ended: asyncio.Task[Ending]) -> bool:
        """Wait until it is ready, or has ended, or the time is up."""
        ready = self.settings.ready
        if ready is None:
            return True
        try:
            awaited = watch or Reach(ready.kind, self._run.target(ready))
            return await self._until_reached(awaited, ended)
        except Error as error:
            self._trouble = str(error)
            return False
        finally:
            self.output.on_line = None

    async def _until_reached(self, awaited: LineWatch | Reach, ended: asyncio.Task[Ending]) -> bool:
        seen = asyncio.create_task(awaited.until_reached())
        limit = self.settings.ready_timeout
        telling = asyncio.create_task(tell_waiting(self.name, awaited, limit, self._run.say))
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait([seen, ended], timeout=limit, return_when=first)
        telling.cancel()
        if not seen.done():
            await asyncio.sleep(0)  # it may have been ready with its last breath
        if seen.done():
            seen.result()
            return True
        seen.cancel()
        if not ended.done() and not self._asked:
            self._trouble = f"was not ready within {limit:g} s: {awaited.missing}"
        return False

    def _be_ready(self, watch: LineWatch | None) -> None:
        for group, value in (watch.values if watch is not None else {}).items():
            name = f"{self.name}.{group}"
            old = self._run.values.get(name, value)
            if old != value:
                self._run.say(f"{{{name}}} is now {value}; who was told {old} is not told again")
            self._run.values[name] = value
        if not self._asked:
            self._enter("running")
        self.ready.set()

    async def _clear_up(self, ending: Ending) -> None:
        if ending.orphaned:
            self._run.say(f"{self.name}: its warden was killed; ending what is left of it")
            await self._run.sweep()
        if ending.leftovers:
            many = "1 process" if ending.leftovers == 1 else f"{ending.leftovers} processes"
            self._run.say(f"{self.name} left {many} behind; ended")

    def _announce_restart(self, ending: Ending, delay: float) -> None:
        self._run.show_failure(self, self._what_happened(ending, None))
        count = f"{self.restarts.in_a_row} of {self.settings.restart_limit} in a row"
        self._run.say(f"{self.name}: restart in {delay:g} s ({count})")
        self.output.begin(f"{how_it_ended(ending.status)}; restart {self.restarts.total}")
        self._enter("restarting")

    def _final(self, ending: Ending, ready_for: float | None) -> Outcome:
        unready = self.settings.ready is not None and ready_for is None
        if ending.status == 0 and not self._trouble and not unready:
            return Outcome("ended", how_it_ended(0), 0)
        what = self._what_happened(ending, ready_for)
        if self.restarts.exhausted:
            what += f", after {self.restarts.total} restarts"
        self._run.show_failure(self, what)
        # What we ended because of its trouble has no status of its own.
        status = None if self._trouble else ending.status
        return Outcome("failed", what, status, "was not ready" if self._trouble else "failed")

    def _what_happened(self, ending: Ending, ready_for: float | None) -> str:
        if self._trouble:
            return self._trouble
        unready = self.settings.ready is not None and not self.ready.is_set()
        return how_it_ended(ending.status) + (" before it was ready" if unready else "")

    def _stopped(self, ending: Ending) -> Outcome:
        how = how_it_ended(ending.status)
        if self._killed:
            how = "killed"
        elif ending.status == -signal.SIGKILL and not ending.orphaned:
            how = f"did not stop in {duration(self.settings.stop_timeout)}, killed"
        unready = self.settings.ready is not None and not self.ready.is_set()
        what = "was not ready, stopped" if unready else "stopped"
        return Outcome("stopped", f"{what}: {how}", ending.status)

    def _stopped_between(self) -> Outcome:
        if self.started_ns is None:
            return Outcome("not started", "was not started")
        return Outcome("stopped", "stopped before its restart", self.status)

    async def _unless_stopping(self, work: Awaitable[T]) -> T | None:
        """Wait for something, but not once the run is stopping; None then."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._run.stopping.wait())
        try:
            await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for each in (task, stopping):
                each.cancel()

    def _enter(self, state: str) -> None:
        self.state = state
        self._run.changed()


async def _later(seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return True


def facts(process: Process) -> Mapping[str, object]:
    """Say what is known of a process, for records."""
    outcome = process.outcome
    return {
        "state": process.state,
        "pid": process.pid,
        "started_ns": process.started_ns,
        "ended_ns": process.ended_ns,
        "restarts": process.restarts.total,
        "status": process.status,
        "outcome": outcome.kind if outcome else None,
        "how": outcome.how if outcome else None,
    }
