"""The ledger: what the engine writes down after its answers have left, and who adds it up.

Theory of operation. The engine's thread writes rows and notes into two lists, and at the end of a
pass puts both, with a copy of its counters, into a deque: one append, without a lock. Whoever wants
to know takes the lock, takes what is in the deque, and adds it up (`Accounts`); the engine never
waits for that lock. Where nobody comes to add up, the engine does it itself, a bounded slice at a
time and only if the lock is free, so that memory stays bounded and nothing is lost.

Deadlines are judged in the engine's thread, because a degraded session is answered otherwise from
its next step on; events are emitted there too, so that they are in order. Nothing that fails in
here reaches a client: it is logged, once per kind of failure, and the gateway serves on.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from time import monotonic_ns, time_ns
from typing import Any

from ..events.kinds import EventSink
from ..protocol.messages import Action, Answer, Message, Outcome
from ..telemetry import DeadlineWatchdog, PolicyState, SessionState, Snapshot
from .accounts import OUTCOMES, Accounts, Note, Pass, Row, Watched
from .clients import Account, Clients, is_due
from .counters import Counters
from .mismatches import Mismatch
from .payloads import Payloads
from .session import Job, Session
from .telling import Teller

__all__ = ["Answered", "Ledger"]

log = logging.getLogger("isthmus.gateway")

MOST_WAITING = 4096
"""Passes that may wait to be added up before the engine does it."""
_SLICE = 128
"""Passes that the engine adds up at a time: well below a millisecond."""

_REPLACED, _MISMATCH, _ERRORS = "replaced", "mismatch", "error "
"""What a client may do again and again; an error with its code behind it."""

_POLICY, _MISS, _FALLBACK, _ERROR = OUTCOMES
_OUTCOMES = {
    int(Outcome.POLICY): _POLICY,
    int(Outcome.MISS): _MISS,
    int(Outcome.FALLBACK): _FALLBACK,
    int(Outcome.MISS_FALLBACK): _MISS,
}


Answered = tuple[Job, Answer, int, int, int]
"""A step whose answer has left: job, answer, and when the inference started, ended (both 0 if it
was not waited for) and the answer had been sent. A plain tuple: one is made at every step."""


class Ledger:
    """What a gateway knows of itself.

    Everything but `snapshot`, `fold` and `show_alerts` is for the engine's thread alone.

    Args:
        events: takes what happens; None = nobody.
        hash_log: takes the forensic record of randomization mismatches; None = nobody.
        payloads: what is recorded of messages: `off`, `sampled` or `all`.
        sample_every: with `sampled`, one exchange of so many.
        escalate_after: misses in a row of one session that are an escalation; 0 = never.
        degrade_ratio: recent miss rate, 0 to 1, above which a plain client's actions are replaced
            by the fallback, until it has fallen to half of that; 0 = never. See `Answers.of`.
        lately_s: length of the snapshot's window in seconds.
        now_ns: the monotonic clock.
        wall_ns: the wall clock.

    Attributes:
        counters: the engine's, live.
        payloads: whether and what is recorded of messages.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        events: EventSink | None = None,
        *,
        hash_log: EventSink | None = None,
        payloads: str = "off",
        sample_every: int = 100,
        escalate_after: int = 0,
        degrade_ratio: float = 0.0,
        lately_s: float = 60.0,
        now_ns: Callable[[], int] = monotonic_ns,
        wall_ns: Callable[[], int] = time_ns,
    ) -> None:
        DeadlineWatchdog(escalate_after, degrade_ratio)  # whoever is wrong is told now
        self.counters = Counters()
        self.payloads = Payloads(payloads, sample_every)
        self._hash_log = hash_log
        self._escalate_after = escalate_after
        self._degrade_ratio = degrade_ratio
        self._now_ns, self._wall_ns = now_ns, wall_ns
        self._started_wall_ns = wall_ns()
        self._tell = Teller(events, now_ns, self._failed)
        self._accounts = Accounts(self._tell.emit, self._record_mismatch, lately_s)
        self._numbers = count(1)
        self._rows: list[Row] = []
        self._notes: list[Note] = []
        self._open: dict[int, Account] = {}
        self._clients = Clients()
        self._leaving: list[tuple[Session, str]] = []
        self._passes: deque[Pass] = deque()
        self._folding = threading.Lock()
        self._alerts: Mapping[str, int] = {}
        self._faults: set[str] = set()

    # any thread ---------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything until the engine's last pass, as of one instant."""
        lost = self._tell.dropped
        with self._folding:
            self._fold(len(self._passes))
            return self._accounts.snapshot(
                events_dropped=lost,
                wall_ns=self._wall_ns(),
                now_ns=self._now_ns(),
                started_wall_ns=self._started_wall_ns,
                alerts=self._alerts,
            )

    def fold(self) -> None:
        """Add up what waits, so that the engine need not."""
        if self._passes:
            with self._folding:
                self._fold(len(self._passes))

    def show_alerts(self, active: Mapping[str, int]) -> None:
        """Name -> severity, for the snapshots from now on."""
        self._alerts = dict(active)

    # the engine's pass --------------------------------------------------------------------

    def end_pass(self, answered: Sequence[Answered]) -> None:
        """A pass is over and its answers have left: write down what happened."""
        try:
            for each in answered:
                self._step(each)
            for session, reason in self._leaving:
                self._leave(session, reason)
        except Exception as exc:
            self._failed("write down a pass", exc)
        self._leaving.clear()
        # Never a list that is still empty: what comes next would stand in this pass too.
        rows, notes = self._rows or (), self._notes or ()
        self._passes.append((rows, notes, vars(self.counters).copy()))
        if rows:
            self._rows = []
        if notes:
            self._notes = []
        if len(self._passes) > MOST_WAITING and self._folding.acquire(blocking=False):
            try:
                self._fold(_SLICE)
            finally:
                self._folding.release()

    def _step(self, step: Answered) -> None:
        job, answer, started_ns, ended_ns, sent_ns = step
        session = job.session
        account = self._open.get(session.number)
        if account is None:
            return
        watchdog = account.watchdog
        watched = None
        outcome = _ERROR
        if isinstance(answer, Action):
            outcome = _OUTCOMES[answer.outcome]
            was = watchdog.degraded
            if watchdog.record(job.missed):
                self._escalate(job, watchdog)
            if watchdog.degraded is not was:
                self._tell.degraded(session, watchdog)
            watched = _watched(watchdog)
            if answer.clipped or session.clipped:
                self._clip(job, answer.clipped)
            if answer.cause and not job.missed:
                self._replaced(job, answer.cause, account.again(_REPLACED))
            elif not job.missed:
                account.over(_REPLACED)
            account.over(_ERRORS)
        instants = (
            job.received_ns, job.taken_ns, job.decoded_ns, started_ns, ended_ns, job.ready_ns,
            sent_ns,
        )  # fmt: skip
        self._rows.append((session.number, outcome, job.missed, instants, watched))
        if job.missed:
            self._tell.missed(job, watchdog, sent_ns, ended_ns - started_ns)
        if account.empties:
            account.empties = 0
            self._note(self._accounts.empties, session.number, 0)
        observation = job.observation
        expected = observation.expected_rand_hash
        if expected and expected != observation.rand_hash:
            run = account.again(_MISMATCH)
            self._mismatch(job, expected, observation.rand_hash, run)
        elif expected:
            account.over(_MISMATCH)

    def _escalate(self, job: Job, watchdog: DeadlineWatchdog) -> None:
        self.counters.deadline_escalation_events += 1
        self._tell.of(
            job.session,
            "deadline_escalation",
            corr_id=job.corr_id,
            consecutive=watchdog.consecutive,
            threshold=self._escalate_after,
        )

    def _clip(self, job: Job, joints: tuple[int, ...]) -> None:
        """Count every answer that a limit changed, and tell of the first in a row."""
        if joints:
            self.counters.joint_limit_violation += 1
            if not job.session.clipped:
                values = {"corr_id": job.corr_id, "joints": list(joints)}
                self._tell.of(job.session, "joint_limit_violation", **values)
        job.session.clipped = bool(joints)

    def _replaced(self, job: Job, cause: str, run: int) -> None:
        """Count every action in time that was not sent, and tell of it now and then."""
        self.counters.actions_replaced += 1
        if is_due(run):
            values = {"corr_id": job.corr_id, "cause": cause, "consecutive": run}
            self._tell.of(job.session, "action_replaced", **values)

    def _mismatch(self, job: Job, expected: str, actual: str, run: int) -> None:
        self.counters.rand_hash_mismatch += 1
        found = Mismatch(
            job.session.number, job.session.name, job.session.peer, job.corr_id, expected, actual,
            job.seq, job.observation.sim_time, self._wall_ns(), self._now_ns(), run,
        )  # fmt: skip
        self._note(self._accounts.mismatched, found)

    def totals(self) -> dict[str, Any]:
        """The counters, live, by the names that the first system's clients ask for."""
        return {**self.counters.to_dict(), "consec_deadline_miss": self._consecutive()}

    def _consecutive(self) -> int:
        """Most misses in a row, of who is connected and of clients that were a moment ago."""
        runs = (account.watchdog.consecutive for account in self._open.values())
        there = max(runs, default=0)
        return max(there, self._clients.consecutive(self._now_ns()))

    # what else happens --------------------------------------------------------------------

    def serving(self, policies: Sequence[PolicyState]) -> None:
        """These are served from now on."""
        self._note(self._accounts.serving, tuple(policies))

    def opened(self, session: Session, *, resumed: bool = False) -> None:
        """A session was welcomed."""
        self.counters.sessions += 1
        session.number = next(self._numbers)
        account = self._account_for(session)
        watchdog, account.transport = account.watchdog, session.transport.name
        session.watchdog, session.before = watchdog, (watchdog.steps, watchdog.misses)
        self._open[session.number] = account
        state, before = _state_of(session), (_watched(watchdog), account, account.empties)
        self._note(self._accounts.opened, session.number, state, *before)
        self._tell.opened(session, state, resumed)

    def _account_for(self, session: Session) -> Account:
        """A new one, or for a client without a link what it left behind a moment ago."""
        if session.hello is not None:
            return Account(DeadlineWatchdog(self._escalate_after))
        left = self._clients.resume(session, self._now_ns())
        return left or Account(DeadlineWatchdog(self._escalate_after, self._degrade_ratio))

    def changed(self, session: Session) -> None:
        """A session travels another way, or another policy answers it."""
        account = self._open.get(session.number)
        if account is None:
            return
        self._note(self._accounts.changed, session.number, _state_of(session))
        before, account.transport = account.transport, session.transport.name
        if before != account.transport:
            self._tell.of(session, "session_moved", transport=account.transport, before=before)

    def closed(self, session: Session, reason: str = "") -> None:
        """A session has ended."""
        if session.number:
            self._leaving.append((session, reason))

    def _leave(self, session: Session, reason: str) -> None:
        account = self._open.pop(session.number)
        watchdog = account.watchdog
        steps, misses = watchdog.steps - session.before[0], watchdog.misses - session.before[1]
        runs, now_ns = (0, 0), self._now_ns()
        if session.hello is None:
            runs = watchdog.consecutive, account.empties
            self._clients.leave(session, account, now_ns)
        client = account if session.hello is None else None
        self._note(self._accounts.closed, session.number, client, *runs, now_ns)
        self._tell.closed(session, steps, misses, reason)

    def began_episode(self, session: Session, reset: Mapping[str, Any]) -> None:
        """An observation came with a reset."""
        self._note(self._accounts.reset, session.number, reset)

    def exchanged(self, session: Session, answer: Message, size: int) -> None:
        """An answer of `size` bytes has left; what is wanted of it is copied now."""
        try:
            for event in self.payloads.events(session, answer, size):
                self._tell.emit(event)
        except Exception as exc:
            self._failed("record a payload", exc)

    def late(self, job: Job, started_ns: int, ended_ns: int) -> None:
        """An inference ended after its question had been answered with a miss."""
        self.counters.late += 1
        queue_ns, infer_ns = started_ns - job.decoded_ns, ended_ns - started_ns
        whole_ns = ended_ns - job.received_ns
        self._note(self._accounts.late, queue_ns, infer_ns, whole_ns, ended_ns)
        self._tell.late(job, infer_ns, ended_ns)

    def refused(self, session: Session, code: str, detail: str) -> None:
        """A connection was refused."""
        self.counters.refuse(code)
        self._tell.of(session, "refused", code=code, detail=detail)

    def erred(self, session: Session, code: str, detail: str, corr_id: str = "") -> None:
        """A question was answered with an error."""
        self.counters.error(code)
        account = self._open.get(session.number)
        run = account.again(_ERRORS + code) if account is not None else 1
        if is_due(run):
            joined = {"corr_id": corr_id} if corr_id else {}
            values = {"code": code, "detail": detail, "consecutive": run, **joined}
            self._tell.of(session, "error_answer", **values)

    def told(self, session: Session, data: Mapping[str, Any]) -> None:
        """A link reported what it feels."""
        self._note(self._accounts.told, session.number, data)

    def accept_paused(self, detail: str) -> None:
        """Descriptors are used up."""
        self.counters.accept_pauses += 1
        self._tell.of_gateway("accept_paused", detail=detail)

    def empty_joint_state(self, session: Session, run: int) -> None:
        """An observation without a joint came; `run` is 0 if it ends a run of all clients.

        What is told and shown is this client's own run: one that is well does not hide another.
        """
        self.counters.empty_joint_state += run > 0
        account = self._open.get(session.number)
        if account is None:
            return
        account.empties = account.empties + 1 if run else 0
        self._note(self._accounts.empties, session.number, account.empties)
        if account.empties > 1 and is_due(account.empties):
            self._tell.of(session, "empty_joint_state", consecutive=account.empties)

    def joint_spec_mismatch(
        self, session: Session, expected: int, came: int, due: bool = True
    ) -> None:
        """An observation has another number of joints than the specification; `due`: say so."""
        self.counters.joint_spec_mismatch += 1
        if due:
            self._tell.of(session, "joint_spec_mismatch", expected=expected, actual=came)

    def policy_loaded(self, path: str, kind: str, name: str, corr_id: str = "") -> None:
        """Another policy answers from now on."""
        self.counters.policy_loads += 1
        about = {"policy_kind": kind, "policy": name, "corr_id": corr_id}
        self._tell.of_gateway("policy_loaded", path=path, **about)

    def policy_load_failed(self, path: str, detail: str, corr_id: str = "") -> None:
        """A policy could not be loaded; the one before stays."""
        self.counters.policy_load_failures += 1
        self._tell.of_gateway("policy_load_failed", path=path, detail=detail, corr_id=corr_id)

    # ------------------------------------------------------------------------------------

    def _note(self, enter: Callable[..., None], *args: Any) -> None:
        self._notes.append(Note(enter, args))

    def _record_mismatch(self, line: Mapping[str, Any]) -> None:
        if self._hash_log is not None:
            try:
                self._hash_log.emit(line)
            except Exception as exc:
                self._failed("emit an event", exc)

    def _fold(self, most: int) -> None:
        """Add up at most so many passes; the lock is held."""
        taken = [self._passes.popleft() for _ in range(min(most, len(self._passes)))]
        try:
            self._accounts.take(taken)
        except Exception as exc:
            self._failed("add up", exc)

    def _failed(self, what: str, exc: Exception) -> None:
        kind = f"{what}: {type(exc).__name__}"
        if kind not in self._faults:  # once, not at every step that it lasts
            self._faults.add(kind)
            log.error("the ledger cannot %s; it goes on without", what, exc_info=exc)


def _watched(watchdog: DeadlineWatchdog) -> Watched:
    return watchdog.steps, watchdog.misses, watchdog.consecutive, watchdog.escalations


def _state_of(session: Session) -> SessionState:
    return SessionState(
        name=session.name,
        peer=session.peer,
        transport=session.transport.name,
        codec="json" if session.is_json else "binary",
        policy=session.policy.name if session.policy is not None else "",
        num_envs=session.arrays.num_envs if session.arrays is not None else 1,
    )
