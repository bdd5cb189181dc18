"""The link as an object: closing, forking, `memory:`, wrong arguments."""

from __future__ import annotations

import os
import resource
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.contract.text import dumps
from isthmus.errors import (
    AddressError,
    ConnectError,
    ConnectionLostError,
    ContractError,
    Error,
    InterfaceMismatchError,
    LocalProtocolError,
    PolicyLoadError,
    RefusedError,
    RemoteProtocolError,
    UpgradeError,
)

from ..support.contracts import DELTA, POSITION, mirror, pair
from ..support.gateways import Served
from ..support.peers import FakeGateway
from ..support.waiting import until


def test_closing_twice_and_using_it_after(served: Served) -> None:
    link = served.connect()
    link.close()
    link.close()
    with pytest.raises(LocalProtocolError, match="the link is closed"):
        link.act(q=[1, 1])
    assert link.stats()["steps"] == 0
    until(lambda: not served.engine.sessions)


def test_an_exception_closes_it(served: Served) -> None:
    with pytest.raises(ZeroDivisionError):
        with served.connect() as link:
            raise ZeroDivisionError
    with pytest.raises(LocalProtocolError):
        link.act(q=[1, 1])


@pytest.mark.parametrize("upgrade", [True, False])
def test_a_forked_child_leaves_the_conversation_alone(served: Served, upgrade: bool) -> None:
    with served.connect(upgrade=upgrade) as link:
        assert link.act(q=[1, 1]).status == "policy"
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # only write and _exit here: pytest belongs to the parent
            try:
                link.act(q=[9, 9])
                said = "it acted"
            except LocalProtocolError as exc:
                said = str(exc)
            except BaseException as exc:
                said = repr(exc)
            try:
                link.close()
            finally:
                os.write(writer, said.encode())
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read().decode()
        os.waitpid(child, 0)
        assert "belongs to the parent" in said
        for _ in range(3):
            assert link.act(q=[1, 1])["speed"].tolist() == [0.5, 0.5]
        assert link.stats()["reconnects"] == 0


@pytest.mark.parametrize("upgrade", [True, False])
def test_in_a_program_with_many_open_files(served: Served, upgrade: bool) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1400:
        pytest.skip("this system allows too few open files")
    with open(os.devnull) as nothing:
        many = [os.dup(nothing.fileno()) for _ in range(1100)]  # beyond what select() can name
    try:
        with served.connect(upgrade=upgrade) as link:
            assert link.act(q=[1, 1]).status == "policy"
            link._lose(ConnectionLostError("cut by a test"))
            until(lambda: link.act(q=[1, 1]).status == "policy")
            assert link.stats()["reconnects"] == 1
    finally:
        for descriptor in many:
            os.close(descriptor)


ARGUMENTS: dict[str, tuple[dict[str, Any], type[Error], str]] = {
    "pacing": ({"pacing": "fast"}, ContractError, "realtime, lockstep"),
    "codec": ({"codec": "xml"}, ContractError, "binary, json"),
    "num_envs 0": ({"num_envs": 0}, ContractError, "at least 1"),
    "num_envs True": ({"num_envs": True}, ContractError, "at least 1"),
    "num_envs 1.5": ({"num_envs": 1.5}, ContractError, "whole number"),
    "deadline": ({"deadline": 0}, ContractError, "expected seconds from"),
    "deadline NaN": ({"deadline": float("nan")}, ContractError, "expected seconds from"),
    "rearm": ({"rearm": "never"}, ContractError, "manual"),
    "joints": ({"joints": ["x", "b"]}, InterfaceMismatchError, "'a'"),
    "no contract": ({"contract": "/nonexistent.json"}, ContractError, "cannot be read"),
    "another contract": ({"contract": mirror()}, InterfaceMismatchError, "interface"),
    "policy": ({"policy": "nobody"}, RefusedError, "nobody"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_that_cannot_be(served: Served, name: str) -> None:
    options, kind, words = ARGUMENTS[name]
    with pytest.raises(kind, match=words):
        served.connect(**options)
    until(lambda: not served.engine.sessions)


@pytest.mark.parametrize(("pacing", "deadline", "said"), [
    ("realtime", 32, True), ("realtime", 0.021, True), ("realtime", 0.02, False),
    ("realtime", None, False), ("lockstep", 32, False),
])  # fmt: skip
def test_a_deadline_beyond_the_period_is_warned_of(
    served: Served, caplog: pytest.LogCaptureFixture, pacing: str, deadline: float, said: bool
) -> None:
    with served.connect(pacing=pacing, deadline=deadline) as link:
        assert link.contract.control_dt_ns == 20_000_000
    warned = [record.getMessage() for record in caplog.records if "deadline" in record.msg]
    assert len(warned) == said
    for text in warned:
        assert f"deadline {deadline:g} s is longer than the contract's control_dt, 0.02 s" in text
        assert "in seconds" in text


def test_the_links_own_hold_on_its_contract(address: str) -> None:
    with FakeGateway(address, pair(POSITION), lambda _: []):
        with pytest.raises(InterfaceMismatchError, match="this side"):
            isthmus.connect(address, contract=pair(DELTA))


def test_numbers_of_numpy_are_numbers(served: Served) -> None:
    with served.connect(num_envs=np.int64(3)) as link:
        assert link.act(q=np.ones((3, 2)), sim_time=np.float32(0.5))["speed"].shape == (3, 2)


def test_a_contract_from_a_file(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "pair.json"
    path.write_text(dumps(pair()))
    with served.connect(contract=path) as link:
        assert link.act(q=[1, 1]).status == "policy"


@pytest.mark.parametrize("url", ["shm", "unix:", "http://x", "tcp://host", "tcp://h:99999", ""])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(AddressError):
        isthmus.connect(url)


def test_somebody_else_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind("s")
        silent.listen(8)
        with pytest.raises(ConnectError) as caught:
            isthmus.connect("unix:s", timeout=0.1)
    said = str(caught.value)
    assert said.startswith("something listens at unix:s and has not answered the handshake within ")
    assert f"(it is process {os.getpid()})" in said
    assert "isthmus serve" not in said, "the address is taken: no gateway can be started there"


def test_a_port_that_somebody_else_holds(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        url = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConnectError, match="`ss -ltnp` shows which"):
            isthmus.connect(url, timeout=1.5)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("isthmus.link", "WARNING")
    assert record.getMessage() == (
        f"isthmus {url}: waiting for a gateway: something listens there and has not answered the "
        "handshake yet"
    )


def test_nobody_listens_and_it_says_once_that_it_waits(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConnectError, match=f"Start one with: .* --listen {address}"):
        isthmus.connect(address, timeout=4.0)
    (record,) = caplog.records
    assert "waiting for a gateway: No such file" in record.getMessage()


@pytest.mark.parametrize("codec", ["binary", "json"])
def test_what_answers_in_other_words_is_said_to_be_there(address: str, codec: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        listener.listen(8)

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n" + b"x-filler: 0\r\n" * 16 + b"\r\n")
                peer.recv(1)
                while peer.recv(4096):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RemoteProtocolError, match=f"listens at {address} and answered the"):
            isthmus.connect(address, codec=codec)
        thread.join(30)
        assert not thread.is_alive()


def test_it_waits_for_a_gateway_that_is_still_starting(address: str) -> None:
    started: list[FakeGateway] = []

    def start() -> None:
        started.append(FakeGateway(address, pair(), lambda _: [started[0].action(0.5, 0.5)]))

    timer = threading.Timer(0.1, start)
    timer.start()
    with isthmus.connect(address, timeout=30) as link:
        assert link.act(q=[1, 1], deadline=10).status == "policy"
    timer.join()
    started[0].__exit__(None, None, None)


def test_a_gateway_that_hangs_up_during_the_handshake_is_tried_again(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        listener.listen(8)
        hung_up = []

        def hang_up() -> None:
            try:
                while True:
                    peer, _ = listener.accept()
                    peer.close()
                    hung_up.append(True)
            except OSError:
                return  # the test has ended it

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ConnectError, match="hung up on every handshake for 0.3 s"):
            isthmus.connect(address, timeout=0.3)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)
        assert len(hung_up) > 1


def test_shared_memory_or_nothing(address: str) -> None:
    with FakeGateway(address, pair(), lambda _: []):
        with pytest.raises(UpgradeError, match="a fake has no segment"):
            isthmus.connect(address.replace("unix", "shm"))


MODEL = "memory:tests.support.served:"


class TestMemory:
    """The same link with no process boundary."""

    def test_it_is_the_same_link(self) -> None:
        with isthmus.connect(MODEL + "halving", deadline=5) as link:
            assert link.transport == "memory"
            assert link.act(q=[1, 3])["speed"].tolist() == [0.5, 1.5]
            assert link.policy["name"] == "halving"
            link.reset(seed=1)
            action = link.act(q=[1, 3], rand_hash="r")
            assert (action.status, action.rand_hash, action.seq) == ("policy", "r", 2)

    def test_every_dtype(self) -> None:
        with isthmus.connect(MODEL + "mirroring", num_envs=2, deadline=5) as link:
            rng = np.random.default_rng(1)
            sent = {
                field.name: (rng.random((2, 2, 3)) * 2).astype(field.dtype)
                for field in link.contract.observation
            }
            action = link.act(sent)
            for name, array in sent.items():
                assert action["out_" + name[3:]].tobytes() == array.tobytes()

    @pytest.mark.parametrize("deed", [101, 102, 103, 104, 105, 106])
    def test_faults_are_bridged(self, deed: int) -> None:
        with isthmus.connect(MODEL + "scripted", deadline=5) as link:
            assert link.act(q=[1, 1]).status == "policy"
            action = link.act(q=[deed, 1])
            assert action.status == "bridged"
            assert action.cause in ("inference_failed", "not_finite")
            assert link.act(q=[1, 1]).status == "policy"

    def test_a_slow_policy_is_a_miss_afterwards(self) -> None:
        with isthmus.connect(MODEL + "slow", deadline=0.01) as link:
            action = link.act(q=[1, 1])
            assert (action.status, action.cause) == ("disarmed", "deadline")
            assert link.act(q=[1, 1], deadline=5).status == "policy"
            action = link.act(q=[1, 1])
            assert (action.status, action.cause) == ("bridged", "deadline")

    def test_lockstep(self) -> None:
        with isthmus.connect(MODEL + "slow", pacing="lockstep") as link:
            assert link.act(q=[1, 1])["speed"].tolist() == [0.5, 0.5]

    def test_what_cannot_be(self) -> None:
        with pytest.raises(PolicyLoadError):
            isthmus.connect("memory:nowhere:at_all")
        with pytest.raises(RefusedError, match="nobody"):
            isthmus.connect(MODEL + "halving", policy="nobody")
        with pytest.raises(Error):
            isthmus.connect(MODEL + "halving", contract=mirror())
        link = isthmus.connect(MODEL + "halving")
        link.close()
        with pytest.raises(LocalProtocolError):
            link.act(q=[1, 1])
