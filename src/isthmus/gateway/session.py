"""A session: one link, as the gateway sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..policy.base import Policy
from ..policy.step import StepArrays
from ..protocol import JsonCodec, Memory, ServerProtocol
from ..protocol.messages import Hello, Message, Observation
from ..safety import Elapsed, Guard
from ..telemetry import DeadlineWatchdog
from ..transport import Transport
from .inside import Inside

__all__ = ["Job", "Session"]


@dataclass(eq=False)
class Session:
    """One connection and what is known of who is behind it.

    Attributes:
        transport: how it travels.
        protocol: where the conversation stands.
        peer: who it is, for the log.
        name: its public identity, once it is welcomed.
        token: the secret that lets it come back.
        hello: what it said; None before the handshake, or if it never greets.
        policy: who answers it.
        nonce: of the offer to move to shared memory.
        arrays: its rows for the policy.
        guard: limits and fallback for a json client without a link of its own.
        elapsed: the time between such a client's commands.
        inside: keeps such a client's q + delta inside a joint specification; None without one.
        plain: True for a client without a link, which sent no Hello.
        local: True if it runs on this machine: a Unix socket, or a loopback address.
        admitted: True once it is no newcomer any more; a plain client may still have no policy.
        expires_ns: until when it must have completed its handshake.
        sending: True while an answer waits for room in its socket; nothing is read meanwhile.
        paused: True while nothing is read from it although it speaks.
        watched: descriptor -> epoll events.
        fault: code of the last error its policy gave, while it lasts.
        closed: True once it is to be forgotten.
        number: which of all welcomed connections, from 1; 0 before.
        watchdog: counts its deadlines, from its welcome on.
        before: steps and misses that its watchdog had counted by then.
        empties: observations without a joint, in a row, that the ledger has been told of.
        clipped: True while joint limits change its actions.
        asked: frame, message (None if it is none) and instant of its open question, if exchanges
            are recorded.
    """

    transport: Transport
    protocol: ServerProtocol
    peer: str
    name: str = ""
    token: str = ""
    hello: Hello | None = None
    policy: Policy | None = None
    arrays: StepArrays | None = None
    guard: Guard | None = None
    elapsed: Elapsed | None = None
    inside: Inside | None = None
    plain: bool = False
    local: bool = False
    admitted: bool = False
    nonce: str = ""
    expires_ns: int = 0
    sending: bool = False
    paused: bool = False
    fault: str = ""
    closed: bool = False
    number: int = 0
    watchdog: DeadlineWatchdog | None = None
    before: tuple[int, int] = (0, 0)
    empties: int = 0
    clipped: bool = False
    asked: tuple[memoryview, Message | None, int] | None = None
    watched: dict[int, int] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """True while its question is open; nothing is read from it meanwhile."""
        return self.protocol.open_seq is not None

    @property
    def is_json(self) -> bool:
        """True if it speaks json."""
        return isinstance(self.protocol.codec, JsonCodec)

    @property
    def keeps_answers(self) -> bool:
        """True if a question may come again after a reconnect and must not be answered anew."""
        return self.protocol.machine.driven

    @property
    def memory(self) -> Memory:
        """What outlives this connection."""
        return self.protocol.memory


@dataclass(eq=False, slots=True)
class Job:
    """An observation to be answered.

    Attributes:
        session: whose.
        observation: what it sees; its arrays are valid until the session is read again.
        received_ns: when the engine woke up for it.
        taken_ns: when its frame had been taken from the transport.
        decoded_ns: when it had been read and checked.
        expires_ns: when a miss is answered instead; 0 if never.
        seq: the question's number in its session.
        ready_ns: when its answer was ready to be sent.
        settled: True once it has its answer, even if a worker still runs.
        missed: True if that was because its deadline had passed.
    """

    session: Session
    observation: Observation
    received_ns: int
    taken_ns: int
    decoded_ns: int
    expires_ns: int
    seq: int = 0
    ready_ns: int = 0
    settled: bool = False
    missed: bool = False

    @property
    def corr_id(self) -> str:
        """Joins everything about this question."""
        return self.observation.corr_id or f"{self.session.name}-{self.seq}"

    @property
    def policy_name(self) -> str:
        """Of the policy that answers it."""
        assert self.session.policy is not None  # noqa: S101  (its session has been welcomed)
        return self.session.policy.name
