"""The other side, under a test's control: raw clients, and a gateway that answers when told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import numpy as np

from isthmus import Contract
from isthmus.protocol import BinaryCodec, ServerProtocol
from isthmus.protocol.bounds import WIRE_VERSION
from isthmus.protocol.messages import Action, Bye, Hello, Message, Observation, Welcome
from isthmus.transport.address import parse

LAST_RESORT = 30.0


def dial(url: str) -> socket.socket:
    """A plain blocking socket to a gateway."""
    address = parse(url)
    if address.scheme == "tcp":
        return socket.create_connection((address.host, address.port), timeout=LAST_RESORT)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(LAST_RESORT)
    sock.connect(address.path)
    return sock


class RawPeer:
    """A socket that says whatever it is told to."""

    def __init__(self, url: str) -> None:
        self.socket = dial(url)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def say(self, *messages: Mapping[str, Any]) -> None:
        """Send JSON lines, all at once."""
        self.send(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def hear(self) -> dict[str, Any]:
        """The next JSON line; {} once the other side has closed."""
        try:
            line = self._file.readline()
        except ConnectionResetError:
            return {}
        return dict(json.loads(line)) if line else {}

    def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Say one thing, hear one."""
        self.say(message)
        return self.hear()

    def closed(self) -> bool:
        """Read until the other side closes; True if it does."""
        try:
            while self._file.read(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True


class BinaryPeer(RawPeer):
    """A raw client that speaks binary frames."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.codec = BinaryCodec(body_crc=url.startswith("tcp"))

    def frame(self, message: Message) -> bytes:
        """A message's bytes."""
        memory = memoryview(bytearray(1 << 20))
        return bytes(memory[: self.codec.encode(message, lambda _: memory)])

    def tell(self, message: Message) -> None:
        """Send one message."""
        self.send(self.frame(message))

    def answer(self) -> Message:
        """The next message; ConnectionResetError once the other side has closed."""
        framer = self.codec.framer
        while True:
            frame = framer.next_frame()
            if frame is not None:
                return self.codec.decode(frame)
            count = self.socket.recv_into(framer.space())
            if not count:
                raise ConnectionResetError
            framer.received(count)

    def greet(self, bound_to: Contract, /, **changes: Any) -> Message:
        """Say Hello and bind to the contract if it is welcomed; the answer."""
        self.tell(hello(**changes))
        answer = self.answer()
        if isinstance(answer, Welcome):
            self.codec.bind(bound_to, changes.get("num_envs", 1), asks=True)
        return answer

    def step(self, seq: int, *q: float, **changes: Any) -> Message:
        """Ask with this `q`; the answer."""
        arrays = {"q": np.array([q], np.float32)}
        self.tell(Observation(arrays, seq, **changes))
        return self.answer()


def hello(**changes: Any) -> Hello:
    """A Hello that adopts whatever the gateway has."""
    return Hello(WIRE_VERSION, "test")._replace(**changes)


class FakeGateway:
    """A gateway in a thread that answers each observation as `reply` says.

    `reply` gets the observation and returns what to send now, in order. Messages without a seq
    of their own get the observation's. `send` says something more, at any time.
    """

    def __init__(
        self, url: str, contract: Contract, reply: Callable[[Observation], list[Message]]
    ) -> None:
        self.contract = contract
        self.reply = reply
        self.hellos: list[Hello] = []
        self.observations: list[Observation] = []
        self.fault: BaseException | None = None
        self._codec = BinaryCodec()
        self._peer: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(parse(url).path)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> FakeGateway:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.drop()
        self._thread.join(LAST_RESORT)
        self._listener.close()
        if self.fault is not None and kind is None:
            raise AssertionError("the fake gateway died") from self.fault

    def drop(self) -> None:
        """Close the connection that is open."""
        if self._peer is not None:
            try:
                self._peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def send(self, message: Message) -> None:
        """Say something on the connection that is open."""
        assert self._peer is not None
        memory = memoryview(bytearray(1 << 16))
        size = self._codec.encode(message, lambda _: memory)
        self._peer.sendall(memory[:size])

    def send_bytes(self, data: bytes) -> None:
        """Say something that may be no message at all."""
        assert self._peer is not None
        self._peer.sendall(data)

    def action(self, *speed: float, **changes: Any) -> Action:
        """An action with these numbers."""
        return Action({"speed": np.array([speed], np.float32)}, **changes)

    def _run(self) -> None:
        try:
            while True:
                try:
                    self._peer, _ = self._listener.accept()
                except OSError:
                    return
                self._converse(self._peer)
                self._peer.close()
        except BaseException as exc:
            self.fault = exc

    def _converse(self, peer: socket.socket) -> None:
        self._codec = BinaryCodec()
        protocol = ServerProtocol(self._codec)
        framer = self._codec.framer
        while True:
            frame = framer.next_frame()
            if frame is None:
                try:
                    count = peer.recv_into(framer.space())
                except OSError:
                    return
                if not count:
                    return
                framer.received(count)
                continue
            message = self._codec.decode(frame)
            if isinstance(message, Hello):
                self._welcome(protocol, message)
            elif isinstance(message, Observation):
                kept = {name: array.copy() for name, array in message.arrays.items()}
                self.observations.append(message._replace(arrays=kept))
                for answer in self.reply(message):
                    if not answer.seq:
                        answer = answer._replace(seq=message.seq, epoch=message.epoch)
                    try:
                        self.send(answer)
                    except OSError:
                        return
            elif isinstance(message, Bye):
                return

    def _welcome(self, protocol: ServerProtocol, message: Hello) -> None:
        self.hellos.append(message)
        welcome = Welcome(
            WIRE_VERSION, "fake", "session", "token", self.contract.to_dict(),
            {"name": "fake", "kind": "callable", "digest": "0" * 64}, message.pacing,
            upgrade={"reason": "a fake has no segment"}, epoch=message.epoch,
        )  # fmt: skip
        protocol.machine.greet(False)
        self.send(welcome)
        self._codec.bind(self.contract, message.num_envs, asks=False)
