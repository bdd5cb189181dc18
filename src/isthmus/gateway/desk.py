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

SLOW_SHARE = 4
"""An inference longer than a deadline divided by this holds up the engine's thread for too long."""


class Desk:
    """Collects the questions of a pass and hands them to the executors, a batch per policy.

    Attributes:
        kinds: policy name -> `inline` or `thread`.
        jobs: the questions of this pass.
        waiting: jobs that a worker has, or will get.
        slow: names of policies that are to be moved to a worker.
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
                of their deadline, and for others once two in a thousand inferences were.
            alone: every session in an inference of its own.
        """
        self.kinds: dict[str, str] = {}
        self.jobs: list[Job] = []
        self.waiting: set[Job] = set()
        self.slow: set[str] = set()
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
        auto, most_ns = self._executor == "auto", deadline // SLOW_SHARE
        kind = ("thread" if infer_ns > most_ns else "inline") if auto else self._executor
        log.info(
            "policy %s (%s): one inference takes %.3f ms of a deadline of %.1f ms; executor %s",
            policy.name, policy.kind, infer_ns / 1e6, deadline / 1e6, kind,
        )  # fmt: skip
        if kind == "thread":
            return kind, Threaded(Batch(policy), alone=self._alone)
        return kind, Inline(Batch(policy), alone=self._alone, most_ns=most_ns if auto else None)

    def relieve(self) -> list[Executor]:
        """Move slow policies out of the engine's thread; called when it has no job of theirs.

        Returns:
            The executors that run them from now on.
        """
        names, self.slow = self.slow, set()
        found: list[Executor] = []
        for name in sorted(names & self._executors.keys()):
            former = self._executors[name]
            if not isinstance(former, Inline):
                continue
            try:
                executor = Threaded(former.batch, alone=self._alone)
            except (OSError, RuntimeError) as exc:  # no descriptor, no thread
                log.warning("policy %s is slow, and no worker can be started: %s", name, exc)
                former.spare()
                continue
            self.kinds[name], self._executors[name] = "thread", executor
            found.append(executor)
            log.warning(
                "policy %s: inferences took longer than a quarter of the deadline; a worker "
                "thread runs it from now on",
                name,
            )
        return found

    def replace(self, name: str, kind: str, executor: Executor) -> list[Executor]:
        """Give all questions to this executor; the former ones still deliver what they have."""
        former = list(self._executors.values())
        self.kinds, self._executors = {name: kind}, {name: executor}
        self.slow.clear()
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
            self._submit(jobs[0].policy_name, jobs, done)
        else:
            groups: dict[str, list[Job]] = {}
            for job in jobs:
                groups.setdefault(job.policy_name, []).append(job)
            for name, group in groups.items():
                self._submit(name, group, done)
        for job in jobs:
            if not job.settled and not job.session.closed:
                self.waiting.add(job)

    def _submit(self, name: str, jobs: list[Job], done: Done) -> None:
        executor = self._executors[name]
        executor.submit(jobs, done)
        if executor.slow:
            self.slow.add(name)

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
