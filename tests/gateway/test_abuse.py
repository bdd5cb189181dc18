"""What strangers do to a gateway, and that the good session beside them never notices."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import pytest

from isthmus.gateway import Settings
from isthmus.protocol.header import HEADER_SIZE, MAGIC
from isthmus.protocol.messages import (
    Attach,
    Bye,
    ErrorAnswer,
    Observation,
    Ping,
    Ready,
    Result,
    Telemetry,
    Welcome,
)

from ..support.contracts import pair
from ..support.gateways import Served, serving
from ..support.peers import BinaryPeer, RawPeer, hello
from ..support.policies import half, policy
from ..support.waiting import until
from .good import Good

GARBAGE = [b"\0" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"[1,2]\n", b"\xff"]


@pytest.mark.parametrize("data", GARBAGE)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_garbage_first_byte(served: Served, good: Good, data: bytes, scheme: str) -> None:
    with RawPeer(getattr(served, scheme)) as peer:
        peer.send(data)
        answer = peer.hear()
        assert (answer["type"], answer["error"]) == ("error", "bad_json")
        assert answer["corr_id"]
        assert peer.closed()
    good.asks()
    assert served.engine.counters.by_code == {"bad_json": 1}


def question(peer: BinaryPeer, seq: int = 1) -> bytearray:
    return bytearray(peer.frame(Observation({"q": np.ones((1, 2), np.float32)}, seq)))


def _huge_body(peer: BinaryPeer) -> bytes:
    frame = question(peer)
    struct.pack_into("<I", frame, 8, 1 << 30)
    return bytes(frame)


def _wrong_interface(peer: BinaryPeer) -> bytes:
    other = BinaryPeer.__new__(BinaryPeer)
    other.codec = type(peer.codec)(body_crc=peer.codec.body_crc)
    other.codec.bind(pair(control_dt_ns=40_000_000), 1, asks=True)
    return bytes(question(other))


def _flipped(at: int) -> Callable[[BinaryPeer], bytes]:
    def spoil(peer: BinaryPeer) -> bytes:
        frame = question(peer)
        frame[at] ^= 0x40
        return bytes(frame)

    return spoil


BAD_FRAMES: dict[str, Callable[[BinaryPeer], bytes]] = {
    "another magic": lambda peer: b"XXXX" + bytes(question(peer)[4:]),
    "a huge body": _huge_body,
    "json in the middle": lambda peer: b'{"type":"ping"}\n' + b" " * 400,
    "another wire version": _flipped(4),
    "another kind": _flipped(6),
    "another seq": _flipped(17),
    "another interface": _wrong_interface,
    "a ready": lambda peer: peer.frame(Ready(1)),
    "a result": lambda peer: peer.frame(Result(1, seq=1)),
    "an attach on its own connection": lambda peer: peer.frame(Attach("x", "y")),
    "a second hello": lambda peer: peer.frame(hello()),
    "an answer": lambda peer: peer.frame(ErrorAnswer("internal", "you are wrong", seq=1)),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_bad_frame_ends_its_session_only(
    served: Served, good: Good, name: str, scheme: str
) -> None:
    with BinaryPeer(getattr(served, scheme)) as peer:
        assert isinstance(peer.greet(pair()), Welcome)
        peer.send(BAD_FRAMES[name](peer))
        answer = peer.answer()
        assert isinstance(answer, ErrorAnswer)
        assert answer.message
        assert peer.closed()
    good.asks()
    assert sum(served.engine.counters.by_code.values()) == 1


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_truncated_at_every_byte(served: Served, good: Good, scheme: str) -> None:
    with BinaryPeer(getattr(served, scheme)) as peer:
        peer.greet(pair())
        whole = bytes(question(peer))
    for length in range(0, len(whole), 7):
        with BinaryPeer(getattr(served, scheme)) as peer:
            peer.greet(pair())
            peer.send(whole[:length])
    good.asks()
    until(lambda: len(served.engine.sessions) == 1)
    assert served.engine.counters.errors == 0


def test_a_handshake_that_is_too_large(served: Served, good: Good) -> None:
    with BinaryPeer(served.unix) as peer:
        frame = bytearray(peer.frame(hello()))
        struct.pack_into("<I", frame, 12, (1 << 32) - 1)  # the tail's length
        peer.send(bytes(frame))
        answer = peer.answer()
        assert isinstance(answer, ErrorAnswer)
        assert answer.code == "too_large"
        assert peer.closed()
    with RawPeer(served.unix) as line:
        try:
            line.send(b'{"' + b"x" * (1 << 21))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was closed while we spoke
        assert line.closed()
    good.asks()
    assert served.engine.counters.by_code == {"too_large": 2}


def test_an_observation_that_is_not_finite(served: Served, good: Good) -> None:
    with BinaryPeer(served.unix) as peer:
        peer.greet(pair())
        for seq, value in enumerate((np.nan, np.inf, -np.inf), 1):
            answer = peer.step(seq, value, 0.0)
            assert isinstance(answer, ErrorAnswer)
            assert answer.code == "not_finite"
        assert peer.step(4, 1.0, 1.0).arrays["speed"].tolist() == [[0.5, 0.5]]
    good.asks()
    assert served.engine.counters.by_code == {"not_finite": 3}


def test_old_questions_are_dropped_and_counted(served: Served, good: Good) -> None:
    with BinaryPeer(served.unix) as peer:
        peer.greet(pair(), epoch=5)
        assert peer.step(7, 1.0, 1.0, epoch=5).seq == 7
        for seq, epoch in ((7, 5), (6, 5), (8, 4), (8, 6)):
            arrays = {"q": np.ones((1, 2), np.float32)}
            peer.tell(Observation(arrays, seq, epoch))
        assert peer.step(8, 2.0, 2.0, epoch=5).seq == 8
        assert served.engine.counters.stale == 4  # now, and not only once the session has ended
        peer.tell(Bye("enough"))
        assert peer.closed()
    good.asks()
    assert served.engine.counters.stale == 4


def test_silence_and_half_a_handshake_are_closed_in_time() -> None:
    settings = Settings(silence_timeout_ns=50_000_000, greeting_timeout_ns=50_000_000)
    with serving(policy(half, pair()), settings=settings) as served, served.connect() as link:
        for first in (b"", b"{", b'{"type":', MAGIC[:1], MAGIC, MAGIC + b"\1" * 9):
            with RawPeer(served.unix) as peer:
                peer.send(first)
                assert peer.closed()
        assert link.act(q=[1, 1]).status == "policy"
        until(lambda: served.engine.counters.refused == 6)


def test_who_says_nothing_is_told_nothing() -> None:
    with serving(policy(half, pair()), settings=Settings(silence_timeout_ns=1)) as served:
        with RawPeer(served.unix) as peer:
            assert peer._file.read() == b""
        until(lambda: served.engine.counters.by_code == {"schema_violation": 1})


def test_a_thousand_half_open_connections(served: Served, good: Good) -> None:
    with ExitStack() as open_ones:
        for index in range(1000):
            peer = open_ones.enter_context(RawPeer(served.unix))
            if index % 3 == 1:
                peer.send(b'{"type"')
            elif index % 3 == 2:
                peer.send(MAGIC)
            if index % 50 == 0:
                good.asks(1)
        good.asks(20)
        with served.connect() as newcomer:
            assert newcomer.act(q=[1, 1]).status == "policy"
        assert len(served.engine.sessions) <= 256 + 8
        assert served.engine.counters.refused >= 700
    until(lambda: len(served.engine.sessions) <= 1)


def test_a_client_that_never_reads(served: Served, good: Good) -> None:
    # It floods questions and never takes an answer: nothing more is read from it, nothing is
    # kept for it beyond its socket's buffer, and the good session has its answers.
    with RawPeer(served.unix) as peer:
        peer.socket.setblocking(False)
        flood = b'{"type":"ping"}\n' * 4096
        sent = 0
        for _ in range(50_000):
            try:
                sent += peer.socket.send(flood)
            except BlockingIOError:
                if any(session.sending for session in served.engine.sessions):
                    break
        good.asks(20)
        stuck = [session for session in served.engine.sessions if session.sending]
        assert len(stuck) == 1
        kept = stuck[0].transport._kept  # type: ignore[attr-defined]
        assert kept is not None
        assert kept.nbytes < 4096
        assert sent < 64 << 20
    until(lambda: len(served.engine.sessions) == 1)


@pytest.mark.parametrize("kind", ["ping", "telemetry", "stale"])
def test_a_flood_of_small_messages_keeps_nobody_waiting(
    served: Served, good: Good, kind: str
) -> None:
    import threading

    stop = threading.Event()
    with BinaryPeer(served.unix) as peer:
        peer.greet(pair(), epoch=1)
        if kind == "ping":
            flood = b"".join(peer.frame(Ping(seq, 1)) for seq in range(1, 257))
        elif kind == "telemetry":
            flood = peer.frame(Telemetry({"x": 1})) * 256
        else:
            flood = bytes(question(peer)) * 256  # of epoch 0

        def speak() -> None:
            try:
                while not stop.is_set():
                    peer.socket.sendall(flood)
            except OSError:
                pass  # closed at the end

        def listen() -> None:
            try:
                while peer.socket.recv(1 << 16):
                    pass
            except OSError:
                pass  # closed at the end

        threads = [threading.Thread(target=speak), threading.Thread(target=listen)]
        for thread in threads:
            thread.start()
        try:
            good.asks(30)
        finally:
            stop.set()
            peer.socket.shutdown(2)
            for thread in threads:
                thread.join(30)
    good.asks()


@pytest.mark.parametrize("stage", range(5))
def test_connections_that_are_reset(served: Served, good: Good, stage: int) -> None:
    for _ in range(40):
        peer = BinaryPeer(served.tcp)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if stage == 1:
            peer.send(MAGIC)
        elif stage == 2:
            peer.tell(hello())
        elif stage >= 3:
            peer.greet(pair())
            peer.send(bytes(question(peer)))
            if stage == 4:
                peer.answer()
        peer.__exit__(None, None, None)
    good.asks()
    until(lambda: len(served.engine.sessions) == 1)


def test_a_slow_writer_holds_nobody_up(served: Served, good: Good) -> None:
    with BinaryPeer(served.unix) as peer:
        peer.greet(pair())
        whole = bytes(question(peer))
        for at in range(0, len(whole), 16):
            peer.send(whole[at : at + 16])
            good.asks(1)
        assert peer.answer().arrays["speed"].tolist() == [[0.5, 0.5]]
        assert len(whole) > HEADER_SIZE
