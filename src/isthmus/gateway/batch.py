"""Many observations, one inference.

Whatever is ready is answered together: the engine never waits for more. A batch that fails is run
again row by row, so that one bad row cannot hurt another.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InferenceError
from ..policy.base import Policy, allocate_action, allocate_observation
from ..policy.step import StepArrays, run
from .session import Job

__all__ = ["Batch", "answer_alone", "measure"]

ArrayDict = dict[str, NDArray[Any]]


def answer_alone(job: Job) -> InferenceError | None:
    """Infer on the session's own rows; nothing is gathered. Returns the fault, if any."""
    try:
        _arrays(job).infer(job.observation.arrays)
    except InferenceError as exc:
        return exc
    return None


class Batch:
    """Arrays for the rows of several sessions of one policy; they grow and are kept.

    Attributes:
        jobs: what is in it, in row order.
        faults: by job, after `run`.
        started_ns: when the inference began.
        ended_ns: when it ended.
    """

    def __init__(self, policy: Policy) -> None:
        """Begin with room for one row."""
        self.policy = policy
        self.jobs: Sequence[Job] = ()
        self.faults: list[InferenceError | None] = []
        self.started_ns = 0
        self.ended_ns = 0
        self._capacity = 0
        self._observation: ArrayDict = {}
        self._action: ArrayDict = {}
        self._state: ArrayDict = {}
        self._next_state: ArrayDict = {}
        self._unfit: InferenceError | None = None

    def fill(self, jobs: Sequence[Job]) -> None:
        """Copy every session's rows in."""
        self.jobs = jobs
        rows = sum(_rows(job) for job in jobs)
        self._unfit = None
        if rows > self._capacity:
            self._unfit = self._grow(1 << (rows - 1).bit_length())
        if self._unfit is not None:
            return
        start = 0
        for job in jobs:
            end = start + _rows(job)
            for name, array in self._observation.items():
                array[start:end] = job.observation.arrays[name]
            for name, array in self._state.items():
                array[start:end] = _arrays(job).state[name]
            start = end

    def run(self) -> None:
        """Infer, all rows at once if possible. Touches no session, so a worker may do it."""
        self.started_ns = monotonic_ns()
        total = sum(_rows(job) for job in self.jobs)
        fault = self._unfit or self._infer(0, total)
        self.faults = [fault] * len(self.jobs)
        if fault is not None and fault is not self._unfit and len(self.jobs) > 1:
            start = 0
            for index, job in enumerate(self.jobs):
                self.faults[index] = self._infer(start, start + _rows(job))
                start += _rows(job)
        self.ended_ns = monotonic_ns()

    def fail(self, fault: InferenceError) -> None:
        """Give every job this fault."""
        self.faults = [fault] * len(self.jobs)
        self.ended_ns = monotonic_ns()

    def split(self) -> None:
        """Copy every session's rows out, except those already answered with a miss."""
        start = 0
        for job, fault in zip(self.jobs, self.faults, strict=True):
            end = start + _rows(job)
            if fault is None and not job.settled and not job.session.closed:
                arrays = _arrays(job)
                for name, array in arrays.action.items():
                    array[...] = self._action[name][start:end]
                for name, array in arrays.next_state.items():
                    array[...] = self._next_state[name][start:end]
            start = end

    def _infer(self, start: int, end: int) -> InferenceError | None:
        try:
            run(
                self.policy,
                _part(self._observation, start, end),
                _part(self._action, start, end),
                _part(self._state, start, end),
                _part(self._next_state, start, end),
            )
        except InferenceError as exc:
            return exc
        return None

    def _grow(self, capacity: int) -> InferenceError | None:
        """Make room, all of it or none: a batch of before fits as it did."""
        policy = self.policy
        try:
            observation = allocate_observation(policy.contract, capacity)
            action = allocate_action(policy.contract, capacity)
            state = policy.initial_state(capacity)
            next_state = {name: np.zeros_like(array) for name, array in state.items()}
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001  (a policy's own code may raise anything)
            return InferenceError(
                f"no room for {capacity} rows of policy {policy.name!r}: "
                f"{type(exc).__name__}: {exc}"
            )
        self._capacity = capacity
        self._observation, self._action = observation, action
        self._state, self._next_state = state, next_state
        return None


def measure(policy: Policy, runs: int = 20) -> int:
    """Warm a policy up and measure it: the median of single inferences, in ns.

    Raises:
        InferenceError: it cannot answer an observation of zeros.
    """
    observation = allocate_observation(policy.contract, 1)
    action = allocate_action(policy.contract, 1)
    state = policy.initial_state(1)
    next_state = {name: np.zeros_like(array) for name, array in state.items()}
    spans = []
    for _ in range(runs):
        start = monotonic_ns()
        run(policy, observation, action, state, next_state)
        spans.append(monotonic_ns() - start)
        if sum(spans) > 2_000_000_000:  # a slow policy is known to be slow soon enough
            break
    return sorted(spans)[len(spans) // 2]


def _rows(job: Job) -> int:
    return _arrays(job).num_envs


def _arrays(job: Job) -> StepArrays:
    assert job.session.arrays is not None  # noqa: S101  (a job is of a welcomed session)
    return job.session.arrays


def _part(arrays: ArrayDict, start: int, end: int) -> ArrayDict:
    return {name: array[start:end] for name, array in arrays.items()}
