"""Questions on their way to the policies: who waits, who is late."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from ..policy.base import Policy
from .answers import Answers
from .batch import Batch
from .executor import Done, Executor, Inline, Threaded
from .session import Job, Session

__all__ = ["Desk"]

log = logging.getLogger("isthmus.gateway")


class Desk:
    """Collects the questions of a pass and hands them to the executors, a batch per policy.

    Attributes:
        kinds: policy name -> `inline` or `thread`.
        jobs: the questions of this pass.
        waiting: jobs that a worker has, or will get.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        infer_ns: Mapping[str, int],
        answers: Answers,
        *,
        executor: str,
        alone: bool,
    ) -> None:
        """Start an executor for every policy.

        Args:
            policies: by name.
            infer_ns: what one inference of each takes.
            answers: knows the deadlines.
            executor: `inline`, `thread`, or `auto`: a thread for policies slower than a quarter
                of their deadline.
            alone: every session in an inference of its own.
        """
        self.kinds: dict[str, str] = {}
        self.jobs: list[Job] = []
        self.waiting: set[Job] = set()
        self._executors: dict[str, Executor] = {}
        self._answers = answers
        self._executor = executor
        self._alone = alone
        for name, policy in policies.items():
            kind, started = self.start(policy, infer_ns[name])
            self.kinds[name], self._executors[name] = kind, started

    def start(self, policy: Policy, infer_ns: int) -> tuple[str, Executor]:
        """Start an executor, which gets no questions yet: `inline` or `thread`, and itself."""
        deadline = self._answers.deadline_ns(policy.contract)
        slow = infer_ns > deadline // 4
        kind = ("thread" if slow else "inline") if self._executor == "auto" else self._executor
        log.info(
            "policy %s (%s): one inference takes %.3f ms of a deadline of %.1f ms; executor %s",
            policy.name, policy.kind, infer_ns / 1e6, deadline / 1e6, kind,
        )  # fmt: skip
        runner = Threaded if kind == "thread" else Inline
        return kind, runner(Batch(policy), alone=self._alone)

    def replace(self, name: str, kind: str, executor: Executor) -> list[Executor]:
        """Give all questions to this executor; the former ones still deliver what they have."""
        former = list(self._executors.values())
        self.kinds, self._executors = {name: kind}, {name: executor}
        return former

    def bells(self) -> Iterator[tuple[int, Executor]]:
        """Descriptors that are readable when an executor has something to deliver."""
        for executor in self._executors.values():
            bell = executor.descriptor()
            if bell is not None:
                yield bell, executor

    def submit(self, done: Done) -> None:
        """Hand this pass's questions over."""
        jobs, self.jobs = self.jobs, []
        if len(jobs) == 1:
            self._executors[jobs[0].policy_name].submit(jobs, done)
        else:
            groups: dict[str, list[Job]] = {}
            for job in jobs:
                groups.setdefault(job.policy_name, []).append(job)
            for name, group in groups.items():
                self._executors[name].submit(group, done)
        for job in jobs:
            if not job.settled and not job.session.closed:
                self.waiting.add(job)

    def settle(self, job: Job) -> bool:
        """A job has been inferred; False if nobody waits for it any more."""
        self.waiting.discard(job)
        if job.settled or job.session.closed:
            return False
        job.settled = True
        return True

    def overdue(self, now_ns: int) -> list[Job]:
        """Jobs whose budget is over and whose sessions wait: they are settled with a miss."""
        found = [job for job in self.waiting if job.expires_ns and job.expires_ns <= now_ns]
        for job in found:
            self.waiting.discard(job)
            job.settled = True
        return [job for job in found if not job.session.closed]

    def forget(self, session: Session) -> None:
        """Nobody waits for this session's question any more."""
        if self.waiting:
            self.waiting = {job for job in self.waiting if job.session is not session}

    def due_ns(self) -> int | None:
        """When the next budget ends; None if none does."""
        if not self.waiting:
            return None
        return min((job.expires_ns for job in self.waiting if job.expires_ns), default=None)

    def close(self) -> None:
        """Stop the executors."""
        for executor in self._executors.values():
            executor.close()
