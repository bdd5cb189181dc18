"""The policy side of the conversation: no socket, no clock, no thread.

Every question gets exactly one answer, which carries its seq and epoch. A question may be asked
again after a reconnect, by a link that cannot know whether its question or only the answer was
lost. `Memory` outlives the connection: a question that was answered before is answered with the
same answer and reaches nobody a second time.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..contract import Contract
from ..errors import LocalProtocolError, RemoteProtocolError
from .binary import BinaryCodec, Reserve
from .jsonlines import JsonCodec
from .messages import KINDS, Action, Answer, ErrorAnswer, Hello, Kind, Message, Welcome
from .states import Machine, Role, State

__all__ = ["Memory", "ServerProtocol"]

_OBSERVATION = Kind.OBSERVATION
_UNNUMBERED = frozenset((Kind.TELEMETRY, Kind.BYE, Kind.ATTACH, Kind.HELLO))


@dataclass
class Memory:
    """What a session remembers from one connection to the next.

    Attributes:
        seq: number of the last question taken.
        before: state in which it was taken.
        after: state in which its answer left the conversation.
        answer: its answer, if it was given and sessions of this kind repeat answers.
        pending: True while it is being worked on; the answer may leave by a later connection.
    """

    seq: int = 0
    before: State = State.START
    after: State = State.START
    answer: Answer | None = None
    pending: bool = False


class ServerProtocol:
    """One connection, as the policy side sees it.

    Attributes:
        stale: questions dropped because their number is old.
        repeat: True if the question just received was answered before; call `answer_again`.
    """

    def __init__(self, codec: BinaryCodec | JsonCodec, memory: Memory | None = None) -> None:
        """Begin a connection."""
        self.codec = codec
        self.machine = Machine(Role.SERVER)
        self.memory = memory or Memory()
        self.epoch = 0
        self.stale = 0
        self.repeat = False
        self.open_seq: int | None = None
        self._resuming = False

    @property
    def state(self) -> State:
        """Where the conversation stands."""
        return self.machine.state

    def assume_greeting(self) -> None:
        """Go on as if a Hello had been answered: old json clients send none."""
        self.machine.greet(driven=False)
        self.machine.sent(Kind.WELCOME)

    def bind(self, contract: Contract, num_envs: int) -> None:
        """Fix the layouts, once the Hello has been accepted."""
        self.codec.bind(contract, num_envs, training=self.machine.driven, asks=False)

    def resume(self, memory: Memory, epoch: int) -> None:
        """Go on with a session that had another connection before."""
        self.memory = memory
        self.epoch = epoch
        self._resuming = self.machine.driven

    def receive(self, frame: memoryview) -> Message | None:
        """Take one frame; returns a message to act on, or None if it is to be ignored.

        Raises:
            RemoteProtocolError: the peer broke the conversation.
        """
        message = self.codec.decode(frame)
        kind = KINDS[type(message)]
        self.repeat = False
        if kind is _OBSERVATION:
            return message if self._take(kind, message.seq, message.epoch) else None
        if isinstance(message, Hello):
            self.machine.greet(message.can_reset)
            return message
        if kind in _UNNUMBERED:
            self.machine.received(kind)
            return message
        return message if self._take(kind, message.seq, message.epoch) else None

    def _take(self, kind: Kind, seq: int, epoch: int) -> bool:
        memory = self.memory
        if seq == 0 and self.codec.name == "json":
            seq = memory.seq + 1  # typed by hand, or by a client of before
        if epoch != self.epoch or seq < memory.seq:
            self.stale += 1
            return False
        if self.open_seq is not None:
            raise RemoteProtocolError(
                f"question {seq} came while {self.open_seq} is open; one question at a time"
            )
        if seq == memory.seq and memory.before is not State.START:
            return self._take_again(kind)
        if self._resuming:
            self.machine.state = memory.after
            self._resuming = False
        before = self.machine.state
        self.machine.received(kind)
        memory.seq = self.open_seq = seq
        memory.before = before
        memory.answer = None
        memory.pending = True
        return True

    def _take_again(self, kind: Kind) -> bool:
        memory = self.memory
        if memory.answer is None and not memory.pending:
            self.stale += 1  # answered, and not to be repeated
            return False
        self.machine.state = memory.before
        self.machine.received(kind)
        self._resuming = False
        self.open_seq = memory.seq
        self.repeat = memory.answer is not None
        return self.repeat  # else whoever works on it already will answer by this connection

    def answer(self, answer: Answer, reserve: Reserve, *, keep: bool = False) -> int:
        """Encode the answer to the open question; returns the frame's length.

        Args:
            answer: its seq and epoch are filled in here.
            reserve: gives the memory to encode into.
            keep: remember it (its arrays must be the caller's to give away), to be repeated if
                the same question comes again.

        Raises:
            LocalProtocolError: no question is open, or the table has no such answer.
        """
        if self.open_seq is None:
            raise LocalProtocolError(f"{type(answer).__name__} without an open question")
        if answer.seq != self.open_seq or answer.epoch != self.epoch:
            answer = answer._replace(seq=self.open_seq, epoch=self.epoch)
        if isinstance(answer, Action):
            size = self.codec.encode_action(answer, reserve)
        else:
            size = self.codec.encode(answer, reserve)
        self.machine.sent(KINDS[type(answer)])  # last: what fails here leaves the question open
        self.open_seq = None
        memory = self.memory
        memory.after = self.machine.state
        memory.answer = answer if keep else None
        memory.pending = False
        return size

    def abandon(self) -> None:
        """Nobody will answer the open question: if it comes again, it is as good as new."""
        if self.open_seq is not None:
            memory = self.memory
            memory.seq, memory.after, memory.pending = self.open_seq - 1, memory.before, False
            self.open_seq = None

    def answer_again(self, reserve: Reserve) -> int:
        """Repeat the remembered answer to a question that came twice."""
        answer = self.memory.answer
        if answer is None:
            raise LocalProtocolError("there is no answer to repeat")
        return self.answer(answer, reserve, keep=True)

    def welcome(self, welcome: Welcome, reserve: Reserve) -> int:
        """Encode the answer to a Hello. Bind the codec only after it has been encoded."""
        self.machine.sent(Kind.WELCOME)
        return self.codec.encode(welcome, reserve)

    def refuse(self, error: ErrorAnswer, reserve: Reserve) -> int:
        """Encode an error that answers a Hello or Attach, or a fault that ends the connection.

        It is allowed in every state, because it reports that the conversation is broken.
        """
        if self.open_seq is not None:
            error = error._replace(seq=self.open_seq, epoch=self.epoch)
        self.abandon()
        if self.machine.state in _UPGRADING:
            self.machine.sent(Kind.ERROR)
        return self.codec.encode(error, reserve)

    def tell(self, message: Message, reserve: Reserve) -> int:
        """Encode a message that needs no answer and no question (Attached, Bye)."""
        self.machine.sent(KINDS[type(message)])
        return self.codec.encode(message, reserve)


_UPGRADING = frozenset((State.UPGRADING, State.DRIVEN_UPGRADING))
