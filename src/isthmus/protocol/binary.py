"""The binary codec: fixed header, arrays in place, an optional JSON tail.

Arrays are never walked: they are copied whole between the caller's arrays and views that were
built once, when the contract became known. Everything that is not a step (the handshake, Reset,
Call, errors) has an empty body and its content in the tail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

from ..contract import Contract
from ..errors import LocalProtocolError, RemoteProtocolError
from . import jsontext
from .binaryframer import BinaryFramer
from .bounds import MAX_HANDSHAKE, MAX_TAIL, WIRE_VERSION
from .content import check_value, from_content, to_content
from .header import (
    CRC,
    CRC_AT,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    WHOLE,
    Flag,
    frame_lengths,
)
from .layout import action_layout, observation_layout
from .masks import reset_from_content, reset_to_content
from .messages import KINDS, Action, Kind, Message, Observation, Outcome
from .views import FrameViews

__all__ = ["BinaryCodec"]

Reserve = Callable[[int], memoryview]

_KINDS: dict[int, Kind] = {kind.value: kind for kind in Kind}
_OBSERVATION = Kind.OBSERVATION.value
_ACTION = Kind.ACTION.value
_MISS = Outcome.MISS.value
_OUTCOMES = frozenset(outcome.value for outcome in Outcome)
_OBSERVATION_TAIL = ("rand_hash", "expected_rand_hash", "corr_id", "reset", "infos")
_ACTION_TAIL = ("rand_hash", "expected_rand_hash", "corr_id", "clipped")


class BinaryCodec:
    """Messages to frames and back, for one connection.

    Attributes:
        framer: receives this connection's frames.
        body_crc: also checksum arrays (a transport that leaves the host asks for it).
    """

    name = "binary"

    def __init__(self, *, body_crc: bool = False) -> None:
        """Start before the handshake: no contract is known yet."""
        self.framer = BinaryFramer()
        self.body_crc = body_crc
        self._interface = 0
        self._observation: FrameViews | None = None
        self._action: FrameViews | None = None

    def bind(
        self, contract: Contract, num_envs: int, *, training: bool = False, asks: bool
    ) -> None:
        """Fix the layouts. `asks` is True on the side that sends observations."""
        observation = observation_layout(contract, num_envs, training=training)
        action = action_layout(contract, num_envs)
        self._interface = int(contract.interface_hash[:16], 16)
        self._observation, self._action = FrameViews(observation), FrameViews(action)
        self.framer.limit(action.size if asks else observation.size)

    def frame_sizes(self) -> tuple[int, int]:
        """Bytes of the largest step frames: question, answer; without a tail."""
        if self._observation is None or self._action is None:
            raise LocalProtocolError("frame sizes are known after the handshake")
        return (
            HEADER_SIZE + self._observation.layout.size,
            HEADER_SIZE + self._action.layout.size,
        )

    def release(self) -> None:
        """Drop every view of memory that a transport is about to give back."""
        for views in (self._observation, self._action):
            if views is not None:
                views.drop()

    # sending ------------------------------------------------------------------------------

    def encode(self, message: Message, reserve: Reserve) -> int:
        """Write `message` into memory from `reserve(size)`; returns the frame's length."""
        if isinstance(message, Observation):
            return self.encode_observation(message, reserve)
        if isinstance(message, Action):
            return self.encode_action(message, reserve)
        kind = KINDS[type(message)]
        tail = jsontext.dumps(to_content(message))
        limit = MAX_HANDSHAKE if self._observation is None else MAX_TAIL
        if len(tail) > limit:
            raise LocalProtocolError(
                f"{kind.name} needs {len(tail)} bytes; at most {limit}", code="too_large"
            )
        memory = reserve(HEADER_SIZE + len(tail))
        HEADER.pack_into(
            memory, 0, MAGIC, WIRE_VERSION, kind, 0, 0, len(tail), message.seq, message.epoch, 0,
            self._interface, 0, 0, _NAN, 0, 0, 0, 0, 0,
        )  # fmt: skip
        return _seal(memory, HEADER_SIZE, tail)

    def encode_observation(self, message: Observation, reserve: Reserve) -> int:
        """`encode`, for a step's question."""
        views = self._observation or self._bound(None)
        blocks = views.layout.blocks
        flags, count = 0, 1
        if message.training is not None:
            flags, count = Flag.TRAINING, 2
            if message.final is not None:
                flags, count = Flag.TRAINING | Flag.FINAL, 3
        tail = b""
        if (
            message.rand_hash
            or message.corr_id
            or message.reset is not None
            or message.infos is not None
            or message.expected_rand_hash
        ):
            tail = _tail(message, _OBSERVATION_TAIL)
        body = blocks[count - 1].end
        memory = reserve(HEADER_SIZE + views.layout.size + len(tail))
        views.over(memory)
        views.used = count
        views.fill(0, message.arrays)
        if count > 1:
            views.fill(1, message.training or {})
        if count > 2:
            views.fill(2, message.final or {})
        body_crc = 0
        if self.body_crc:
            flags |= Flag.BODY_CRC
            body_crc = crc32(memory[HEADER_SIZE : HEADER_SIZE + body])
        HEADER.pack_into(
            memory, 0, MAGIC, WIRE_VERSION, _OBSERVATION, flags, body, len(tail), message.seq,
            message.epoch, 0, self._interface, message.send_ns, message.wall_ns,
            message.sim_time, message.budget_ns, 0, 0, 0, body_crc,
        )  # fmt: skip
        return _seal(memory, HEADER_SIZE + body, tail)

    def encode_action(self, message: Action, reserve: Reserve) -> int:
        """`encode`, for a step's answer."""
        views = self._action or self._bound(None)
        tail = b""
        if message.rand_hash or message.corr_id or message.clipped or message.expected_rand_hash:
            tail = _tail(message, _ACTION_TAIL)
        body = views.layout.size if message.arrays else 0
        memory = reserve(HEADER_SIZE + views.layout.size + len(tail))
        flags = body_crc = 0
        if body:
            views.over(memory)
            views.fill(0, message.arrays)
            if self.body_crc:
                flags = Flag.BODY_CRC
                body_crc = crc32(memory[HEADER_SIZE : HEADER_SIZE + body])
        HEADER.pack_into(
            memory, 0, MAGIC, WIRE_VERSION, _ACTION, flags, body, len(tail), message.seq,
            message.epoch, message.outcome, self._interface, message.send_ns, message.wall_ns,
            message.sim_time, message.decode_ns, message.queue_ns, message.infer_ns,
            message.server_ns, body_crc,
        )  # fmt: skip
        return _seal(memory, HEADER_SIZE + body, tail)

    # receiving ----------------------------------------------------------------------------

    def decode(self, frame: memoryview) -> Message:
        """Read one frame. Arrays in the message are views of `frame`.

        Raises:
            RemoteProtocolError: checksum, kind, lengths or content are wrong.
        """
        (
            magic, wire, kind, flags, body_len, tail_len, seq, epoch, outcome, interface,
            send_ns, wall_ns, sim_time, a, b, c, d, body_crc, crc,
        ) = WHOLE.unpack_from(frame)  # fmt: skip
        tail_at = HEADER_SIZE + body_len
        if magic != MAGIC or wire != WIRE_VERSION or tail_at + tail_len != frame.nbytes:
            frame_lengths(frame)
            raise RemoteProtocolError(
                f"a frame of {frame.nbytes} bytes announces {body_len} + {tail_len}"
            )
        found = crc32(frame[:CRC_AT])
        content: dict[str, Any] = {}
        if tail_len:
            tail = frame[tail_at:]
            found = crc32(tail, found)
        if found != crc:
            raise RemoteProtocolError(
                f"checksum of header and tail is {found:#010x}, the frame says {crc:#010x}"
            )
        if abs(sim_time) > _LONGEST:  # NaN, which says that there is none, is not
            raise RemoteProtocolError(f"sim_time of {sim_time} s is no time")
        if tail_len:
            content = jsontext.loads(tail)
        if kind == _ACTION:
            views = self._check_step(frame, self._action, flags, body_len, interface, body_crc)
            if outcome not in _OUTCOMES:
                raise RemoteProtocolError(f"unknown outcome {outcome} of an action")
            expected = 0 if outcome == _MISS else views.layout.size
            if body_len != expected:
                raise RemoteProtocolError(
                    f"an action with outcome {Outcome(outcome).name} has {body_len} bytes of "
                    f"arrays; expected {expected}"
                )
            if views.booleans and body_len:
                views.check_booleans(1)
            action = Action(
                views.blocks[0] if body_len else {}, seq, epoch, outcome, a, b, c, d, sim_time,
                send_ns, wall_ns,
            )  # fmt: skip
            if content:
                action = action._replace(**_optional(content, _ACTION_TAIL, action))
                action = action._replace(clipped=tuple(action.clipped))
            return action
        if kind == _OBSERVATION:
            views = self._check_step(frame, self._observation, flags, body_len, interface, body_crc)
            count = 1 if flags <= Flag.BODY_CRC else _count_blocks(flags)
            blocks = views.layout.blocks
            if count > len(blocks) or body_len != blocks[count - 1].end:
                raise RemoteProtocolError(
                    f"an observation with {count} blocks of arrays has {body_len} bytes; this "
                    f"session's blocks end at {', '.join(str(block.end) for block in blocks)}"
                )
            views.used = count
            if views.booleans:
                views.check_booleans(count)
            observation = Observation(
                views.blocks[0],
                seq,
                epoch,
                sim_time,
                a,
                send_ns,
                wall_ns,
                training=views.blocks[1] if count > 1 else None,
                final=views.blocks[2] if count > 2 else None,
            )
            if content:
                changes = _optional(content, _OBSERVATION_TAIL, observation)
                observation = observation._replace(**changes)
            return observation
        known = _KINDS.get(kind)
        if known is None:
            raise RemoteProtocolError(f"unknown kind {kind}", code="unknown_type")
        if body_len:
            raise RemoteProtocolError(f"{known.name} carries {body_len} bytes of arrays")
        return from_content(known, content, seq, epoch)

    def _check_step(
        self,
        frame: memoryview,
        views: FrameViews | None,
        flags: int,
        body_len: int,
        interface: int,
        body_crc: int,
    ) -> FrameViews:
        """The arrays of a step's frame, once it is known to be of this session and whole."""
        if views is None:
            raise RemoteProtocolError("a step came before the handshake")
        if interface != self._interface:
            raise RemoteProtocolError(
                f"a step for interface {interface:016x} came; this session has "
                f"{self._interface:016x}",
                code="interface_mismatch",
            )
        if flags & Flag.BODY_CRC:
            if crc32(frame[HEADER_SIZE : HEADER_SIZE + body_len]) != body_crc:
                raise RemoteProtocolError("checksum of the arrays is wrong")
        elif self.body_crc and body_len:
            raise RemoteProtocolError("arrays came without a checksum")
        return views.over(self.framer.memory)

    def finite(self, kind: Kind) -> bool:
        """True if every float of the last decoded Observation or Action is finite."""
        views = self._observation if kind == _OBSERVATION else self._action
        return (views or self._bound(None)).finite()

    def _bound(self, views: FrameViews | None) -> FrameViews:
        if views is None:
            raise LocalProtocolError("no step can be sent before the handshake is done")
        return views


_NAN = float("nan")
_LONGEST = 1e15
"""Seconds of sim_time that are believed."""
_BLOCKS = {0: 1, int(Flag.TRAINING): 2, int(Flag.TRAINING | Flag.FINAL): 3}
"""Flags of an observation, the checksum's apart -> blocks of arrays in its body."""


def _count_blocks(flags: int) -> int:
    count = _BLOCKS.get(flags & ~Flag.BODY_CRC)
    if count is None:
        raise RemoteProtocolError(f"unknown flags {flags:#x} of an observation")
    return count


def _seal(memory: memoryview, tail_at: int, tail: bytes) -> int:
    size = tail_at + len(tail)
    crc = crc32(memory[:CRC_AT])
    if tail:
        memory[tail_at:size] = tail
        crc = crc32(tail, crc)
    CRC.pack_into(memory, CRC_AT, crc)
    return size


def _tail(message: Observation | Action, names: tuple[str, ...]) -> bytes:
    found = {name: getattr(message, name) for name in names}
    if found.get("reset"):
        found["reset"] = reset_to_content(found["reset"])
    tail = jsontext.dumps({n: v for n, v in found.items() if v or isinstance(v, dict)})
    if len(tail) > MAX_TAIL:
        raise LocalProtocolError(
            f"{type(message).__name__} has {len(tail)} bytes beside its arrays; at most {MAX_TAIL}",
            code="too_large",
        )
    return tail


def _optional(
    content: dict[str, Any], names: tuple[str, ...], message: Observation | Action
) -> dict[str, Any]:
    for name, value in content.items():
        if name not in names:
            raise RemoteProtocolError(f"{type(message).__name__}: unknown key {name[:64]!r}")
        check_value(type(message), name, value)
    if content.get("reset"):
        content["reset"] = reset_from_content(content["reset"])
    return content
