"""The engine: one thread that answers every link.

Theory of operation. A pass waits for anything that is ready (one epoll over all sockets and
doorbells), takes everything that is ready, answers it in as few inferences as there are policies,
and writes down what happened after the answers have left. Nothing in a pass blocks: what cannot be
sent is kept by the transport and flushed when the socket has room, and until then nothing more is
read from that session. Where time matters without an event (a budget that ends while a worker
infers, a newcomer that says nothing) the wait has a time-out, and otherwise it has none: an idle
gateway sleeps.

A fault of one session ends that session, after the pass, and touches no other.
"""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic_ns

from ..errors import (
    ConnectionLostError,
    InferenceError,
    ProtocolError,
    RefusedError,
    TransportError,
    UpgradeError,
)
from ..policy.base import Policy
from ..protocol import JsonCodec
from ..protocol.messages import (
    Admin,
    Answer,
    Attach,
    Bye,
    ErrorAnswer,
    Hello,
    Kind,
    LoadPolicy,
    Message,
    Observation,
    Telemetry,
)
from ..transport.sockets import Listener, peer_of
from ..transport.stream import StreamTransport
from . import plain
from .answers import Answers
from .batch import measure
from .desk import Desk
from .doorway import Doorway, First
from .errands import Errands
from .exchange import Exchange
from .executor import Executor
from .housekeeping import Housekeeper
from .ledger import Answered, Ledger
from .loading import Loader
from .moving import hand_over, move
from .plain import JointWatch
from .register import Register
from .requests import Requests
from .room import check_room
from .session import Job, Session
from .settings import Settings
from .telling import LOST
from .watch import Watch
from .wires import Wires

__all__ = ["Engine"]

log = logging.getLogger("isthmus.gateway")

_READ = select.EPOLLIN
_GONE = select.EPOLLHUP | select.EPOLLERR
_TURN = 16
"""Messages taken from one session in a pass, so that a flood cannot keep the others waiting."""
_SLICE_NS = 500_000
"""Once a pass has taken this long, a session's further messages wait for the next."""


class Engine:
    """Answers links until `stop` is called.

    Attributes:
        ledger: is told what happens.
        counters: what happened; only to be looked at.
        busy_since_ns: the monotonic instant at which the pass at hand began; 0 while it waits.
        sessions: who is connected now.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        listeners: Sequence[Listener],
        settings: Settings | None = None,
        *,
        upgrade_at: str = "",
        ledger: Ledger | None = None,
        loader: Loader | None = None,
        housekeeper: Housekeeper | None = None,
    ) -> None:
        """Warm every policy up and take the listeners over.

        Args:
            policies: by name.
            listeners: bound sockets.
            settings: how to behave.
            upgrade_at: address of the listener through which tcp sessions move to shared memory.
            ledger: is told what happens; None keeps one that tells nobody.
            loader: loads policies that clients name; None refuses that.
            housekeeper: brings reports up to date when a client asks for that; it is started and
                closed by whoever made it.

        Raises:
            InferenceError: a policy cannot answer an observation of zeros.
        """
        self.settings = settings or Settings()
        self.ledger = ledger if ledger is not None else Ledger()
        self.counters = self.ledger.counters
        self.busy_since_ns = 0
        self.sessions: set[Session] = set()
        self._upgrade_at = upgrade_at
        infer_ns = {name: measure(policy) for name, policy in policies.items()}
        self._register = Register(policies, infer_ns)
        self._answers = Answers(self.settings.deadline_ns, self.counters, self.ledger.totals)
        self._desk = Desk(
            policies,
            infer_ns,
            self._answers,
            executor=self.settings.executor,
            alone=self.settings.deterministic,
        )
        self._doorway = Doorway(listeners, self.settings)
        self._errands = Errands()
        self._watch = Watch()
        self._wires = Wires(self._watch, self._on_session)
        self._joints = JointWatch(self.settings.joints, self.settings.joints_cooldown_ns)
        self._exchange = Exchange(
            self._desk,
            self._register,
            self._watch,
            collect=_collect,
            settings=self.settings,
        )
        self._requests = Requests(
            self._errands,
            self._exchange,
            self.ledger,
            register=self._register,
            desk=self._desk,
            sessions=self.sessions,
            deadline_ns=self._answers.deadline_ns,
            loader=loader,
            housekeeper=housekeeper,
        )
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._backlog: set[Session] = set()
        self._brought = False
        self._answered: list[Answered] = []
        self._records = self.ledger.payloads.wanted
        self._now = self._taken = 0
        self._watch.add(self._wake, _READ, self._woken)
        for _, executor in self._desk.bells():
            self._listen_to(executor)
        self._watch.add(self._errands.descriptor(), _READ, self._errand_done)
        self._accept_again()
        self._requests.tell_policies()
        self.ledger.end_pass(())

    @property
    def policies(self) -> dict[str, Policy]:
        """What is served now, by name."""
        return dict(self._register.policies)

    @property
    def executors(self) -> dict[str, str]:
        """Policy name -> `inline` or `thread`."""
        return dict(self._desk.kinds)

    @property
    def accepting(self) -> bool:
        """False while no connection is taken in, for want of descriptors. From any thread."""
        return self._doorway.accepting

    # the loop -----------------------------------------------------------------------------

    def run(self) -> None:
        """Answer until `stop`; then say goodbye to everyone and give everything back."""
        try:
            while not self._stopping:
                self._pass()
        finally:
            self._stopping = True
            self._close()

    def stop(self) -> None:
        """End `run` after the pass at hand. May be called from a signal handler or thread."""
        if not self._stopping:  # once it is, its descriptors may be closed, or somebody else's
            os.eventfd_write(self._wake, 1)

    def _pass(self) -> None:
        watch = self._watch
        ready = watch.wait(self._due_ns())
        self._now = self.busy_since_ns = monotonic_ns()
        for descriptor, events in ready:
            handler = watch.handler(descriptor)
            if handler is not None:  # else closed earlier in this pass
                handler(events)
        if self._backlog:
            backlog, self._backlog = self._backlog, set()
            for session in backlog:
                self._read(session)
        desk = self._desk
        if desk.jobs:
            desk.submit(self._done)
            self.counters.batches += 1
            if desk.slow:
                self._relieve()
        if self._brought:
            self._finish_errands()
        if self._exchange.old:
            self._exchange.tidy()
        if desk.waiting:
            for job in desk.overdue(monotonic_ns()):
                self._answer(job, self._answers.miss(job, monotonic_ns()), 0, 0)
        if self._doorway.newcomers or not self._doorway.accepting:
            self._tidy()
        self.ledger.end_pass(self._answered)
        self._answered.clear()
        self.busy_since_ns = 0

    def _due_ns(self) -> int | None:
        """When the engine must look even if nothing happens; None = never."""
        if self._backlog:
            return 0
        if not self._desk.waiting and not self._doorway.newcomers and self._doorway.accepting:
            return None
        budget, door = self._desk.due_ns(), self._doorway.due_ns()
        if budget is None or door is None:
            return door if budget is None else budget
        return min(budget, door)

    def _done(self, job: Job, fault: InferenceError | None, started_ns: int, ended_ns: int) -> None:
        if self._desk.settle(job):
            answer = self._answers.of(job, fault, started_ns, ended_ns)
            self._answer(job, answer, started_ns, ended_ns)
        elif job.missed:
            self.ledger.late(job, started_ns, ended_ns)

    def _answer(self, job: Job, answer: Answer, started_ns: int, ended_ns: int) -> None:
        self._send(job.session, answer)
        self._answered.append((job, answer, started_ns, ended_ns, monotonic_ns()))

    def _relieve(self) -> None:
        """Policies that held up this thread for too long are run by workers from now on."""
        for executor in self._desk.relieve():
            self._listen_to(executor)
        self._requests.tell_policies()

    def _listen_to(self, executor: Executor) -> None:
        bell = executor.descriptor()
        if bell is not None:
            self._watch.add(bell, _READ, partial(_collect, executor))

    def _finish_errands(self) -> None:
        self._brought = False
        for session, answer in self._errands.collect():
            if not session.closed:  # else it left before its errand was done
                self._send(session, answer)

    # sessions -----------------------------------------------------------------------------

    def _read(self, session: Session) -> None:
        """Take what a session says, until it has asked something or said everything."""
        if self._exchange.moving and session in self._exchange.moving and not session.busy:
            self._exchange.finish(session)
            self.ledger.changed(session)
        try:
            for _ in range(_TURN):
                if session.closed or session.busy or session.sending:
                    return
                frame = session.transport.poll()
                if frame is None:
                    return
                self._taken = monotonic_ns()
                if self._records:
                    session.asked = frame, None, self._now
                if not session.admitted and self._is_special(session, frame):
                    return
                stale = session.protocol.stale
                message = session.protocol.receive(frame)
                if self._records:
                    session.asked = frame, message, self._now
                if type(message) is Observation:
                    self._take(session, message)
                    continue
                if message is not None:
                    self._act_on(session, message)
                else:
                    self.counters.stale += session.protocol.stale - stale
                if self._taken - self._now > _SLICE_NS:
                    break
            if not session.closed and session.transport.buffered():
                self._backlog.add(session)
        except ConnectionLostError:
            self._end(session)
        except ProtocolError as exc:
            if session.plain:
                self._look_at_joints(session)
            self._complain(session, exc)
        except RefusedError as exc:
            self._refuse(session, exc)
        except Exception:
            log.exception("a fault while reading from %s; the session ends", session.peer)
            self._complain(session, ProtocolError("an unexpected fault", code="internal"))
            self._end(session)

    def _is_special(self, session: Session, frame: memoryview) -> bool:
        """A first frame that is no Hello: of an old client, or of a session that moves."""
        codec = session.protocol.codec
        if isinstance(codec, JsonCodec):
            if codec.kind_of(frame) is not Kind.HELLO:
                self._admit_plain(session)
            return False
        message = codec.decode(frame)
        if isinstance(message, Attach):
            self._attach(session, message)
            return True
        return False

    def _admit_plain(self, session: Session) -> None:
        self._check_room(None)
        plain.admit(session, self._register.policies, self.settings)
        self._welcomed(session)

    def _check_room(self, hello: Hello | None) -> None:
        former = self._register.former(hello) if hello is not None else None
        others = (each for each in self.sessions if each.admitted and each is not former)
        check_room(hello.num_envs if hello is not None else 1, others, self.settings)

    def _act_on(self, session: Session, message: Message) -> None:
        if isinstance(message, Hello):
            self._greet(session, message)
        elif isinstance(message, Bye):
            self._end(session, message.reason or "it said goodbye")
        elif isinstance(message, LoadPolicy):
            self._reply(session, self._requests.load_policy(session, message))
        elif isinstance(message, Admin) and message.op == "flush_metrics":
            self._reply(session, self._requests.flush_metrics(session, message))
        elif isinstance(message, Telemetry):
            self.ledger.told(session, message.data)
        else:
            self._send(session, self._answers.control(session, message))

    def _reply(self, session: Session, answer: Answer | None) -> None:
        if answer is not None:  # else an errand brings it
            self._send(session, answer)

    def _errand_done(self, _: int) -> None:
        self._brought = True  # finished once this pass's questions are out of the engine's hands

    # questions ----------------------------------------------------------------------------

    def _take(self, session: Session, observation: Observation) -> None:
        if session.protocol.repeat:
            self._flush(session, session.protocol.answer_again(session.transport.reserve))
            return
        arrays = session.arrays
        if arrays is None:
            raise ProtocolError("an observation came before the handshake")
        if session.plain:
            self._look_at_joints(session)
        if observation.reset is not None:
            wrong = self._answers.begin_episode(session, observation)
            if wrong:
                corr_id = observation.corr_id or self._answers.corr_id(session)
                self._send(session, ErrorAnswer("schema_violation", wrong, corr_id=corr_id))
                return
            self.ledger.began_episode(session, observation.reset)
        self.counters.observations += 1
        if not session.protocol.codec.finite(Kind.OBSERVATION):
            self._send(session, ErrorAnswer("not_finite", "the observation holds NaN or infinity"))
            return
        expires = self._answers.expiry(session, observation, self._now)
        seq = session.protocol.memory.seq
        self._desk.jobs.append(
            Job(session, observation, self._now, self._taken, monotonic_ns(), expires, seq)
        )

    def _look_at_joints(self, session: Session) -> None:
        """Of a plain client's observation, good or bad."""
        codec = session.protocol.codec
        joints = codec.joints if isinstance(codec, JsonCodec) else None
        if joints is None:
            return
        run = self._joints.empties(joints)
        if run is not None:
            self.ledger.empty_joint_state(session, run)
        if self._joints.differs(joints):
            expected, due = self._joints.expected, self._joints.due(self._now)
            self.ledger.joint_spec_mismatch(session, expected or 0, joints, due)

    def _greet(self, session: Session, hello: Hello) -> None:
        self._check_room(hello)
        sock = _socket_of(session)
        upgrade_at = self._upgrade_at if sock.family != socket.AF_UNIX else ""
        welcome = self._register.greet(session, hello, upgrade_at, peer_of(sock))
        size = session.protocol.welcome(welcome, session.transport.reserve)
        assert session.policy is not None  # noqa: S101
        session.protocol.bind(session.policy.contract, hello.num_envs)
        self._welcomed(session, resumed=welcome.resumed)
        self._flush(session, size)

    def _welcomed(self, session: Session, *, resumed: bool = False) -> None:
        session.admitted = True
        self._doorway.newcomers.pop(session, None)
        former = self._register.take_over(session)
        if former is not None and former is not session:
            self._complain(former, ProtocolError("the session connected again", code="superseded"))
        self.ledger.opened(session, resumed=resumed)
        log.info("session %s: %s by %s", session.name, session.peer, session.transport.name)

    def _attach(self, newcomer: Session, attach: Attach) -> None:
        """Move a session to shared memory: it asked for it over a connection of its own."""
        stream = newcomer.transport
        assert isinstance(stream, StreamTransport)  # noqa: S101
        session, segment = self._register.attach(attach, peer_of(stream.socket))
        try:
            hand_over(session, segment, stream)
        except (ConnectionLostError, UpgradeError, ProtocolError):
            segment.close()
            self._end(newcomer)
            raise
        self._wires.drop(newcomer)
        self._doorway.newcomers.pop(newcomer, None)
        self.sessions.discard(newcomer)
        newcomer.closed = True
        self._wires.drop(session)
        move(session, segment, stream)
        self._wires.attend(session)
        self.ledger.changed(session)
        log.info("session %s: moved to %s", session.name, session.transport.name)

    def _send(self, session: Session, answer: Message) -> None:
        """Answer a session's question, and see to what it said meanwhile."""
        try:
            size = session.protocol.answer(
                answer,  # type: ignore[arg-type]
                session.transport.reserve,
                keep=session.keeps_answers,
            )
            self._flush(session, size)
            if self._records:
                self.ledger.exchanged(session, answer, size)
        except ConnectionLostError:
            self._end(session)
            return
        except ProtocolError as exc:  # an answer that cannot be written down
            log.warning("the answer to %s cannot be sent: %s", session.peer, exc)
            self._complain(session, exc)
            self._end(session)
            return
        if isinstance(answer, ErrorAnswer):
            self.ledger.erred(session, answer.code, answer.message, answer.corr_id)

    def _flush(self, session: Session, size: int) -> None:
        if not session.transport.send(size):
            session.sending = True
            self._wires.attend(session, writing=True)
            return
        if session.paused:
            session.paused = False
            self._wires.attend(session)
        if session.transport.buffered():
            self._backlog.add(session)

    def _complain(self, session: Session, exc: ProtocolError) -> None:
        """Tell a session what it did wrong; a json one may go on, for its lines are still lines."""
        goes_on = session.is_json and exc.code not in ("too_large", "superseded", "internal")
        error = self._addressed(session, ErrorAnswer(exc.code, str(exc)))
        self.ledger.erred(session, exc.code, str(exc), error.corr_id)
        try:
            size = session.protocol.refuse(error, session.transport.reserve)
            self._flush(session, size)
            if self._records:
                self.ledger.exchanged(session, error, size)
        except ConnectionLostError:
            goes_on = False
        if not goes_on:
            self._end(session, str(exc))
        elif session.transport.buffered():
            self._backlog.add(session)

    def _refuse(self, session: Session, exc: RefusedError) -> None:
        self.ledger.refused(session, exc.code, str(exc))
        log.warning("refused %s: %s", session.peer, exc)
        error = self._addressed(session, ErrorAnswer(exc.code, str(exc), exc.retryable))
        try:
            session.transport.send(session.protocol.refuse(error, session.transport.reserve))
        except ConnectionLostError:
            pass  # it did not wait for the reason
        self._end(session)

    def _addressed(self, session: Session, error: ErrorAnswer) -> ErrorAnswer:
        """The error with what joins it to the line that it is about, or with a name of its own."""
        codec = session.protocol.codec
        if not isinstance(codec, JsonCodec):
            return error
        number = self.counters.errors + self.counters.refused
        corr_id = codec.corr_id or f"{session.name}-e{number}"
        return error._replace(corr_id=corr_id, seq=codec.seq)

    def _end(self, session: Session, reason: str = LOST) -> None:
        if session.closed:
            return
        session.closed = True
        self.ledger.closed(session, reason)
        self._register.left(session)
        self._wires.drop(session)
        self.sessions.discard(session)
        self._doorway.newcomers.pop(session, None)
        self._backlog.discard(session)
        self._desk.forget(session)
        self._exchange.forget(session)
        session.protocol.abandon()
        session.protocol.codec.release()
        session.transport.close()
        self._doorway.hurry()

    # newcomers ----------------------------------------------------------------------------

    def _accept(self, listener: Listener, _: int) -> None:
        try:
            for session in self._doorway.arrivals(listener, self._now):
                self.sessions.add(session)
                descriptor = _socket_of(session).fileno()
                self._watch.add(descriptor, _READ, partial(self._sniff, session))
                session.watched = {descriptor: 0}  # another handler takes over after the sniff
                surplus = self._doorway.surplus()
                if surplus is not None:
                    self.ledger.refused(surplus, "too_many_sessions", "too many newcomers")
                    self._end(surplus)
        except TransportError as exc:
            self.ledger.accept_paused(str(exc))
            self._doorway.pause(exc, self._now)
            for descriptor in self._doorway.listeners:
                self._watch.remove(descriptor)

    def _sniff(self, session: Session, _: int) -> None:
        first, byte = self._doorway.sniff(session, _socket_of(session), self._now)
        if first is First.GONE:
            self._end(session)
        elif first is First.STRANGE:
            text = f"expected a JSON object or a binary frame, got a first byte of {byte!r}"
            self._complain(session, ProtocolError(text, code="bad_json"))
            self._end(session)
        elif first is First.SPEAKS:
            self._wires.attend(session)
            self._read(session)

    def _tidy(self) -> None:
        """Close newcomers that stay silent, and accept again after a pause."""
        for session in self._doorway.expired(self._now):
            if self._doorway.is_silent(session):  # who knows which codec it speaks, if any
                self.ledger.refused(session, "schema_violation", "it said nothing")
                self._end(session)
                continue
            text = "no handshake came in time"
            self._refuse(session, RefusedError(text, code="schema_violation", retryable=True))
        if self._doorway.may_resume(self._now):
            self._accept_again()

    def _accept_again(self) -> None:
        self._doorway.accepting = True
        for descriptor, listener in self._doorway.listeners.items():
            self._watch.add(descriptor, _READ, partial(self._accept, listener))

    # descriptors --------------------------------------------------------------------------

    def _on_session(self, session: Session, events: int) -> None:
        if events & select.EPOLLOUT:
            self._on_writable(session)
        elif session.busy:
            self._pause_reading(session, events)
        else:
            self._read(session)

    def _on_writable(self, session: Session) -> None:
        try:
            done = session.transport.flush()
        except ConnectionLostError:
            self._end(session)
            return
        if done:
            session.sending = False
            self._wires.attend(session)
            self._read(session)

    def _pause_reading(self, session: Session, events: int) -> None:
        """It speaks while its question is open: look only for its end, until it is answered.

        One that has only stopped speaking (`nc -N`) still waits for its answer.
        """
        if events & _GONE:
            self._end(session)
            return
        session.paused = True
        self._wires.mute(session)

    def _woken(self, _: int) -> None:
        os.eventfd_read(self._wake)
        self._stopping = True

    def _close(self) -> None:
        for session in list(self.sessions):
            if session.admitted:
                try:
                    bye = session.protocol.tell(
                        Bye("the gateway is closing"), session.transport.reserve
                    )
                    session.transport.send(bye)
                except (ConnectionLostError, ProtocolError):
                    pass  # it left first
            self._end(session, "the gateway is closing")
        self.ledger.end_pass(())
        self._desk.close()
        self._exchange.close()
        self._errands.close()
        self._doorway.close()
        self._watch.close()
        os.close(self._wake)


def _socket_of(session: Session) -> socket.socket:
    assert isinstance(session.transport, StreamTransport)  # noqa: S101
    return session.transport.socket


def _collect(executor: Executor, _: int) -> None:
    executor.collect()
