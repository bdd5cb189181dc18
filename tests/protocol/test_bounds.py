"""What a peer announces costs nothing until it comes, and what it sends costs no more than it."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import pytest

from isthmus import ActionField, Contract, Field
from isthmus.errors import ContractError, LocalProtocolError, RemoteProtocolError
from isthmus.protocol import BinaryCodec, JsonCodec, bounds, jsontext
from isthmus.protocol.binaryframer import BinaryFramer
from isthmus.protocol.header import HEADER_SIZE, MAGIC
from isthmus.protocol.layout import action_layout, observation_layout
from isthmus.protocol.messages import Bye, Hello, Result, Telemetry

from .peers import CONTRACT, Room, bound, frames


def header(body: int, tail: int, *, wire: int = bounds.WIRE_VERSION, kind: int = 4) -> bytes:
    head = struct.pack("<4sBBHII", MAGIC, wire, kind, 0, body, tail)
    return head + bytes(HEADER_SIZE - len(head))


def cost(act: Callable[[], object]) -> int:
    """Bytes at the peak of `act`."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "tail"),
    [
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0),
        (0, 0xFFFFFFFF),
        (bounds.MAX_BODY + 1, 0),
        (0, bounds.MAX_TAIL + 1),
        (1, 0),
    ],
)
@pytest.mark.parametrize("ready", [False, True])
def test_a_length_over_the_bound_costs_nothing(body: int, tail: int, ready: bool) -> None:
    framer = bound("binary").framer if ready else BinaryFramer()
    if ready and body == 1:
        body = observation_layout(CONTRACT, 1).size + 1

    def receive() -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            list(frames(framer, header(body, tail)))
        assert caught.value.code == "too_large"

    receive()  # what pytest needs itself is there from now on
    framer = bound("binary").framer if ready else BinaryFramer()
    assert cost(receive) <= 64 * 1024


def test_a_length_within_the_bound_costs_what_came() -> None:
    framer = BinaryFramer()
    data = header(0, bounds.MAX_HANDSHAKE) + bytes(3000)
    assert cost(lambda: list(frames(framer, data))) <= 64 * 1024
    assert framer.memory.nbytes <= 2 * len(data) + 4096


def test_a_flood_without_a_newline_costs_the_bound() -> None:
    codec = JsonCodec()

    def flood() -> None:
        with pytest.raises(RemoteProtocolError, match="longer than"):
            for _ in range(3):
                list(frames(codec.framer, b"[" * bounds.MAX_HANDSHAKE))

    assert cost(flood) <= 4 * bounds.MAX_HANDSHAKE


@pytest.mark.parametrize("wire", [0, bounds.WIRE_VERSION + 1, 255])
def test_another_wire_version_is_refused(wire: int) -> None:
    with pytest.raises(RemoteProtocolError, match="wire version") as caught:
        list(frames(BinaryFramer(), header(0, 0, wire=wire)))
    assert caught.value.code == "wire_version"


def test_another_magic_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="ISTM") as caught:
        list(frames(BinaryFramer(), b"GET / HTTP/1.1\r\n" * 8))
    assert caught.value.code == "bad_json"


def test_a_contract_that_needs_too_much_is_refused() -> None:
    big = Contract(
        name="big",
        observation=(Field("image", (1024, 1024, 64), "float32"),),
        action=(ActionField("a", (1024, 1024), "float32", semantics="opaque", fallback="zero"),),
        control_dt_ns=1,
    )
    with pytest.raises(ContractError, match="at most"):
        observation_layout(big, 8)
    with pytest.raises(ContractError, match="at most"):
        action_layout(big, 1 << 20)


@pytest.mark.parametrize("codec", [BinaryCodec(), bound("binary"), JsonCodec(), bound("json")])
def test_what_is_too_large_is_not_sent(codec: BinaryCodec | JsonCodec) -> None:
    with pytest.raises(LocalProtocolError, match="at most") as caught:
        codec.encode(Telemetry({"x": "y" * (2 << 20)}), Room().reserve)
    assert caught.value.code == "too_large"


def test_text_has_a_bound() -> None:
    sender = BinaryCodec()
    for message in (
        Hello(1, "0", session="s" * 257),
        Bye("r" * 70_000),
        Result(error="e" * 70_000),
    ):
        receiver, room = BinaryCodec(), Room()
        data = room.taken(sender.encode(message, room.reserve))
        with pytest.raises(RemoteProtocolError, match="characters") as caught:
            [receiver.decode(frame) for frame in frames(receiver.framer, data)]
        assert caught.value.code == "too_large"


def test_many_keys_with_a_duplicate_are_read_once() -> None:
    """Counting each key in a list of all would take hours here."""
    keys = ",".join(f'"{number}":0' for number in range(1 << 19))
    with pytest.raises(RemoteProtocolError, match="duplicate key '524287'"):
        jsontext.loads(f'{{{keys},"524287":0}}'.encode())


def test_codes_are_words_for_people_and_machines() -> None:
    for code, meaning in bounds.ERROR_CODES.items():
        assert code.replace("_", "").isalpha()
        assert code.islower()
        assert len(meaning) > 10
