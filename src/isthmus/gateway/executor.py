"""Who runs the policy: the engine's own thread, or a worker beside it.

`inline` costs nothing and suits policies well under their budget. `thread` suits slow policies
that release the GIL: while the worker infers, the engine answers misses at the budget and takes
further questions, at most one a session. A worker is only ever given arrays of its own.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue
from time import monotonic_ns
from typing import Protocol

from ..errors import InferenceError
from .batch import Batch, answer_alone
from .session import Job

__all__ = ["Done", "Executor", "Inline", "Threaded"]


class Done(Protocol):
    """Called in the engine's thread for each answered job."""

    def __call__(
        self, job: Job, fault: InferenceError | None, started_ns: int, ended_ns: int
    ) -> None:
        """`job` has been inferred, or failed with `fault`."""
        ...


class Executor(Protocol):
    """Runs one policy."""

    @property
    def slow(self) -> bool:
        """True if it held up the engine's thread for longer than it may."""
        ...

    @property
    def idle(self) -> bool:
        """True if it has no job."""
        ...

    def submit(self, jobs: Sequence[Job], done: Done) -> None:
        """Take jobs; `done` is called for each, now or from `collect`."""
        ...

    def collect(self) -> None:
        """Deliver what a worker has finished, and start what has been waiting."""
        ...

    def descriptor(self) -> int | None:
        """Readable when `collect` has something to deliver."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


FEW = 1000
"""Inferences, among which a second long one is the policy's doing."""


class Inline:
    """The engine's own thread.

    Attributes:
        batch: of the policy that it runs.
        slow: True once two of `FEW` inferences took longer than they may. A single one may be the
            host's doing.
    """

    idle = True

    def __init__(self, batch: Batch, *, alone: bool = False, most_ns: int | None = None) -> None:
        """Run `batch.policy`.

        Args:
            batch: of the policy.
            alone: every session in a call of its own.
            most_ns: what an inference may take before `slow` is set; None = any time.
        """
        self.batch = batch
        self.slow = False
        self._alone = alone
        self._most_ns = most_ns
        self._ran = 0
        self._ran_long: int | None = None

    def submit(self, jobs: Sequence[Job], done: Done) -> None:
        """Infer now."""
        if len(jobs) == 1 or self._alone:
            for job in jobs:
                started = monotonic_ns()
                fault = answer_alone(job)
                ended = monotonic_ns()
                self._time(ended - started)
                done(job, fault, started, ended)
            return
        batch = self.batch
        batch.fill(jobs)
        batch.run()
        batch.split()
        self._time(batch.ended_ns - batch.started_ns)
        for job, fault in zip(jobs, batch.faults, strict=True):
            done(job, fault, batch.started_ns, batch.ended_ns)

    def spare(self) -> None:
        """There is no other place to run it: any time will do."""
        self.slow, self._most_ns = False, None

    def _time(self, took_ns: int) -> None:
        self._ran += 1
        if self._most_ns is not None and took_ns > self._most_ns:
            self.slow = self._ran_long is not None and self._ran - self._ran_long < FEW
            self._ran_long = self._ran

    def collect(self) -> None:
        """Nothing is ever left to deliver."""

    def descriptor(self) -> int | None:
        """No descriptor."""
        return None

    def close(self) -> None:
        """Nothing to stop."""


class Threaded:
    """A worker thread that runs one batch at a time, and the jobs that wait for the next."""

    slow = False

    def __init__(self, batch: Batch, *, alone: bool = False) -> None:
        """Start the worker for `batch.policy`."""
        self._batch = batch
        self._alone = alone
        self._waiting: deque[Job] = deque()
        self._running = False
        self._done: Done | None = None
        self._requests: SimpleQueue[Batch | None] = SimpleQueue()
        self._finished: deque[Batch] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._work, name="isthmus-policy", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """True if no batch runs and none waits."""
        return not self._running and not self._waiting

    def submit(self, jobs: Sequence[Job], done: Done) -> None:
        """Queue jobs, and start them if the worker is idle."""
        self._done = done
        if self._running:  # while a policy hangs, what nobody waits for must not pile up
            self._waiting = deque(job for job in self._waiting if _is_wanted(job))
        self._waiting.extend(jobs)
        self._start()

    def collect(self) -> None:
        """Deliver the finished batch, and start the next."""
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return  # woken for nothing
        if not self._finished:
            return
        batch, done = self._finished.popleft(), self._done
        self._running = False
        batch.split()
        for job, failed in zip(batch.jobs, batch.faults, strict=True):
            if done is not None:
                done(job, failed, batch.started_ns, batch.ended_ns)
        self._start()

    def descriptor(self) -> int | None:
        """The worker's bell."""
        return self._bell

    def close(self) -> None:
        """Let the worker end after its batch; a policy that hangs is left behind."""
        self._requests.put(None)
        self._thread.join(timeout=1.0)
        if not self._thread.is_alive():
            os.close(self._bell)

    def _start(self) -> None:
        if self._running:
            return
        jobs: list[Job] = []
        while self._waiting and not (self._alone and jobs):
            job = self._waiting.popleft()
            if _is_wanted(job):
                jobs.append(job)
        if jobs:
            self._running = True
            self._batch.fill(jobs)
            self._requests.put(self._batch)

    def _work(self) -> None:
        while True:
            batch = self._requests.get()
            if batch is None:
                return
            try:
                batch.run()
            except BaseException as exc:  # noqa: BLE001  (it must not end the worker)
                text = f"policy {batch.policy.name!r} raised {type(exc).__name__}: {exc}"
                batch.fail(InferenceError(text))
            self._finished.append(batch)
            os.eventfd_write(self._bell, 1)


def _is_wanted(job: Job) -> bool:
    return not job.settled and not job.session.closed
