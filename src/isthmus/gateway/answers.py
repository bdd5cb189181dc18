"""What a job is answered with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import monotonic_ns, time_ns
from typing import Any

import numpy as np

from ..contract import Contract
from ..errors import InferenceError
from ..policy.reception import DEADLINE_SHARE
from ..protocol.messages import (
    Action,
    Admin,
    AdminAck,
    Answer,
    ErrorAnswer,
    Message,
    Observation,
    Outcome,
    Ping,
    Pong,
    Ready,
    Reset,
)
from .counters import Counters
from .session import Job, Session

__all__ = ["Answers"]

log = logging.getLogger("isthmus.gateway")

RESERVE_NS = 2_000_000
"""Of a plain client's deadline, kept to choose, limit, write and send what answers a miss: at most
this, and at most a tenth. A link keeps such a reserve itself."""

LONGEST_NS = 3_600_000_000_000
"""Of a budget this much counts; more is a mistake, or an attempt to overflow a clock."""


class Answers:
    """Makes answers and counts them."""

    def __init__(
        self,
        deadline_ns: int,
        counters: Counters,
        totals: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        """Take what answers need.

        Args:
            deadline_ns: for clients that name none; 0 takes a share of control_dt.
            counters: are added to.
            totals: what a client that asks for the counters is told; None = the counters.
        """
        self._totals = totals or counters.to_dict
        self._deadline_ns = deadline_ns
        self._counters = counters

    def deadline_ns(self, contract: Contract) -> int:
        """The deadline of a client that names none."""
        return self._deadline_ns or int(contract.control_dt_ns * DEADLINE_SHARE)

    def expiry(self, session: Session, observation: Observation, now_ns: int) -> int:
        """When a miss is answered instead; 0 = never."""
        hello = session.hello
        budget_ns = min(observation.budget_ns, LONGEST_NS)
        if hello is not None:
            waits = hello.pacing == "lockstep" or not budget_ns
            return 0 if waits else now_ns + budget_ns
        assert session.policy is not None  # noqa: S101
        deadline_ns = budget_ns or self.deadline_ns(session.policy.contract)
        return now_ns + deadline_ns - min(RESERVE_NS, deadline_ns // 10)

    def begin_episode(self, session: Session, observation: Observation) -> str:
        """A reset came with the observation: forget what the policy remembered.

        Returns:
            "", or what is wrong with the reset.
        """
        assert session.arrays is not None and observation.reset is not None  # noqa: S101
        mask = observation.reset.get("mask")
        rows = session.arrays.num_envs
        if mask is not None and (
            not isinstance(mask, list)
            or len(mask) != rows
            or not all(isinstance(row, bool) for row in mask)
        ):
            return f"reset: 'mask' must be a list of {rows} booleans"
        session.arrays.begin_episode(mask)
        if session.guard is not None:
            session.guard.reset(monotonic_ns())
        if session.elapsed is not None:
            session.elapsed.forget()
        return ""

    def of(self, job: Job, fault: InferenceError | None, started_ns: int, ended_ns: int) -> Answer:
        """The answer to an inferred job: an action, a miss if it came too late, or an error."""
        arrays = job.session.arrays
        assert arrays is not None  # noqa: S101
        if fault is not None:
            return self._fault(job, "inference_failed", str(fault))
        if not arrays.finite():
            return self._fault(
                job, "not_finite", f"policy {arrays.policy.name!r} answered with NaN or infinity"
            )
        now = job.ready_ns = monotonic_ns()
        if job.expires_ns and now > job.expires_ns:
            return self.miss(job, now)
        job.session.fault = ""
        arrays.commit()
        action = self._action(job, arrays.action, Outcome.POLICY, started_ns, ended_ns, now)
        if job.session.guard is not None and _is_degraded(job.session):
            self._counters.degrade_zeroed += 1
            return self._guarded(job, action._replace(arrays={}), "degraded")
        if job.session.guard is not None:
            action = self._guarded(job, action, "")
        self._counters.answered += action.outcome is Outcome.POLICY
        return action

    def miss(self, job: Job, now_ns: int) -> Answer:
        """The budget is over. A link computes its fallback itself; a plain client gets one."""
        self._counters.deadline_miss += 1
        job.missed, job.ready_ns = True, now_ns
        action = self._action(job, {}, Outcome.MISS, now_ns, now_ns, now_ns)
        return self._guarded(job, action, "deadline") if job.session.guard is not None else action

    def control(self, session: Session, message: Message) -> Answer:
        """The answer to a question that is no step."""
        corr_id = getattr(message, "corr_id", "") or self.corr_id(session)
        if isinstance(message, Ping):
            return Pong(wall_ns=time_ns(), corr_id=corr_id)
        if isinstance(message, Ready):
            return Reset()
        if isinstance(message, Admin):
            if message.op == "get_counters":
                return AdminAck(message.op, self._totals(), 0, 0, time_ns(), corr_id)
            return ErrorAnswer(
                "bad_admin_op",
                f"unknown operation {message.op[:64]!r}; known: get_counters, flush_metrics",
                corr_id=corr_id,
            )
        return ErrorAnswer(
            "schema_violation", f"this gateway has no use for {type(message).__name__}"
        )

    def _action(
        self,
        job: Job,
        arrays: Mapping[str, Any],
        outcome: Outcome,
        started_ns: int,
        ended_ns: int,
        now_ns: int,
    ) -> Action:
        observation = job.observation
        corr_id = observation.corr_id
        if not corr_id and job.session.is_json:
            corr_id = self.corr_id(job.session)
        protocol = job.session.protocol
        return Action(
            arrays,
            protocol.open_seq or 0,
            protocol.epoch,
            outcome,
            job.decoded_ns - job.received_ns,
            started_ns - job.decoded_ns,
            ended_ns - started_ns,
            now_ns - job.received_ns,
            observation.sim_time,
            now_ns,
            time_ns(),
            observation.rand_hash,
            observation.expected_rand_hash,
            corr_id,
        )

    def _guarded(self, job: Job, action: Action, cause: str) -> Action:
        """Limits, and the fallback's numbers, for a client that has nobody else to apply them."""
        guard = job.session.guard
        assert guard is not None  # noqa: S101
        wanted = action.arrays or None
        elapsed_ns = _elapsed_ns(job, action.send_ns)
        outcome = guard.apply(action.send_ns, wanted, job.observation.arrays, elapsed_ns, cause)
        clipped: tuple[int, ...] = ()
        arrays: Mapping[str, Any] = outcome.arrays
        if wanted is not None and (outcome.clipped or outcome.cause == "out_of_range"):
            clipped = _changed(wanted, arrays)
        if job.session.inside is not None:
            step_ns = guard.gate.step_ns(elapsed_ns)
            kept = job.session.inside.keep(arrays, job.observation.arrays, step_ns)
            clipped = tuple(sorted({*clipped, *_changed(arrays, kept)}))
            arrays = kept
        chosen = Outcome.MISS_FALLBACK if job.missed else Outcome.FALLBACK
        job.ready_ns = monotonic_ns()
        return action._replace(
            arrays=arrays,
            outcome=Outcome.POLICY if outcome.status == "policy" else chosen,
            clipped=clipped,
            cause=outcome.cause,
        )

    def _fault(self, job: Job, code: str, message: str) -> Answer:
        if job.session.guard is not None:
            now = monotonic_ns()
            elapsed_ns = _elapsed_ns(job, now)
            job.session.guard.apply(now, None, job.observation.arrays, elapsed_ns, code)
        if code != job.session.fault:  # once, not at every step that it lasts
            job.session.fault = code
            log.warning("session %s: %s: %s", job.session.name, code, message)
        corr_id = job.observation.corr_id or self.corr_id(job.session)
        return ErrorAnswer(code, message, retryable=True, corr_id=corr_id)

    def corr_id(self, session: Session) -> str:
        """Joins a question and its answer where the client named nothing."""
        return f"{session.name}-{session.protocol.memory.seq}"


def _elapsed_ns(job: Job, now_ns: int) -> int | None:
    """Time since a plain client's last command; called once for each."""
    elapsed = job.session.elapsed
    return elapsed.since_last(job.observation.sim_time, now_ns) if elapsed is not None else None


def _is_degraded(session: Session) -> bool:
    """True while a plain client misses too often (`--degrade-mode-ratio R`).

    It begins once more than R of the session's recent steps (at least 20, the last 200 at most)
    were misses, and ends when that share has fallen to R/2. Meanwhile every answer has the
    fallback's numbers, also where the policy answered in time; its observations are still inferred,
    or the share could never fall. For the guard each of them is a step without an action, so a
    real robot that it has stopped stays stopped until it is rearmed.

    This is what the first system did, and no good protection: the robot has followed misses for
    many steps before it begins, and good actions are thrown away for many steps before it ends. A
    link has something better, the ladder, which reacts to the first miss and by rule; links are
    therefore never degraded here.
    """
    return session.watchdog is not None and session.watchdog.degraded


def _changed(wanted: Mapping[str, Any], sent: Mapping[str, Any]) -> tuple[int, ...]:
    """Indices, along the last axis, of what the limits changed."""
    found: set[int] = set()
    for name, array in sent.items():
        different = np.asarray(wanted[name]) != array
        rows = different.reshape(-1, different.shape[-1] if different.ndim > 1 else 1)
        found.update(int(index) for index in np.flatnonzero(rows.any(axis=0)))
    return tuple(sorted(found))
