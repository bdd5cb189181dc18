"""A channel: the client's protocol over one transport, until a deadline.

The link, a remote policy and a policy in a process of its own all speak through this. Opening one
is a generator that yields whenever it would have to wait, so that `connect` can drive it to its
end and a control loop can drive it a step at a time, without ever blocking, from the same code.
"""

from __future__ import annotations

import math
import os
import select
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from time import monotonic_ns
from typing import TypeVar

from .contract import Contract
from .errors import (
    ConnectError,
    ConnectionLostError,
    NoAnswerError,
    RemoteProtocolError,
    UpgradeError,
)
from .protocol import BinaryCodec, ClientProtocol, Codec, JsonCodec
from .protocol.binaryframer import BinaryFramer
from .protocol.bounds import WIRE_VERSION
from .protocol.messages import (
    Answer,
    Attach,
    Attached,
    Bye,
    ErrorAnswer,
    Hello,
    Message,
    Observation,
    Welcome,
)
from .transport.address import Address
from .transport.base import Transport, Waiter, is_ready
from .transport.descriptors import receive_with_descriptors
from .transport.memory import Handler, MemoryTransport
from .transport.segment import Segment, boot_id, can_share
from .transport.shm import ShmTransport
from .transport.sockets import begin_connect, finish_connect, peer_of, writable
from .transport.stream import StreamTransport

__all__ = [
    "Channel",
    "Dial",
    "Wait",
    "complete",
    "open_channel",
    "open_in_memory",
]

T = TypeVar("T")

_STALE_AT_ONCE = 16
"""Late frames taken off the wire in one call."""


@dataclass(frozen=True)
class Wait:
    """What an opening channel waits for."""

    sock: socket.socket
    for_writing: bool

    def ready(self, timeout: float = 0.0) -> bool:
        """True once it need not wait any more; looks for at most `timeout` seconds."""
        events = select.POLLOUT if self.for_writing else select.POLLIN
        return is_ready(self.sock.fileno(), events, timeout)


@dataclass(frozen=True)
class Dial:
    """How to open a channel.

    Attributes:
        address: where to.
        family: socket family, looked up beforehand.
        where: socket address, looked up beforehand.
        codec: `binary` or `json`.
        upgrade: move to shared memory if both sides can.
        require_shm: fail if it cannot be shared memory.
        accept: holds the Welcome against what the caller wants and returns the contract.
    """

    address: Address
    family: socket.AddressFamily
    where: object
    codec: str
    upgrade: bool
    accept: Callable[[Welcome], Contract]

    @property
    def require_shm(self) -> bool:
        """True if nothing less than shared memory will do."""
        return self.address.scheme == "shm"


class Channel:
    """An open conversation.

    Attributes:
        protocol: where it stands.
        transport: what it travels by.
        welcome: what the gateway said.
        contract: the contract both sides hold.
        note: why it does not travel by shared memory, or "".
        posted_ns: when the last observation was ready to leave.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        transport: Transport,
        welcome: Welcome,
        contract: Contract,
        note: str = "",
    ) -> None:
        """Take protocol and transport over."""
        self.protocol = protocol
        self.transport = transport
        self.welcome = welcome
        self.contract = contract
        self.note = note
        self.posted_ns = 0
        self._waiter = Waiter(transport)

    def ask(
        self, question: Message, deadline_ns: int | None, *, again: bool = False
    ) -> Answer | None:
        """Ask, and wait for the answer until the deadline.

        Returns:
            The answer, or None; then the question stays open and its answer will be dropped
            by `drain` or a later call of `receive`.

        Raises:
            ConnectionLostError: the peer is gone.
            ProtocolError: one of the two sides broke the conversation.
        """
        size = self.protocol.ask(question, self.transport.reserve, again=again)
        return self._send(size, deadline_ns) and self.receive(deadline_ns) or None

    def post(self, observation: Observation, deadline_ns: int | None) -> bool:
        """Send an observation whose seq and epoch are set; False if it did not leave in time."""
        size = self.protocol.ask_observation(observation, self.transport.reserve)
        # Before it is sent: the gateway may wake up on this very core and run first.
        self.posted_ns = monotonic_ns()
        return self._send(size, deadline_ns)

    def _send(self, size: int, deadline_ns: int | None) -> bool:
        if self.transport.send(size):
            return True
        while not self.transport.flush():
            limit = deadline_ns if deadline_ns is not None else monotonic_ns() + 1_000_000_000
            if not self._waiter.wait_writable(limit) and deadline_ns is not None:
                return False
        return True

    def receive(self, deadline_ns: int | None) -> Answer | None:
        """Wait for the open question's answer; None once the deadline has passed.

        Raises:
            ConnectionLostError: the peer is gone, or said goodbye.
            ProtocolError: the peer broke the conversation.
        """
        transport, wait = self.transport, self._waiter.wait
        if not transport.buffered() and not wait(deadline_ns):
            return None
        while True:
            frame = transport.poll()
            if frame is not None:
                answer = self.protocol.receive(frame)
                if isinstance(answer, Bye):
                    raise ConnectionLostError(f"the gateway said goodbye: {answer.reason}")
                if answer is not None:
                    return answer
            if deadline_ns is not None and monotonic_ns() >= deadline_ns:
                return None  # rings and frames that are no answer must not keep us
            if frame is None and not wait(deadline_ns):
                return None

    def drain(self) -> bool:
        """Take late answers off the wire; True if no question is open any more.

        Raises:
            ConnectionLostError: the peer is gone, or said goodbye.
            ProtocolError: the peer broke the conversation.
        """
        self.protocol.give_up()
        for _ in range(_STALE_AT_ONCE):
            frame = self.transport.poll() if self.transport.flush() else None
            if frame is None:
                break
            answer = self.protocol.receive(frame)
            if isinstance(answer, Bye):
                raise ConnectionLostError(f"the gateway said goodbye: {answer.reason}")
        return not self.protocol.waiting

    def tell(self, message: Message) -> None:
        """Send a message that needs no answer, if it can leave at once."""
        self.transport.send(self.protocol.tell(message, self.transport.reserve))

    def tell_aside(self, message: Message) -> bool:
        """`tell`, unless something is still on its way out; never keeps what can wait.

        Raises:
            ConnectionLostError: the peer is gone.
        """
        if not self.transport.flush():
            return False
        self.tell(message)
        return True

    def close(self, reason: str = "") -> None:
        """Say goodbye if the peer still listens, and give everything back."""
        try:
            if not self.protocol.waiting:
                self.tell(Bye(reason))
        except (ConnectionLostError, UpgradeError):
            pass  # nobody is left to say goodbye to
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give everything back without a word."""
        self._waiter.close()
        self.protocol.codec.release()
        self.transport.close()


Opening = Generator[Wait, None, T]


def complete(
    opening: Opening[T],
    timeout: float,
    what: str,
    *,
    patience: float = math.inf,
    on_slow: Callable[[str], None] | None = None,
) -> T:
    """Drive an opening to its end.

    Args:
        opening: from `open_channel`.
        timeout: seconds.
        what: whom we are connecting to, for the message.
        patience: seconds after which `on_slow` is called, once.
        on_slow: is told what is waited for.

    Raises:
        ConnectError: it took longer; NoAnswerError if something listens there.
        Error: whatever the opening raises.
    """
    started = monotonic_ns()
    try:
        wait = next(opening)
        while True:
            left = timeout - (monotonic_ns() - started) / 1e9
            calm = patience - (timeout - left)
            if left > 0 and wait.ready(max(0.0, min(left, calm))):
                wait = next(opening)
            elif left <= 0 or left <= calm:
                why = _unanswered(wait, what, timeout)
                opening.close()
                raise why
            elif calm <= 0:
                patience = math.inf
                if on_slow is not None:
                    on_slow(_waits_for(wait))
    except StopIteration as stop:
        result: T = stop.value
        return result


def _waits_for(wait: Wait) -> str:
    if wait.for_writing:
        return "no connection is made yet"
    return "something listens there and has not answered the handshake yet"


def _unanswered(wait: Wait, what: str, timeout: float) -> ConnectError:
    """Say that nobody answered, and how to learn who should have."""
    if wait.for_writing:
        return ConnectError(f"no connection was made within {timeout:.3g} s")
    peer = peer_of(wait.sock)
    look = f"it is process {peer.pid}" if peer else "`ss -ltnp` shows which process it is"
    return NoAnswerError(
        f"something listens at {what} and has not answered the handshake within {timeout:.3g} s: "
        f"another program, or a gateway that hangs ({look}). End it, or use another address for "
        "both sides"
    )


def open_channel(
    dial: Dial, hello: Hello, *, lost: ClientProtocol | None = None
) -> Opening[Channel]:
    """Connect, greet, and move to shared memory if both sides can.

    Args:
        dial: where to and how.
        hello: what to say first.
        lost: this session's last conversation, if it had one; numbering goes on from there.

    Raises:
        ConnectError: nobody listens.
        RefusedError: the gateway refused; the message says what to change.
        UpgradeError: shared memory is required and not possible.
    """
    sock = begin_connect(dial.family, dial.where)
    codec: Codec = JsonCodec() if dial.codec == "json" else BinaryCodec()
    name = "tcp" if dial.address.scheme == "tcp" else "unix"
    transport = StreamTransport(sock, name, codec.framer)
    try:
        while not writable(sock):
            yield Wait(sock, True)
        finish_connect(sock)
        if isinstance(codec, BinaryCodec):
            codec.body_crc = transport.leaves_host
        protocol = ClientProtocol(codec, seq=lost.seq if lost else 0, epoch=hello.epoch)
        yield from _sending(transport, protocol.greet(hello, transport.reserve))
        frame = yield from _receiving(transport)
        welcome = protocol.receive(frame)
        if not isinstance(welcome, Welcome):
            raise RemoteProtocolError("the gateway closed during the handshake")
        if welcome.wire_version != WIRE_VERSION:
            raise RemoteProtocolError(
                f"the gateway speaks wire version {welcome.wire_version}, we speak "
                f"{WIRE_VERSION}; install the same isthmus on both sides",
                code="wire_version",
            )
        contract = dial.accept(welcome)
        protocol.bind(contract, hello.num_envs)
        moved, note = yield from _upgrade(dial, protocol, transport, welcome)
    except _TooLateError as exc:
        codec.release()
        transport.close()
        channel = yield from open_channel(replace(dial, upgrade=False), hello, lost=lost)
        channel.note = str(exc)
        return channel
    except BaseException:
        codec.release()
        transport.close()
        raise
    if lost is not None and welcome.resumed:
        protocol.resume(lost)
    try:
        return Channel(protocol, moved, welcome, contract, note)
    except BaseException:
        codec.release()
        moved.close()
        raise


def open_in_memory(
    handler: Handler, hello: Hello, accept: Callable[[Welcome], Contract]
) -> Channel:
    """A channel whose other side is a function in this process."""
    codec = BinaryCodec()
    transport = MemoryTransport(handler, codec.framer)
    protocol = ClientProtocol(codec, epoch=hello.epoch)
    try:
        transport.send(protocol.greet(hello, transport.reserve))
        frame = transport.poll()
        welcome = protocol.receive(frame) if frame is not None else None
        if not isinstance(welcome, Welcome):
            raise RemoteProtocolError("the policy in this process did not answer the handshake")
        contract = accept(welcome)
        protocol.bind(contract, hello.num_envs)
    except BaseException:
        transport.close()
        raise
    return Channel(protocol, transport, welcome, contract)


def _sending(transport: StreamTransport, size: int) -> Opening[None]:
    if not transport.send(size):
        while not transport.flush():
            yield Wait(transport.socket, True)


def _receiving(transport: StreamTransport) -> Opening[memoryview]:
    while True:
        frame = transport.poll()
        if frame is not None:
            return frame
        yield Wait(transport.socket, False)


class _TooLateError(UpgradeError):
    """The gateway has moved already and has closed the old connection, but we cannot follow."""


def _upgrade(
    dial: Dial, protocol: ClientProtocol, transport: StreamTransport, welcome: Welcome
) -> Opening[tuple[Transport, str]]:
    if not dial.upgrade and not dial.require_shm:
        return transport, "not asked for"
    try:
        moved = yield from _attach(dial, protocol, welcome)
    except (UpgradeError, ConnectError, ConnectionLostError) as exc:
        if dial.require_shm:
            raise UpgradeError(
                f"{dial.address.url} cannot use shared memory: {exc}. "
                f"Use unix:{dial.address.path} to go without"
            ) from exc
        if isinstance(exc, _TooLateError):
            raise
        protocol.stay()
        return transport, str(exc)
    transport.close()
    return moved, ""


def _attach(dial: Dial, protocol: ClientProtocol, welcome: Welcome) -> Opening[ShmTransport]:
    offer = welcome.upgrade
    reason = can_share()
    if not isinstance(protocol.codec, BinaryCodec):
        reason = "the json codec does not use it"
    elif not offer.get("nonce"):
        reason = str(offer.get("reason") or "the gateway offers none")
    elif offer.get("boot_id") != boot_id():
        reason = "the gateway runs on another host"
    if reason:
        raise UpgradeError(reason)
    where = dial.where
    if dial.address.scheme == "tcp":
        path = str(offer.get("path", ""))
        where = "\0" + path[1:] if path.startswith("@") else path
    sock = begin_connect(socket.AF_UNIX, where)
    codec = protocol.codec
    framer = BinaryFramer()  # its own: bytes of two connections must not meet
    stream = StreamTransport(sock, "unix", framer)
    descriptors: list[int] = []
    try:
        peer = peer_of(sock)
        if peer is None or peer.uid != os.geteuid():
            raise UpgradeError("the gateway runs as another user")
        question = Attach(welcome.session, str(offer["nonce"]))
        yield from _sending(stream, protocol.ask(question, stream.reserve))
        frame: memoryview | None = None
        while frame is None:
            count, found = receive_with_descriptors(sock, framer.space())
            descriptors += found
            if len(descriptors) > 3:
                raise UpgradeError("more descriptors came than a segment has")
            framer.received(count)
            frame = framer.next_frame()
            if frame is None:
                yield Wait(sock, False)
        answer = protocol.receive(frame)
        if isinstance(answer, ErrorAnswer):
            raise UpgradeError(answer.message)
        if not isinstance(answer, Attached):
            raise UpgradeError("the gateway did not answer the request for shared memory")
        taken, descriptors = descriptors, []
        try:
            segment = Segment.attach(taken, answer.question_size, answer.answer_size)
        except UpgradeError as exc:
            raise _TooLateError(str(exc)) from exc
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        stream.close()
        raise
    return ShmTransport(sock, segment, codec.framer, asks=True, peer_descriptor=_watch(peer.pid))


def _watch(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends, where it can be seen."""
    if pid <= 0 or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
