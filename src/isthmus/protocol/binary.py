"""The binary codec: fixed header, arrays in place, an optional JSON tail.

Arrays are never walked: they are copied whole between the caller's arrays and views that were
built once, when the contract became known. Everything that is not a step (the handshake, Reset,
Call, errors) has an empty body and its content in the tail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..contract import Contract
from ..errors import LocalProtocolError, RemoteProtocolError
from . import jsontext
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
from .layout import Layout, action_layout, observation_layout
from .messages import KINDS, Action, Arrays, Kind, Message, Observation, Outcome

__all__ = ["BinaryCodec", "BinaryFramer"]

Reserve = Callable[[int], memoryview]

_KINDS: dict[int, Kind] = {kind.value: kind for kind in Kind}
_OBSERVATION = Kind.OBSERVATION.value
_ACTION = Kind.ACTION.value
_MISS = Outcome.MISS.value
_OUTCOMES = frozenset(outcome.value for outcome in Outcome)
_OBSERVATION_TAIL = ("rand_hash", "expected_rand_hash", "corr_id", "reset", "infos")
_ACTION_TAIL = ("rand_hash", "expected_rand_hash", "corr_id", "clipped")
_CONTROL_BYTES = 4096


class BinaryFramer:
    """Frames of one connection; one that carries arrays is always at the start of `memory`."""

    def __init__(self) -> None:
        """Begin with room for a small control frame; a handshake may grow it."""
        self.memory = memoryview(bytearray(_CONTROL_BYTES))
        self._body_limit = 0
        self._tail_limit = MAX_HANDSHAKE
        self._end = 0
        self._taken = 0

    def limit(self, body: int) -> None:
        """From now on bodies have at most `body` bytes; room for them is taken at once."""
        self._body_limit = body
        self._tail_limit = MAX_TAIL
        self._grow(HEADER_SIZE + body + _CONTROL_BYTES)

    def _grow(self, size: int) -> None:
        if size > self.memory.nbytes:
            memory = memoryview(bytearray(size))
            memory[: self._end] = self.memory[: self._end]
            self.memory = memory

    def space(self) -> memoryview:
        """Free memory to receive into."""
        if self._taken:
            rest = self._end - self._taken
            if rest:
                self.memory[:rest] = bytes(self.memory[self._taken : self._end])
            self._end, self._taken = rest, 0
        return self.memory[self._end :] if self._end else self.memory

    def received(self, count: int) -> None:
        """`count` bytes were put into `space`."""
        self._end += count

    def next_frame(self) -> memoryview | None:
        """The next whole frame, or None.

        Raises:
            RemoteProtocolError: not a frame, or larger than this connection may send.
        """
        start = self._taken
        if self._end - start < HEADER_SIZE:
            return None
        body, size = self._frame_size(self.memory[start:] if start else self.memory)
        if start and (body or self._end - start < size):  # others stay, or a flood moves each often
            self.space()
            start = 0
        if self._end - start < size:
            if self._end == self.memory.nbytes:  # room follows what came, not what was announced
                self._grow(min(size, 2 * self._end))
            return None
        self._taken = start + size
        return self.memory[start : start + size]

    def pending(self) -> bool:
        """True if bytes behind the last frame are here already."""
        return self._end > self._taken

    def place(self, frame: memoryview) -> memoryview:
        """Copy a whole frame out of shared memory, so that nobody can change it any more."""
        size = frame.nbytes
        if size < HEADER_SIZE or size > HEADER_SIZE + self._body_limit + self._tail_limit:
            raise RemoteProtocolError(f"a frame of {size} bytes was announced", code="too_large")
        if self._end != self._taken:
            raise RemoteProtocolError("a frame on the socket met one in shared memory")
        self._grow(size)
        self._end = self._taken = size
        private = self.memory[:size]
        private[:] = frame
        return private

    def _frame_size(self, memory: memoryview) -> tuple[int, int]:
        _, body, tail = frame_lengths(memory)
        if body > self._body_limit or tail > self._tail_limit:
            raise RemoteProtocolError(
                f"a frame of {body} + {tail} bytes is over this connection's bound of "
                f"{self._body_limit} + {self._tail_limit}",
                code="too_large",
            )
        return body, HEADER_SIZE + body + tail


class _Views:
    """Arrays over one piece of memory, rebuilt only when the memory is another one."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.memory: memoryview | None = None
        self.blocks: list[dict[str, NDArray[Any]]] = []
        self.regions: list[list[NDArray[Any]]] = []
        self.used = 1
        self.booleans = any(s.dtype == np.bool_ for block in layout.blocks for s in block.slots)

    def over(self, memory: memoryview) -> _Views:
        if memory is not self.memory:
            body = memory[HEADER_SIZE : HEADER_SIZE + self.layout.size]
            self.blocks = [block.views(body) for block in self.layout.blocks]
            self.regions = [block.float_regions(body) for block in self.layout.blocks]
            self.memory = memory
        return self

    def finite(self) -> bool:
        """True if every float of the blocks last written or read is finite.

        An alarm may come from large numbers whose sum overflows, or from what lies between two
        arrays: it is confirmed array by array.
        """
        for block, regions in zip(self.blocks[: self.used], self.regions, strict=False):
            if _suspicious(regions) and not all(_finite(array) for array in block.values()):
                return False
        return True

    def check_booleans(self, used: int) -> None:
        """Refuse a byte that is neither 0 nor 1: numpy takes it now for one, now for the other.

        Raises:
            RemoteProtocolError: there is such a byte.
        """
        for block in self.blocks[:used]:
            for name, array in block.items():
                if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
                    raise RemoteProtocolError(f"field {name!r}: a byte of a bool is not 0 or 1")

    def drop(self) -> None:
        self.memory = None
        self.blocks = []
        self.regions = []


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
        self._observation: _Views | None = None
        self._action: _Views | None = None

    def bind(
        self, contract: Contract, num_envs: int, *, training: bool = False, asks: bool
    ) -> None:
        """Fix the layouts. `asks` is True on the side that sends observations."""
        observation = observation_layout(contract, num_envs, training=training)
        action = action_layout(contract, num_envs)
        self._interface = int(contract.interface_hash[:16], 16)
        self._observation, self._action = _Views(observation), _Views(action)
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
        _fill(views.blocks[0], message.arrays)
        if count > 1:
            _fill(views.blocks[1], message.training or {})
        if count > 2:
            _fill(views.blocks[2], message.final or {})
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
            _fill(views.blocks[0], message.arrays)
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
        views: _Views | None,
        flags: int,
        body_len: int,
        interface: int,
        body_crc: int,
    ) -> _Views:
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

    def _bound(self, views: _Views | None) -> _Views:
        if views is None:
            raise LocalProtocolError("no step can be sent before the handshake is done")
        return views


_NAN = float("nan")
_LONGEST = 1e15
"""Seconds of sim_time that are believed."""
_BLOCKS = {0: 1, int(Flag.TRAINING): 2, int(Flag.TRAINING | Flag.FINAL): 3}
"""Flags of an observation, the checksum's apart -> blocks of arrays in its body."""
_SMALL = 128
"""Numbers up to which Python's own sum is faster than a call into numpy."""
_QUIET = partial(np.errstate, all="ignore")


def _count_blocks(flags: int) -> int:
    count = _BLOCKS.get(flags & ~Flag.BODY_CRC)
    if count is None:
        raise RemoteProtocolError(f"unknown flags {flags:#x} of an observation")
    return count


def all_finite(regions: list[NDArray[Any]]) -> bool:
    """True if every number of the flat float arrays is finite."""
    return not _suspicious(regions) or all(_finite(region) for region in regions)


def _suspicious(regions: list[NDArray[Any]]) -> bool:
    """False if every number of the flat float arrays is finite, else probably True.

    A sum, or for large arrays a dot product, finds NaN and infinity in one pass without a
    temporary; large finite numbers overflow it too.
    """
    for region in regions:
        if region.size <= _SMALL:
            total = sum(region.tolist())
        else:
            with _QUIET():
                total = float(region.dot(region))
        if total - total != 0.0:
            return True
    return False


def _finite(array: NDArray[Any]) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _fill(views: Mapping[str, NDArray[Any]], arrays: Arrays) -> None:
    for name, view in views.items():
        view[...] = arrays[name]


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
    return content
