"""The link: what a simulator or robot program holds.

Theory of operation. `act` asks one question and returns by its deadline, whatever the gateway
does: the deadline is kept here, on the actuator's side, by a wait that has an end. What comes back
goes through the guard, which decides what the robot is sent; without an answer the guard decides
that too. A question stays open until its answer, an error or the connection's end: after a miss
the next `act` first takes the old answer off the wire and drops it, and while there is none it
asks nothing new. If that lasts, or the connection ends, the link connects again inside later calls
of `act`, a step at a time.

About once a second the gateway is told what this side measured, while a question is on the wire.

In `lockstep` simulation waits for the answer: there is no deadline, no guard, and every fault is
an exception.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from time import monotonic_ns, time_ns
from types import TracebackType
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import Contract
from ..contract.joints import JointMap
from ..errors import (
    ConnectionLostError,
    ContractError,
    DeadlineError,
    Error,
    InferenceError,
    LocalProtocolError,
    ObservationError,
    ProtocolError,
)
from ..protocol.client import raise_peer_error
from ..protocol.messages import NAN, Answer, ErrorAnswer, Kind, Observation, Outcome
from ..protocol.messages import Action as ActionMessage
from ..safety import Elapsed, Guard, Level
from ..safety import Outcome as Decision
from ..telemetry import LatencyRecorder
from .action import STAGES, Action, Timing
from .episode import Episode, check_hash
from .margin import ReturnMargin
from .observer import Observer
from .poses import Poses
from .reconnect import Reconnector
from .reporting import Reporter, Totals
from .times import seconds

__all__ = ["Link"]

log = logging.getLogger("isthmus.link")

RESERVE_NS = 300_000
"""Of each deadline this much is kept for the return of `act` itself."""

_TOO_LATE = frozenset(("deadline", "unanswered"))
"""Causes that say that the deadline came before the answer."""

_LATEST = 1e15

GIVE_UP_NS = 500_000_000
"""A question that stays open for this long after its miss is given up with its connection."""


class Link:
    """A conversation with a gateway. Make one with `isthmus.connect`.

    Attributes:
        contract: what crosses, with the limits of both sides.
        url: where the gateway is.
        pacing: `realtime` or `lockstep`.
        num_envs: None for a single environment without a leading axis.
    """

    def __init__(
        self,
        channel: Channel,
        reconnector: Reconnector | None,
        *,
        url: str,
        pacing: str,
        num_envs: int | None,
        deadline_ns: int,
        joints: JointMap | None,
        rearm: str | None,
    ) -> None:
        """Take an open channel over."""
        self.contract: Contract = channel.contract
        self.url = url
        self.pacing = pacing
        self.num_envs = num_envs
        self.joints = joints
        self._channel: Channel | None = channel
        self._welcome = channel.welcome
        self._reconnector = reconnector
        self._rows = num_envs or 1
        self._deadline_ns = deadline_ns
        self._observer = Observer(channel.contract, num_envs, joints)
        self._scatter = joints if joints is not None and not joints.is_identity else None
        self._poses = Poses(channel.contract)
        self._guard = Guard(channel.contract, self._rows, rearm=rearm)
        self._margin = ReturnMargin()
        self._latency = LatencyRecorder(STAGES)
        self._unrecorded: Timing | None = None
        self._episode = Episode()
        self._missed_ns = 0
        self._asked = 0
        self._elapsed = Elapsed(channel.contract.actuator)
        self._steps = self._reconnects = self._overruns = 0
        self._causes: dict[str, int] = {}
        self._warned = ""
        self._closed = ""
        self._busy = self._leaving = False
        self._stale = 0
        now = monotonic_ns()
        # A policy in this very process has no gateway that could be told anything.
        self._reporter = Reporter(now) if channel.transport.name != "memory" else None
        if pacing == "realtime":
            self._guard.ladder.times.begin(now)
        self._transport = channel.transport.name
        self._note = channel.note
        _OPEN.add(self)

    # what a program calls -----------------------------------------------------------------

    def act(
        self,
        observation: Mapping[str, Any] | None = None,
        /,
        *,
        sim_time: float | None = None,
        rand_hash: str | None = None,
        deadline: float | None = None,
        **fields: Any,
    ) -> Action:
        """Ask for the action to this observation.

        Args:
            observation: arrays by field name, for names that are no Python words; may be joined
                with `fields`.
            sim_time: simulation time, s. With it, rates of motion are judged in simulation time.
            rand_hash: of the randomization in force in this step; echoed by the gateway. None
                takes the one that the last `reset` was told.
            deadline: for this step, s; the link's own otherwise. Not used in lockstep.
            **fields: arrays by field name: numpy, lists, or anything with `__dlpack__`; shape
                (*field.shape) for a single environment, (num_envs, *field.shape) otherwise.

        Returns:
            The commands, with `status` and `cause` saying where they come from.

        Raises:
            ObservationError: a field is missing, unknown, of the wrong shape or dtype.
            ConnectionLostError: lockstep only: the gateway is gone.
            PeerError, InferenceError: lockstep only: the gateway or policy failed.
            ContractError: the deadline is no time.
            DeadlineError: lockstep only: the gateway gave up.
            LocalProtocolError: the link is closed, or `act` runs already: one thread, one call
                at a time.
        """
        started = monotonic_ns()
        self._enter("act")
        try:
            self._busy = True  # inside: whatever a signal handler raises, it is taken back
            return self._act(started, observation, sim_time, rand_hash, deadline, fields)
        finally:
            self._busy = False
            if self._leaving:
                self.close()

    def _act(
        self,
        started: int,
        observation: Mapping[str, Any] | None,
        sim_time: float | None,
        rand_hash: str | None,
        deadline: float | None,
        fields: dict[str, Any],
    ) -> Action:
        if observation is not None:
            fields = _joined(observation, fields)
        arrays = self._observer.arrays(fields)
        moment = NAN if sim_time is None else _moment(sim_time)
        if rand_hash is None:
            rand_hash = self._episode.rand_hash
        elif rand_hash != "":
            check_hash("rand_hash", rand_hash)
        if self.pacing == "lockstep":
            return self._act_in_lockstep(started, arrays, moment, rand_hash)
        span = self._deadline_ns if deadline is None else _span_ns(deadline)
        limit = started + span - min(RESERVE_NS, span // 4)
        answer, cause, sent, received = self._ask(started, arrays, moment, rand_hash, limit)
        if answer is not None and received - started > span:
            answer, cause = None, "deadline"  # it was read, but too late
        decision = self._guard.apply(
            received,
            answer.arrays if answer is not None else None,
            arrays,
            self._elapsed.since_last(moment, received),
            cause,
        )
        self._steps += 1
        if decision.cause:
            self._causes[decision.cause] = self._causes.get(decision.cause, 0) + 1
        action = self._action(decision, answer, rand_hash, started, sent, received)
        action.deadline_ns = span
        action.deadline_missed = cause in _TOO_LATE
        if action.timing.total > span:
            action.overrun = True
            self._overruns += 1
        return action

    def reset(
        self,
        mask: NDArray[np.bool_] | None = None,
        seed: int | None = None,
        *,
        randomization: Mapping[str, Any] | None = None,
        expected_randomization: Mapping[str, Any] | None = None,
        expected_rand_hash: str | None = None,
    ) -> None:
        """An episode starts with the next `act`.

        Limits and ladder start anew, the policy forgets what it remembered, and the boundary
        travels with the next observation.

        Args:
            mask: bool (num_envs,), the environments that start; None = all.
            seed: what the simulator was seeded with, for the records.
            randomization: the values as they were applied, by name, best read back from the
                simulator; with several environments, arrays with a row for each. From here on
                their hash goes with every step. None: not known any more, or with a mask, as it
                was.
            expected_randomization: the values that should be in force, as they were drawn. A
                hash that is not theirs is a mismatch, said by `Action.rand_hash_mismatch` and by
                the gateway; it names the first value that differs.
            expected_rand_hash: the same, where only the hash is known.

        Raises:
            ContractError: the mask has another shape or dtype, the seed is no 63-bit number, a
                value cannot be hashed, or the two ways to say what is expected do not agree.
            LocalProtocolError: the link is closed, or `act` is running.
        """
        self._enter("reset")
        rows = None if mask is None else np.asarray(mask)
        if rows is not None and (rows.shape != (self._rows,) or rows.dtype != np.bool_):
            raise ContractError(
                f"reset mask: expected bool ({self._rows},), got {rows.dtype} {rows.shape}"
            )
        self._episode.begin(rows, seed, randomization, expected_randomization, expected_rand_hash)
        self._guard.reset(monotonic_ns(), mask=rows)
        self._elapsed.forget()

    def rearm(self) -> None:
        """Allow motion again after a stop, where the rearm rule leaves that to the operator."""
        self._guard.rearm(monotonic_ns())

    def close(self) -> None:
        """Say goodbye and give everything back. May be called twice.

        Called while `act` runs (from a signal handler, or another thread), it waits for its end.
        """
        if self._busy:
            self._leaving = True
            return
        self._leaving = False
        self._closed = self._closed or "the link is closed"
        _OPEN.discard(self)
        if self._reconnector is not None:
            self._reconnector.close()
        if self._channel is not None:
            self._record()
            if self._reporter is not None:
                self._reporter.finish(self._channel, self._totals, monotonic_ns())
            self._channel.close("the link closed")
            self._channel = None

    def _enter(self, what: str) -> None:
        if self._busy:
            raise LocalProtocolError(
                f"{what}() was called while act() is running: one thread, one call at a time"
            )
        if self._closed:
            raise LocalProtocolError(self._closed)

    def _forked(self) -> None:
        """In a forked child: the parent goes on with the conversation; say nothing."""
        self._closed = "this link belongs to the parent process; connect again in this one"
        if self._reconnector is not None:
            self._reconnector.close()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.abandon()

    def __repr__(self) -> str:
        """Address, way, policy and level."""
        state = self._closed or self._guard.ladder.status
        name = self._welcome.policy.get("name", "?")
        return f"<Link {self.url} by {self._transport}, policy {name}: {state}>"

    def __enter__(self) -> Link:
        """The link itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # what a program may read --------------------------------------------------------------

    @property
    def interface_hash(self) -> str:
        """Of the contract both sides hold, 64 hex digits."""
        return self.contract.interface_hash

    @property
    def transport(self) -> str:
        """`shm`, `unix`, `tcp` or `memory`."""
        return self._transport

    @property
    def transport_note(self) -> str:
        """Why frames do not travel by shared memory; "" if they do."""
        return self._note

    @property
    def session(self) -> str:
        """Its name in the gateway's events; a new one if the gateway was started anew."""
        return self._welcome.session

    @property
    def policy(self) -> dict[str, Any]:
        """Name, kind and digest of the policy, as the gateway says."""
        return dict(self._welcome.policy)

    @property
    def gateway(self) -> dict[str, Any]:
        """The gateway's Python and packages, as it says."""
        return dict(self._welcome.facts)

    @property
    def level(self) -> Level:
        """The ladder's level."""
        return self._guard.ladder.level

    @property
    def rand_hash(self) -> str:
        """Of the randomization that the last `reset` was told; "" if none."""
        return self._episode.rand_hash

    @property
    def deadline(self) -> float:
        """Seconds a call of `act` may take."""
        return self._deadline_ns / 1e9

    def stats(self) -> dict[str, Any]:
        """What happened so far.

        Returns:
            `steps`: calls of `act`. `applied`: those that returned the policy's action. `causes`:
            how many of the others had which cause. `misses`: periods of control_dt, not calls,
            in which an armed link had no valid action; the ladder counts by these, and in
            DISARMED nothing counts. `overruns`: calls that returned after their deadline.
            `stale`: answers dropped because they came late. `reconnects`, `transport`,
            `transport_note`, `deadline_us`, `levels_s`: time at each level of the ladder, and
            `latency_us`: quantiles of every stage.
        """
        self._record()
        totals = self._totals(monotonic_ns())
        return {
            "steps": totals.steps,
            "applied": totals.steps - sum(totals.causes.values()),
            "misses": totals.misses,
            "causes": totals.causes,
            "reconnects": totals.reconnects,
            "overruns": totals.overruns,
            "stale": totals.stale,
            "levels_s": {level: spent / 1e9 for level, spent in totals.levels_ns.items()},
            "transport": self._transport,
            "transport_note": self._note,
            "deadline_us": self._deadline_ns / 1e3,
            "latency_us": self._latency.snapshot(),
        }

    # asking -------------------------------------------------------------------------------

    def _ask(
        self, started: int, arrays: dict[str, NDArray[Any]], moment: float, rand_hash: str,
        limit: int,
    ) -> tuple[ActionMessage | None, str, int, int]:  # fmt: skip
        """The answer or None with the cause, when the question left, when the answer came."""
        self._asked = 0
        channel = self._channel or self._reconnect(started)
        if channel is None:
            return None, "disconnected", started, started
        try:
            if channel.protocol.waiting and not self._take_late_answer(channel, started):
                return None, "unanswered", started, started
            observation = self._observation(channel, arrays, moment, rand_hash, limit)
            posted = channel.post(observation, limit)
            self._asked = observation.seq
            sent = channel.posted_ns
            self._record()
            if posted:
                self._report(channel, sent)
            answer = channel.receive(limit) if posted else None
        except ObservationError as exc:
            self._warn("observation", str(exc))
            return None, "observation", started, started
        except LocalProtocolError:
            self._episode.told()  # what cannot be written down now cannot be at the next step
            raise
        except (ConnectionLostError, ProtocolError) as exc:
            self._lose(exc)
            return None, "disconnected", started, monotonic_ns()
        received = monotonic_ns()
        if answer is None:
            channel.protocol.give_up()
            self._missed_ns = received
            return None, "deadline", sent, received
        return *self._judge(channel, answer), sent, received

    def _judge(self, channel: Channel, answer: Answer) -> tuple[ActionMessage | None, str]:
        self._episode.told()
        if isinstance(answer, ErrorAnswer):
            self._warn(answer.code, f"the gateway answered {answer.code}: {answer.message}")
            return None, answer.code
        if not isinstance(answer, ActionMessage):
            self._lose(ConnectionLostError(f"unexpected {type(answer).__name__}"))
            return None, "disconnected"
        if answer.outcome != Outcome.POLICY:
            return None, "deadline"
        self._warned = ""
        return answer, ""

    def _warn(self, cause: str, text: str) -> None:
        """Log a fault once, not at every step that it lasts."""
        if cause != self._warned:
            self._warned = cause
            log.warning("isthmus %s: %s", self.url, text)

    def _observation(
        self, channel: Channel, arrays: dict[str, NDArray[Any]], moment: float, rand_hash: str,
        limit: int,
    ) -> Observation:  # fmt: skip
        protocol = channel.protocol
        seq = protocol.seq + 1
        # Lines are numbered by the gateway, which the link cannot know; frames have this id anyway.
        named = protocol.codec.name == "json"
        now = monotonic_ns()
        return Observation(
            arrays,
            seq,
            protocol.epoch,
            moment,
            max(1, limit - now - min(self._margin.ns, (limit - now) // 2)),
            now,
            time_ns(),
            rand_hash,
            self._episode.expected_rand_hash,
            f"{channel.welcome.session}-{seq}" if named else "",
            reset=self._episode.untold,
        )

    def _take_late_answer(self, channel: Channel, now: int) -> bool:
        """True if the old answer was there and is off the wire."""
        if channel.drain():
            return True
        if now - self._missed_ns > GIVE_UP_NS:
            self._lose(ConnectionLostError("the gateway has not answered for 0.5 s"))
        return False

    def _lose(self, why: Error) -> None:
        log.warning("isthmus %s: connection lost: %s; connecting again", self.url, why)
        channel, self._channel = self._channel, None
        if channel is not None:
            self._stale += channel.protocol.stale
            channel.abandon()

    def _reconnect(self, now: int) -> Channel | None:
        channel = self._reconnector.step(now) if self._reconnector is not None else None
        if channel is None:
            return None
        self._channel = channel
        self._welcome = channel.welcome
        self._transport, self._note = channel.transport.name, channel.note
        self._reconnects += 1
        self._guard.reconnected(now)
        log.warning(
            "isthmus %s: connected again, epoch %d, by %s",
            self.url, channel.protocol.epoch, self._transport,
        )  # fmt: skip
        return channel

    def _act_in_lockstep(
        self, started: int, arrays: dict[str, NDArray[Any]], moment: float, rand_hash: str
    ) -> Action:
        channel = self._channel
        if channel is None:
            raise ConnectionLostError("the gateway is gone; connect again")
        try:
            observation = self._observation(channel, arrays, moment, rand_hash, started)
            channel.post(observation._replace(budget_ns=0), None)
            self._asked = observation.seq
            sent = channel.posted_ns
            self._report(channel, sent)
            answer = channel.receive(None)
        except (ConnectionLostError, ProtocolError):
            self._channel = None
            channel.abandon()
            raise
        received = monotonic_ns()
        self._episode.told()
        if isinstance(answer, ErrorAnswer):
            raise_peer_error(answer)
        if not isinstance(answer, ActionMessage):
            raise LocalProtocolError(f"unexpected {type(answer).__name__}")
        if answer.outcome == Outcome.MISS:
            raise DeadlineError("the gateway answered with a miss, which lockstep does not allow")
        if not channel.protocol.codec.finite(Kind.ACTION):
            raise InferenceError("the policy answered with NaN or infinity")
        found = {name: array.copy() for name, array in answer.arrays.items()}
        decision = Decision(found, "policy", "", 0, 0, False, Level.NORMAL)
        self._steps += 1
        self._record()
        return self._action(decision, answer, rand_hash, started, sent, received)

    # answering the program ----------------------------------------------------------------

    def _action(
        self,
        decision: Decision,
        answer: ActionMessage | None,
        rand_hash: str,
        started: int,
        sent: int,
        received: int,
    ) -> Action:
        arrays, robot_hold = decision.arrays, decision.robot_hold
        if self._scatter is not None:
            for name, array in arrays.items():
                measured, known = self._poses.of(name, self._observer.robot)
                arrays[name] = self._scatter.scatter(name, array, measured)
                robot_hold = robot_hold or not known
        if self.num_envs is None:
            arrays = {name: array[0, ...] for name, array in arrays.items()}
        now = monotonic_ns()
        seq, echoed = 0, ""
        if answer is None:
            timing = Timing(total=now - started)
            self._unrecorded = Timing(-1, -1, -1, -1, -1, timing.total)
        else:
            seq, echoed = answer.seq, answer.rand_hash
            rand_hash = echoed
            journey = max(0, received - sent - answer.server_ns)
            self._margin.record(journey)
            timing = Timing(
                sent - started,
                journey,
                answer.server_ns - answer.infer_ns,
                answer.infer_ns,
                now - received,
                now - started,
            )
            self._unrecorded = timing
        action = Action(
            arrays,
            decision.status,
            decision.cause,
            timing,
            seq,
            decision.clipped,
            decision.rate_limited,
            robot_hold,
            echoed,
            self._welcome.session,
            self._asked,
        )
        expected = self._episode.expected_rand_hash
        if expected and rand_hash != expected:
            action.rand_hash_mismatch = True
        return action

    # measuring ----------------------------------------------------------------------------

    def _record(self) -> None:
        """Write the last step down; done while the next one is on the wire."""
        timing, self._unrecorded = self._unrecorded, None
        if timing is not None:
            self._latency.record(timing)
            if self._reporter is not None and timing.wire >= 0:
                self._reporter.record(timing)

    def _report(self, channel: Channel, now: int) -> None:
        """Tell the gateway what was measured here, if that is due; done while a question is out."""
        reporter = self._reporter
        if reporter is not None and now >= reporter.due_ns:
            reporter.go_on(channel, self._totals, now)

    def _totals(self, now: int) -> Totals:
        channel, ladder = self._channel, self._guard.ladder
        return Totals(
            self._steps,
            ladder.misses,
            self._overruns,
            self._stale + (channel.protocol.stale if channel is not None else 0),
            self._reconnects,
            dict(self._causes),
            ladder.times.spent_ns(now),
        )


def _joined(observation: object, fields: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(observation, Mapping):
        raise ObservationError(
            f"expected the observation as arrays by field name, got {type(observation).__name__}"
        )
    return {**observation, **fields}


def _moment(sim_time: float) -> float:
    """A simulation time, or NaN (unknown) for one that cannot be: beyond 30 million years."""
    try:
        moment = float(sim_time)
    except (TypeError, ValueError, OverflowError):
        raise ObservationError(f"sim_time: expected seconds, got {sim_time!r:.60}") from None
    return moment if -_LATEST < moment < _LATEST else NAN


def _span_ns(deadline: float) -> int:
    return int(seconds("deadline", deadline) * 1e9)


_OPEN: WeakSet[Link] = WeakSet()


def _leave_in_child() -> None:
    """A forked child must not speak into its parent's conversation."""
    for link in list(_OPEN):
        link._forked()
    _OPEN.clear()


os.register_at_fork(after_in_child=_leave_in_child)
