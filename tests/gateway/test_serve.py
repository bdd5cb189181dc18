"""`isthmus serve` as a process: signals, exit statuses, what is left behind, descriptors."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import isthmus
from isthmus.errors import ConnectionLostError

from ..support.gateways import ROOT, Gateway, gateway, halving
from ..support.peers import RawPeer
from ..support.waiting import until


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


def address(folder: Path) -> str:
    return f"unix:{folder}/s"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("twice", [False, True])
def test_a_signal_ends_it_well(folder: Path, number: signal.Signals, twice: bool) -> None:
    with gateway(*halving(address(folder), "tcp://127.0.0.1:0")) as found:
        assert len(found.addresses) == 2
        link = isthmus.connect(found.addresses[1], pacing="lockstep")
        plain = RawPeer(found.addresses[1])
        assert link.act(q=[1, 1]).status == "policy"
        assert plain.ask({"type": "ping"})["type"] == "ack"
        if twice:
            found.send(number)
        assert found.stop(number) == 0
        assert plain.hear()["type"] == "bye"
        with pytest.raises(ConnectionLostError):
            link.act(q=[1, 1])
        link.close()
        plain.__exit__(None, None, None)
    assert list(folder.iterdir()) == []


def test_its_last_line_counts_what_was_done(folder: Path) -> None:
    with gateway(*halving(address(folder))) as found:
        with isthmus.connect(found.addresses[0], pacing="lockstep") as link:
            assert link.act(q=[1, 1]).status == "policy"
        found.send(signal.SIGTERM)
        said, _ = found.process.communicate(timeout=30)
    assert said == "closed: 1 session, 1 action, 0 misses, 0 errors\n"


HANGS = """
import os, signal, sys, time, types
import isthmus.cli.stopping as stopping
from isthmus.policy.callable import CallablePolicy
from tests.support.contracts import pair
from tests.support.policies import half

def infer(observation):
    if observation["q"][0, 0] == {at}:
        for number in ({signals}):
            os.kill(os.getpid(), number)
        while True:
            time.sleep(3600)
    return half(observation)

found = types.ModuleType("hangs")
found.policy = lambda: CallablePolicy(infer, pair(), name="hangs")
sys.modules["hangs"] = found
stopping.GRACE, stopping.ONE_WISH = {grace}, 0.0
"""


@pytest.mark.parametrize(
    ("signals", "grace"), [("signal.SIGTERM,", 0.1), ("signal.SIGTERM, signal.SIGINT", 60)]
)
def test_a_policy_that_hangs_does_not_keep_it(folder: Path, signals: str, grace: float) -> None:
    prelude = HANGS.format(at=107, signals=signals, grace=grace)
    arguments = ("hangs:policy", "--listen", address(folder), "--executor", "inline")
    with gateway(*arguments, prelude=prelude) as found:
        with isthmus.connect(address(folder), pacing="lockstep") as link:
            with pytest.raises(ConnectionLostError):
                link.act(q=[107, 1])
        assert found.process.wait(30) == 1
        assert found.process.stderr is not None
        assert "did not return in time" in found.process.stderr.read()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_while_the_policy_warms_up_leaves_nothing(folder: Path, name: str) -> None:
    prelude = HANGS.format(at=0, signals=f"signal.{name},", grace=60)
    with pytest.raises(AssertionError, match="did not start: $"):
        Gateway("hangs:policy", "--listen", address(folder), prelude=prelude)
    assert list(folder.iterdir()) == []


def test_a_full_disk_under_its_output_leaves_nothing(folder: Path) -> None:
    command = [sys.executable, "-m", "isthmus", "serve", *halving(address(folder))]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr == "isthmus: cannot write to standard output: No space left on device\n"
    assert list(folder.iterdir()) == []


def test_nobody_reads_what_it_prints(folder: Path) -> None:
    with gateway(*halving(address(folder))) as found:
        assert found.process.stdout is not None
        found.process.stdout.close()
        found.send(signal.SIGTERM)
        assert found.process.wait(30) == 0


def test_after_kill_9_the_next_one_takes_the_path_over(folder: Path) -> None:
    with gateway(*halving(address(folder))) as first:
        first.kill()
    assert {path.name for path in folder.iterdir()} <= {"s", ".s.isthmus-lock"}
    with gateway(*halving(address(folder))) as second:
        with isthmus.connect(address(folder)) as link:
            assert link.act(q=[1, 1], deadline=10).status == "policy"
        assert second.stop() == 0
    assert list(folder.iterdir()) == []


def test_a_live_one_keeps_its_path(folder: Path) -> None:
    with gateway(*halving(address(folder))) as first:
        with pytest.raises(AssertionError, match="in use by another process"):
            Gateway(*halving(address(folder)))
        with isthmus.connect(address(folder)) as link:
            assert link.act(q=[1, 1], deadline=10).status == "policy"
        assert first.stop() == 0


@pytest.mark.parametrize(
    "argument",
    ["--deadline-ms=nan", "--deadline-ms=-1", "--deadline-ms=inf", "--max-sessions=0",
     "--listen=tcp://0.0.0.0:0", "--listen=nowhere"],
)  # fmt: skip
def test_arguments_that_cannot_be(folder: Path, argument: str) -> None:
    with pytest.raises(AssertionError, match="isthmus: "):
        Gateway(*halving(address(folder)), argument)
    assert list(folder.iterdir()) == []


def test_a_policy_that_does_not_exist(folder: Path) -> None:
    with pytest.raises(AssertionError, match="cannot be imported"):
        Gateway("nowhere:at_all", "--listen", address(folder))


def test_without_descriptors_accepting_pauses_and_recovers(folder: Path) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))

    with gateway(*halving(address(folder)), before=few) as found:
        with isthmus.connect(address(folder)) as link:
            peers = [RawPeer(address(folder)) for _ in range(60)]
            for _ in range(50):
                assert link.act(q=[1, 1], deadline=10).status == "policy"
            for peer in peers:
                peer.__exit__(None, None, None)
            with isthmus.connect(address(folder), timeout=25) as newcomer:
                assert newcomer.act(q=[1, 1], deadline=10).status == "policy"
            with RawPeer(address(folder)) as peer:
                counters = peer.ask({"type": "admin", "op": "get_counters"})["data"]
                assert counters["accept_pauses"] >= 1
            assert link.stats()["reconnects"] == 0
        assert found.stop() == 0


def test_it_asks_for_the_descriptors_that_its_sessions_need(folder: Path) -> None:
    def usual() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 900))

    with gateway(*halving(address(folder)), before=usual) as found:
        assert resource.prlimit(found.pid, resource.RLIMIT_NOFILE) == (900, 900)
        links = [isthmus.connect(address(folder)) for _ in range(24)]
        assert {link.transport for link in links} == {"shm"}
        for link in links:
            link.close()
        assert found.stop() == 0


def test_without_descriptors_for_a_segment_it_says_so(folder: Path) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (18, 18))

    with gateway(*halving(address(folder)), before=few) as found:
        links = []
        while not links or links[-1].transport == "shm":
            links.append(isthmus.connect(address(folder)))
            assert len(links) < 10
        assert links[-1].transport == "unix"
        assert links[-1].transport_note
        for link in links:
            assert link.act(q=[1, 1], deadline=10).status == "policy"
            link.close()
        until(lambda: len(os.listdir(f"/proc/{found.pid}/fd")) < 14)
        assert found.stop() == 0
