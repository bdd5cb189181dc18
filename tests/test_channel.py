"""Opening a conversation: the handshake, and the move to shared memory or the reason why not."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from isthmus.channel import Channel, Dial, complete, open_channel
from isthmus.contract import Contract
from isthmus.errors import (
    ConnectError,
    ConnectionLostError,
    Error,
    LocalProtocolError,
    RefusedError,
    UpgradeError,
)
from isthmus.gateway import moving as moving_module
from isthmus.gateway import register as register_module
from isthmus.policy.constant import ConstantPolicy
from isthmus.protocol import State
from isthmus.protocol.messages import (
    Action,
    Attach,
    Hello,
    Observation,
    Ping,
    Pong,
    Telemetry,
    Welcome,
)
from isthmus.transport import parse
from isthmus.transport.segment import Segment
from isthmus.transport.shm import ShmTransport
from isthmus.transport.sockets import begin_connect, listen, resolve
from isthmus.transport.stream import StreamTransport
from tests.support.contracts import pair
from tests.support.gateways import Served, serving
from tests.transport.ends import nothing_left

HELLO = Hello(1, "0")


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(ConstantPolicy(pair(), 0.25)) as gateway:
        yield gateway


def opened(
    url: str, hello: Hello = HELLO, *, codec: str = "binary", upgrade: bool = True
) -> Channel:
    address = parse(url)
    dial = Dial(
        address, *resolve(address), codec, upgrade, lambda w: Contract.from_dict(w.contract)
    )
    return complete(open_channel(dial, hello), 20.0, url)


def step(channel: Channel) -> Action:
    number = channel.protocol.seq + 1
    observation = Observation({"q": np.zeros((1, 2), np.float32)}, number, channel.protocol.epoch)
    assert channel.post(observation, None)
    answer = channel.receive(None)
    assert isinstance(answer, Action)
    return answer


@pytest.mark.parametrize("way", ["unix", "tcp", "shm"])
def test_it_moves_to_shared_memory(served: Served, way: str) -> None:
    url = served.tcp if way == "tcp" else served.unix.replace("unix", way, 1)
    with nothing_left():
        channel = opened(url)
        assert (channel.transport.name, channel.note) == ("shm", "")
        for _ in range(3):
            assert step(channel).arrays["speed"][0, 0] == 0.25
        assert isinstance(channel.ask(Ping(), None), Pong)
        channel.close()
        _settled(served)


@pytest.mark.parametrize("codec", ["binary", "json"])
@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_it_stays_if_it_is_told_to(served: Served, way: str, codec: str) -> None:
    channel = opened(getattr(served, way), codec=codec, upgrade=False)
    assert (channel.transport.name, channel.note) == (way, "not asked for")
    assert step(channel).arrays["speed"][0, 0] == 0.25
    channel.close()


WAYS = {"shm": {}, "unix": {"upgrade": False}, "json": {"codec": "json", "upgrade": False}}


@pytest.mark.parametrize("way", WAYS)
def test_telemetry_follows_an_open_question_and_changes_nothing(served: Served, way: str) -> None:
    channel = opened(served.tcp if way == "json" else served.unix, **WAYS[way])
    for number in range(1, 50):
        observation = Observation({"q": np.zeros((1, 2), np.float32)}, number)
        assert channel.post(observation, None)
        assert channel.tell_aside(Telemetry({"filler": "x" * 97 * number}))
        answer = channel.receive(None)
        assert isinstance(answer, Action)
        assert (answer.seq, answer.arrays["speed"][0, 0]) == (number, 0.25)
    assert channel.protocol.stale == 0
    assert isinstance(channel.ask(Ping(), None), Pong)
    channel.close()
    _settled(served)
    assert served.engine.counters.errors == 0


def test_telemetry_stays_back_while_something_is_on_its_way(served: Served) -> None:
    channel = opened(served.unix, upgrade=False)
    stuck = channel.transport
    assert isinstance(stuck, StreamTransport)
    free, stuck.flush = stuck.flush, lambda: False  # type: ignore[method-assign]
    assert not channel.tell_aside(Telemetry({"steps": 1}))
    stuck.flush = free  # type: ignore[method-assign]
    assert step(channel).arrays["speed"][0, 0] == 0.25
    channel.close()


def _no_nonce(attach: Attach) -> Attach:
    return attach._replace(nonce="0" * 32)


def _not_his(attach: Attach) -> Attach:
    return attach._replace(session="somebody")


@pytest.mark.parametrize("change", [_no_nonce, _not_his])
@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_a_wrong_nonce_is_refused_and_the_conversation_goes_on(
    served: Served,
    way: str,
    change: Callable[[Attach], Attach],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = register_module.Register.attach
    monkeypatch.setattr(
        register_module.Register, "attach", lambda self, a, p: real(self, change(a), p)
    )
    with nothing_left():
        channel = opened(getattr(served, way))
        assert channel.transport.name == way
        assert "unknown or was used before" in channel.note
        assert channel.protocol.state is State.OPEN
        assert step(channel).arrays["speed"][0, 0] == 0.25
        channel.close()
        _settled(served)


def test_a_nonce_works_once(served: Served) -> None:
    offers: list[Welcome] = []
    address = parse(served.unix)

    def accept(welcome: Welcome) -> Contract:
        offers.append(welcome)
        return Contract.from_dict(welcome.contract)

    dial = Dial(address, *resolve(address), "binary", True, accept)
    first = complete(open_channel(dial, HELLO), 20.0, "first")
    used = offers[0]

    def replay(welcome: Welcome) -> Contract:
        welcome.upgrade["nonce"] = used.upgrade["nonce"]
        return Contract.from_dict(welcome.contract)

    dial = Dial(address, *resolve(address), "binary", True, replay)
    second = complete(open_channel(dial, HELLO), 20.0, "second")
    assert second.transport.name == "unix"
    assert "used before" in second.note
    for channel in (first, second):
        assert step(channel).arrays["speed"][0, 0] == 0.25
        channel.close()


def test_another_host_is_left_alone(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.channel.boot_id", lambda: "another")
    channel = opened(served.tcp)
    assert (channel.transport.name, channel.note) == ("tcp", "the gateway runs on another host")
    assert step(channel).arrays["speed"][0, 0] == 0.25
    channel.close()
    with pytest.raises(UpgradeError, match="another host.*without"):
        opened(served.unix.replace("unix", "shm", 1))


def test_another_user_is_left_alone(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.geteuid()
    monkeypatch.setattr("isthmus.channel.os.geteuid", lambda: real + 1)
    channel = opened(served.tcp)
    assert channel.transport.name == "tcp"
    assert "user" in channel.note
    assert step(channel).arrays["speed"][0, 0] == 0.25
    channel.close()


def test_a_gateway_that_dies_in_the_middle_of_the_move(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(sock: object, data: object, numbers: object) -> None:
        sock.send(b"ISTM")  # type: ignore[attr-defined]
        raise ConnectionLostError("cut")

    monkeypatch.setattr(moving_module, "send_with_descriptors", broken)
    with nothing_left():
        channel = opened(served.unix)
        assert channel.transport.name == "unix"
        assert channel.note
        assert channel.protocol.state is State.OPEN
        assert step(channel).arrays["speed"][0, 0] == 0.25
        channel.close()
        _settled(served)


def test_a_link_that_cannot_follow_comes_back_without(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(descriptors: list[int], *_: int) -> Segment:
        for number in descriptors:
            os.close(number)
        raise UpgradeError("no room to map")

    monkeypatch.setattr(Segment, "attach", cannot)
    with nothing_left():
        channel = opened(served.unix)
        assert (channel.transport.name, channel.note) == ("unix", "no room to map")
        assert step(channel).arrays["speed"][0, 0] == 0.25
        channel.close()
        with pytest.raises(UpgradeError, match="no room to map"):
            opened(served.unix.replace("unix", "shm", 1))
        _settled(served)


def test_a_refusal_says_why_and_leaves_nothing(served: Served) -> None:
    with nothing_left():
        with pytest.raises(RefusedError, match="wire version") as caught:
            opened(served.unix, Hello(99, "0"))
        assert caught.value.code == "wire_version"
        with pytest.raises(RefusedError, match="pacing"):
            opened(served.tcp, HELLO._replace(pacing="slow"))
        _settled(served)


def test_silence_is_no_gateway(tmp_path: object) -> None:
    listener = listen(parse(f"unix:{tmp_path}/silent"))
    address = listener.address
    dial = Dial(address, *resolve(address), "binary", True, lambda w: pair())
    with nothing_left(), pytest.raises(ConnectError, match="not answered the handshake"):
        complete(open_channel(dial, HELLO), 0.02, "silence")
    listener.close()


@pytest.mark.parametrize("steps", range(1, 6))
def test_an_opening_that_is_dropped_leaves_nothing(served: Served, steps: int) -> None:
    address = parse(served.tcp)
    dial = Dial(
        address, *resolve(address), "binary", True, lambda w: Contract.from_dict(w.contract)
    )
    with nothing_left():
        opening = open_channel(dial, HELLO)
        try:
            for _ in range(steps):
                wait = next(opening)
                assert wait.ready(10.0)
        except StopIteration as stop:
            stop.value.abandon()
        opening.close()
        _settled(served)


def test_a_dead_socket_path(tmp_path: object) -> None:
    with nothing_left(), pytest.raises(ConnectError):
        begin_connect(*resolve(parse(f"unix:{tmp_path}/nobody")))


def test_a_late_answer_is_taken_off_the_wire(served: Served) -> None:
    channel = opened(served.unix)
    observation = Observation({"q": np.zeros((1, 2), np.float32)}, 1)
    assert channel.post(observation, None)
    while not channel.drain():
        pass
    assert channel.protocol.stale == 1
    assert step(channel).seq == 2
    channel.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        step(channel)


def _settled(served: Served) -> None:
    """Wait until the gateway, which is in this process too, has let go of its sessions."""
    while served.engine.sessions:
        os.sched_yield()


@pytest.mark.parametrize("lacking", ["ordered stores", "memfd_create", "any memfd", "pidfd_open"])
def test_what_a_machine_lacks_is_done_without(
    served: Served, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacking == "ordered stores":
        monkeypatch.setitem(ShmTransport.__init__.__kwdefaults__, "ordered_stores", False)
    elif lacking == "pidfd_open":
        monkeypatch.delattr(os, "pidfd_open")
    else:
        monkeypatch.delattr(os, "memfd_create")
    if lacking == "any memfd":
        monkeypatch.setattr("isthmus.transport.segment._MEMFD_SYSCALL", {})
    with nothing_left():
        channel = opened(served.unix.replace("unix", "shm", 1))
        for _ in range(20):
            assert step(channel).arrays["speed"][0, 0] == 0.25
        assert isinstance(channel.ask(Ping(), None), Pong)
        channel.close()
        _settled(served)


@pytest.mark.parametrize("spare", range(6))
def test_without_descriptors_left_it_fails_by_name_or_goes_without(
    served: Served, spare: int
) -> None:
    """The gateway is in this process too, so either side may be the one that runs out."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with nothing_left():
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + spare, limits[1]))
        try:
            address = parse(served.unix)
            dial = Dial(address, *resolve(address), "binary", True, lambda w: pair())
            complete(open_channel(dial, HELLO), 0.05, "a gateway").abandon()
        except Error:
            pass
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        _settled(served)
    channel = opened(served.unix)
    assert step(channel).arrays["speed"][0, 0] == 0.25
    channel.close()
