"""The simulator's side of the conversation: no socket, no clock, no thread.

One question is in flight until its answer, an error or the connection's end, not until its
deadline. Whoever stops waiting calls `give_up`; the answer is then taken off the wire and dropped
when it comes, and nothing new is asked before that. Nothing but the answer with the seq and epoch
of the open question is ever accepted.
"""

from __future__ import annotations

from ..contract import Contract
from ..errors import (
    LocalProtocolError,
    ObservationError,
    PeerError,
    RefusedError,
    RemoteProtocolError,
)
from .binary import BinaryCodec, Reserve
from .jsonlines import JsonCodec
from .messages import (
    KINDS,
    Action,
    Answer,
    Bye,
    ErrorAnswer,
    Hello,
    Kind,
    Message,
    Observation,
    Welcome,
)
from .states import ROWS, Event, Machine, Role, State

__all__ = ["ClientProtocol", "Codec", "raise_peer_error"]

Codec = BinaryCodec | JsonCodec


class ClientProtocol:
    """One connection of one session, as the simulator side sees it.

    Attributes:
        seq: number of the last question.
        stale: answers dropped because they were not to the open question.
    """

    def __init__(self, codec: Codec, *, seq: int = 0, epoch: int = 0) -> None:
        """Continue a session's numbering at `seq`; `epoch` counts its reconnects."""
        self.codec = codec
        self.machine = Machine(Role.CLIENT)
        self.seq = seq
        self.epoch = epoch
        self.stale = 0
        self._open_seq: int | None = None
        self._given_up = False
        self._before = State.START

    @property
    def state(self) -> State:
        """Where the conversation stands."""
        return self.machine.state

    @property
    def waiting(self) -> bool:
        """True while a question is open, even if nobody waits for its answer any more."""
        return self._open_seq is not None

    def greet(self, hello: Hello, reserve: Reserve) -> int:
        """Encode the Hello; returns the frame's length."""
        self.machine.greet(hello.can_reset)
        return self.codec.encode(hello, reserve)

    def bind(self, contract: Contract, num_envs: int) -> None:
        """Fix the layouts, once the Welcome has been read and checked."""
        self.codec.bind(contract, num_envs, training=self.machine.driven, asks=True)

    def ask(self, question: Message, reserve: Reserve, *, again: bool = False) -> int:
        """Number a question, encode it and mark it open; returns the frame's length.

        Args:
            question: any question but Hello; its seq and epoch are filled in here.
            reserve: gives the memory to encode into.
            again: the question was asked before the connection was lost; it keeps the number it
                carries, so that the other side can tell that it is the same one.

        Raises:
            LocalProtocolError: a question is already open, or it is not its turn.
        """
        if self._open_seq is not None:
            raise LocalProtocolError(
                f"question {self._open_seq} is still open; one question at a time"
            )
        kind = KINDS[type(question)]
        if kind is Kind.ATTACH:
            self.machine.sent(kind)
            return self.codec.encode(question, reserve)
        seq = question.seq if again else self.seq + 1
        question = question._replace(seq=seq, epoch=self.epoch)
        if isinstance(question, Observation):
            return self.ask_observation(question, reserve)
        size = self.codec.encode(question, reserve)  # first: what fails here was never asked
        self._opened(kind, seq)
        return size

    def ask_observation(self, observation: Observation, reserve: Reserve) -> int:
        """`ask`, for the step's hot path: the caller has set seq and epoch.

        Raises:
            ObservationError: a number is not finite; nothing was asked.
        """
        if self._open_seq is not None:
            raise LocalProtocolError(
                f"question {self._open_seq} is still open; one question at a time"
            )
        size = self.codec.encode_observation(observation, reserve)
        if not self.codec.finite(_OBSERVATION):
            raise ObservationError("the observation holds NaN or infinity; it was not sent")
        self._opened(_OBSERVATION, observation.seq)
        return size

    def _opened(self, kind: Kind, seq: int) -> None:
        before = self.machine.state
        self.machine.sent(kind)
        self._before = before
        self.seq = self._open_seq = seq
        self._given_up = False

    def resume(self, lost: ClientProtocol) -> None:
        """Stand where `lost`, this session's last connection, stood before its open question.

        Call it after a Welcome that says `resumed`, once this connection has settled on its
        transport; the open question, if there was one, is then asked again.
        """
        state = lost._before if lost.waiting else lost.machine.state
        if state in _RESUMABLE:
            self.machine.state = state

    def stay(self) -> None:
        """The move to shared memory came to nothing before it was answered: go on as before."""
        if self.machine.state in _UPGRADING:
            self.machine.state = ROWS[self.machine.state, Event.ERROR]

    def tell(self, message: Message, reserve: Reserve) -> int:
        """Encode a message that needs no answer (Telemetry, Bye)."""
        size = self.codec.encode(message, reserve)
        self.machine.sent(KINDS[type(message)])
        return size

    def give_up(self) -> None:
        """Nobody waits for the open question's answer any more; it will be dropped."""
        self._given_up = True

    def receive(self, frame: memoryview) -> Answer | Bye | None:
        """Take one frame; returns the open question's answer, or None if it is to be ignored.

        Raises:
            RemoteProtocolError: the peer broke the conversation.
            RefusedError: the handshake was refused.
        """
        message = self.codec.decode(frame)
        if type(message) is Action and message.seq == self._open_seq and not self._given_up:
            if message.epoch == self.epoch:  # the usual answer, by the shortest way
                self.machine.received(_ACTION)
                self._open_seq = None
                return message
        kind = KINDS[type(message)]
        if kind is Kind.BYE:
            self.machine.received(kind)
            return message  # type: ignore[return-value]
        if self.machine.state in _GREETING:
            return self._receive_greeting(message)
        if kind is Kind.ATTACHED or (kind is Kind.ERROR and self.state in _UPGRADING):
            self.machine.received(kind)
            return message  # type: ignore[return-value]
        if message.seq != self._open_seq or message.epoch != self.epoch:
            self.stale += 1
            return None
        self.machine.received(kind)
        self._open_seq = None
        if self._given_up:
            self.stale += 1
            return None
        return message  # type: ignore[return-value]

    def _receive_greeting(self, message: Message) -> Welcome:
        self.machine.received(KINDS[type(message)])
        if isinstance(message, ErrorAnswer):
            raise RefusedError(message.message, code=message.code, retryable=message.retryable)
        if not isinstance(message, Welcome):
            raise RemoteProtocolError(f"expected WELCOME, got {type(message).__name__}")
        return message


_OBSERVATION = Kind.OBSERVATION
_ACTION = Kind.ACTION
_GREETING = frozenset((State.GREETING, State.DRIVEN_GREETING))
_UPGRADING = frozenset((State.UPGRADING, State.DRIVEN_UPGRADING))
_RESUMABLE = frozenset(
    (State.DRIVEN_READY, State.DRIVEN_RESETTING, State.DRIVEN_ACTING, State.DRIVEN_CALLED)
)
"""Where a link may stand between an answer and its next question, the start apart."""


def raise_peer_error(answer: ErrorAnswer) -> None:
    """Turn an error answer into our exception.

    Raises:
        PeerError: always.
    """
    raise PeerError(
        f"the other side answered {answer.code}: {answer.message}",
        code=answer.code,
        retryable=answer.retryable,
    )
