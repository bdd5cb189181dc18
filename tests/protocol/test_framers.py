"""Frames out of a stream, however it is sliced."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import RemoteProtocolError
from isthmus.protocol.binaryframer import BinaryFramer
from isthmus.protocol.framer import LineFramer
from isthmus.protocol.header import HEADER_SIZE
from isthmus.protocol.messages import Bye, Message, Observation, Ping, Telemetry

from .peers import CODECS, CONTRACT, bound, decoded, encoded, frames, look, plain

both = pytest.mark.parametrize("kind", list(CODECS))
MESSAGES: list[Message] = [
    Ping(1, 0, "a"),
    Bye("x" * 9000),
    Telemetry({"x": [1.5] * 3000}),
    Ping(2, 0, ""),
]


@both
@pytest.mark.parametrize("slices", [1, 7, 128, 4096, 1 << 30])
def test_several_frames_in_slices(kind: str, slices: int) -> None:
    sender, receiver = CODECS[kind](), CODECS[kind]()
    data = b"".join(encoded(sender, message) for message in MESSAGES)
    found = [receiver.decode(f) for f in frames(receiver.framer, data, slices=slices)]
    assert found == MESSAGES
    assert not receiver.framer.pending()


@both
@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(1, 2000), min_size=1, max_size=30))
def test_several_frames_in_any_slices(kind: str, cuts: list[int]) -> None:
    sender, receiver = CODECS[kind](), CODECS[kind]()
    rest = b"".join(encoded(sender, message) for message in MESSAGES)
    found = []
    while rest:
        cut = cuts[len(found) % len(cuts)]
        found += [receiver.decode(f) for f in frames(receiver.framer, rest[:cut])]
        rest = rest[cut:]
    assert found == MESSAGES


@both
def test_bytes_behind_a_frame_are_pending(kind: str) -> None:
    sender, receiver = CODECS[kind](), CODECS[kind]()
    first, second = encoded(sender, Ping(1)), encoded(sender, Ping(2))
    space = receiver.framer.space()
    both_frames = first + second[:-1]
    space[: len(both_frames)] = both_frames
    receiver.framer.received(len(both_frames))
    frame = receiver.framer.next_frame()
    assert frame is not None
    assert receiver.decode(frame) == Ping(1)
    assert receiver.framer.pending()
    assert receiver.framer.next_frame() is None
    assert [receiver.decode(f) for f in frames(receiver.framer, second[-1:])] == [Ping(2)]


def test_arrays_are_those_of_the_frame_after_memory_grew() -> None:
    link, gateway = bound("binary", asks=True), bound("binary")
    before = gateway.framer.memory
    for number, text in enumerate(["", "x" * 100_000, ""]):
        question = look(number)._replace(infos={"text": text} if text else None)
        seen = decoded(gateway, encoded(link, question))
        assert plain(seen.arrays) == plain(question.arrays)  # type: ignore[union-attr]
    assert gateway.framer.memory is not before, "it grew for the long one"


def test_a_frame_from_shared_memory_is_private() -> None:
    codec = bound("binary")
    shared = memoryview(bytearray(encoded(bound("binary", asks=True), look(3))))
    message = codec.decode(codec.framer.place(shared))
    shared[HEADER_SIZE:] = b"\xff" * (shared.nbytes - HEADER_SIZE)
    assert plain(message.arrays) == plain(look(3).arrays)  # type: ignore[union-attr]


def test_what_shared_memory_may_not_say() -> None:
    frame = encoded(bound("binary", asks=True), look())
    codec = bound("binary")
    framer = codec.framer
    assert isinstance(framer, BinaryFramer)
    for size in (0, HEADER_SIZE - 1):
        with pytest.raises(RemoteProtocolError, match="announced"):
            framer.place(memoryview(frame)[:size])
    for wrong in (frame[:-1], frame + b"\0"):
        with pytest.raises(RemoteProtocolError, match="announce"):
            codec.decode(framer.place(memoryview(wrong)))
    with pytest.raises(RemoteProtocolError, match="announced"):
        framer.place(memoryview(bytes(4 << 20)))
    framer.space()[:1] = b"I"
    framer.received(1)
    with pytest.raises(RemoteProtocolError, match="met one in shared memory"):
        framer.place(memoryview(frame))


def test_lines_never_come_from_shared_memory() -> None:
    with pytest.raises(RemoteProtocolError, match="shared memory"):
        LineFramer(100).place(memoryview(b"{}"))
    with pytest.raises(RemoteProtocolError, match="shared memory"):
        LineFramer(100).beside()


@pytest.mark.parametrize("slices", [1, 5, 1 << 20])
def test_empty_lines_are_passed_over(slices: int) -> None:
    framer = LineFramer(1000)
    found = [bytes(f) for f in frames(framer, b"\n \r\n{}\r\n\n\t\n{1}\n\n", slices=slices)]
    assert found == [b"{}\r", b"{1}"]
    assert not framer.pending()


@pytest.mark.parametrize("limit", [4096, 5000, 10_000])
def test_a_line_has_an_end(limit: int) -> None:
    framer = LineFramer(limit)
    longest = b"x" * (limit - 1) + b"\n"
    assert [f.nbytes for f in frames(framer, longest + longest)] == [limit - 1, limit - 1]
    with pytest.raises(RemoteProtocolError, match="longer than") as caught:
        list(frames(framer, b"x" * limit, slices=100))
    assert caught.value.code == "too_large"


def test_a_line_is_as_long_as_the_contract_needs() -> None:
    codec = bound("json")
    assert isinstance(codec.framer, LineFramer)
    assert 1 << 16 <= codec.framer.limit < (1 << 16) + 64 * 100
    assert CONTRACT.observation


@pytest.mark.parametrize("slices", [1000, 4096, 1 << 30])
def test_a_step_behind_small_frames_lies_where_its_arrays_are(slices: int) -> None:
    link, gateway = bound("binary", asks=True), bound("binary")
    sent: list[Message] = []
    for number in range(60):
        sent += [Ping(number), look(number)._replace(seq=number)]
    data = b"".join(encoded(link, message) for message in sent)
    count = 0
    for frame in frames(gateway.framer, data, slices=slices):
        came, expected = gateway.decode(frame), sent[count]
        assert came.seq == expected.seq
        if isinstance(expected, Observation):
            assert plain(came.arrays) == plain(expected.arrays)  # type: ignore[union-attr]
        count += 1
    assert count == len(sent)
