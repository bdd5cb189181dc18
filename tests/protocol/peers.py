"""Two sides of a conversation without a transport between them: bytes over, messages back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from isthmus import ActionField, Contract, Field
from isthmus.protocol import (
    BinaryCodec,
    ClientProtocol,
    Codec,
    JsonCodec,
    Memory,
    ServerProtocol,
)
from isthmus.protocol.framer import Framer
from isthmus.protocol.messages import Arrays, Hello, Message, Observation, Welcome

CODECS = {"binary": BinaryCodec, "json": JsonCodec}

CONTRACT = Contract(
    name="pair",
    observation=(Field("q", (3,), "float32"), Field("step", (), "int64"), Field("on", (), "bool")),
    action=(
        ActionField("push", (2,), "float32", semantics="opaque", fallback="zero"),
        ActionField("grip", (), "bool", semantics="opaque", fallback="zero"),
    ),
    control_dt_ns=20_000_000,
)


class Room:
    """Memory to encode into, as a transport gives it."""

    def __init__(self) -> None:
        self.memory = memoryview(bytearray())

    def reserve(self, size: int) -> memoryview:
        if size > self.memory.nbytes:
            self.memory = memoryview(bytearray(size))
        return self.memory

    def taken(self, size: int) -> bytes:
        return bytes(self.memory[:size])


def encoded(codec: Codec, message: Message) -> bytes:
    """A message as it goes over the wire."""
    room = Room()
    return room.taken(codec.encode(message, room.reserve))


def frames(framer: Framer, data: bytes, *, slices: int = 1 << 30) -> Iterator[memoryview]:
    """Feed bytes to a framer, at most `slices` at a time; each frame is valid until the next."""
    rest = memoryview(data)
    while rest.nbytes:
        space = framer.space()
        count = min(space.nbytes, rest.nbytes, slices)
        assert count, "a framer has always room"
        space[:count] = rest[:count]
        framer.received(count)
        rest = rest[count:]
        while (frame := framer.next_frame()) is not None:
            yield frame


def decoded(codec: Codec, data: bytes) -> Message:
    """The one message that these bytes are."""
    (message,) = (codec.decode(frame) for frame in frames(codec.framer, data))
    return message


def bound(
    kind: str,
    contract: Contract = CONTRACT,
    num_envs: int = 1,
    *,
    training: bool = False,
    asks: bool = False,
    **options: Any,
) -> Codec:
    """A codec after the handshake."""
    codec = CODECS[kind](**options)
    codec.bind(contract, num_envs, training=training, asks=asks)
    return codec


def some(contract: Contract = CONTRACT, num_envs: int = 1, *, seed: int = 0) -> Arrays:
    """An observation that fits."""
    source = np.random.default_rng(seed)
    return {
        field.name: source.integers(0, 2, (num_envs, *field.shape)).astype(field.dtype)
        for field in contract.observation
    }


def chosen(contract: Contract = CONTRACT, num_envs: int = 1) -> Arrays:
    """An action that fits."""
    return {field.name: np.ones((num_envs, *field.shape), field.dtype) for field in contract.action}


def plain(arrays: Arrays | None) -> Any:
    """Arrays as bytes, to be compared bit by bit."""
    if arrays is None:
        return None
    return {
        name: (array.dtype.name, array.shape, array.tobytes()) for name, array in arrays.items()
    }


class Pair:
    """A link and a gateway, joined by nothing but bytes.

    Attributes:
        client: the link's side.
        server: the gateway's side.
    """

    def __init__(
        self,
        kind: str,
        *,
        driven: bool = False,
        memory: Memory | None = None,
        lost: ClientProtocol | None = None,
        epoch: int = 0,
        greet: bool = True,
    ) -> None:
        """Shake hands; with `memory` and `lost` the session had another connection before."""
        self.room = Room()
        self.client = ClientProtocol(CODECS[kind](), seq=lost.seq if lost else 0, epoch=epoch)
        self.server = ServerProtocol(CODECS[kind]())
        self.server.epoch = epoch
        if greet:
            self.greet(driven, memory, lost, epoch)

    def greet(
        self, driven: bool, memory: Memory | None, lost: ClientProtocol | None, epoch: int
    ) -> None:
        hello = Hello(1, "0", can_reset=driven, epoch=epoch)
        assert self.over(self.client.greet(hello, self.room.reserve)) is not None
        if memory is not None:
            self.server.resume(memory, epoch)
        welcome = Welcome(
            1, "0", "name", "token", CONTRACT.to_dict(), {}, "realtime", memory is not None
        )
        size = self.server.welcome(welcome, self.room.reserve)
        self.server.bind(CONTRACT, 1)
        assert isinstance(self.back(size), Welcome)
        self.client.bind(CONTRACT, 1)
        if lost is not None and memory is not None:
            self.client.resume(lost)

    def ask(self, question: Message, *, again: bool = False) -> bytes:
        """The question, as it leaves the link."""
        return self.room.taken(self.client.ask(question, self.room.reserve, again=again))

    def answer(self, answer: Any, *, keep: bool = False) -> bytes:
        """The answer, as it leaves the gateway."""
        return self.room.taken(self.server.answer(answer, self.room.reserve, keep=keep))

    def to_server(self, data: bytes) -> Message | None:
        """What the gateway makes of it."""
        (found,) = (self.server.receive(f) for f in frames(self.server.codec.framer, data))
        return found

    def to_client(self, data: bytes) -> Message | None:
        """What the link makes of it."""
        (found,) = (self.client.receive(f) for f in frames(self.client.codec.framer, data))
        return found

    def over(self, size: int) -> Message | None:
        return self.to_server(self.room.taken(size))

    def back(self, size: int) -> Message | None:
        return self.to_client(self.room.taken(size))

    def exchange(self, question: Message, answer: Any, *, keep: bool = False) -> Message | None:
        """A question and its answer, there and back."""
        assert self.to_server(self.ask(question)) is not None
        return self.to_client(self.answer(answer, keep=keep))


def look(seed: int = 0) -> Observation:
    """An observation of the small contract."""
    return Observation(some(seed=seed))
