"""Round trips are measured through real links, and what could not be measured is said."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.bench.cases import PAYLOADS, WAYS, Case, ways_of
from isthmus.bench.gateway import PrivateGateway
from isthmus.bench.measure import measure
from isthmus.bench.rows import Settings
from isthmus.errors import AddressError, ConnectError
from tests.support.contracts import pair
from tests.support.gateways import Served, serving
from tests.support.policies import Arrays, half, policy
from tests.support.waiting import until

FEW = Settings(iterations=7, warmup=2, rounds=3)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(policy(half, pair())) as found:
        yield found


@pytest.mark.parametrize("way", ["shm", "unix"])
def test_a_running_gateway_is_measured_on_its_own_contract(served: Served, way: str) -> None:
    (row,) = measure([Case(way, "contract", served.unix)], FEW)
    assert row.left_out == ""
    assert row.transport == way
    assert row.samples_ns.shape == (7,)
    assert row.missed == 0
    assert set(row.stages_ns) == {"encode", "wire", "queue", "infer", "decode", "total"}
    found = row.quantiles_us()
    assert 0 < found["p50"] <= found["p99"] <= found["max"] == row.samples_ns.max() / 1e3


def test_every_step_is_taken_once_over_all_turns(served: Served) -> None:
    before = served.engine.counters.answered
    cases = [Case("unix", "contract", served.unix), Case("tcp", "contract", served.tcp)]
    rows = measure(cases, FEW)
    assert [len(row.samples_ns) for row in rows] == [7, 7]
    assert [row.case for row in rows] == cases
    assert served.engine.counters.answered - before == 2 * (7 + 2)


def test_a_slow_case_takes_fewer_steps(served: Served) -> None:
    settings = Settings(iterations=100_000, warmup=0, rounds=1, seconds=0.01)
    (row,) = measure([Case("unix", "contract", served.unix)], settings)
    assert 1 <= len(row.samples_ns) < 100_000


def test_a_case_that_cannot_be_measured_is_left_out_with_the_reason(served: Served) -> None:
    nobody = Case("unix", "contract", "unix:/nowhere/at/all")
    other = Case("tcp", "contract", served.unix)
    rows = measure([nobody, other], Settings(iterations=2, warmup=0, timeout=0.2))
    assert "/nowhere/at/all" in rows[0].left_out
    assert rows[1].left_out == "frames travel by unix"
    assert all(len(row.samples_ns) == 0 for row in rows)


def test_a_step_without_the_policys_action_is_counted_and_is_no_round_trip() -> None:
    asked = itertools.count()

    def every_other(observation: Arrays) -> Arrays:
        if observation["q"].any() and next(asked) % 2:
            raise RuntimeError("not this time")
        return half(observation)

    with serving(policy(every_other, pair())) as found:
        (row,) = measure([Case("unix", "contract", found.unix)], FEW)
    assert (row.missed, len(row.samples_ns), row.steps) == (3, 4, 7)


def test_a_gateway_that_answers_nothing_is_left_out() -> None:
    def wakes_up_only(observation: Arrays) -> Arrays:
        if observation["q"].any():
            raise RuntimeError("zeros alone")
        return half(observation)

    with serving(policy(wakes_up_only, pair())) as found:
        (row,) = measure([Case("unix", "contract", found.unix)], FEW)
    assert row.left_out == "none of 7 steps was answered by the policy"


@pytest.mark.parametrize(
    ("url", "ways"),
    [
        ("tcp://127.0.0.1:1", ("shm", "tcp", "json")),
        ("unix:here", ("shm", "unix")),
        ("shm:here", ("shm",)),
    ],
)
def test_the_ways_to_a_running_gateway(url: str, ways: tuple[str, ...]) -> None:
    assert ways_of(url) == ways


def test_memory_is_no_gateway() -> None:
    with pytest.raises(AddressError, match="expected shm:PATH"):
        ways_of("memory:constant")


def test_a_private_gateway_serves_every_way_and_leaves_nothing() -> None:
    payload = PAYLOADS["small"]
    with PrivateGateway(payload.contract) as gateway:
        urls = {"memory": "memory:constant", **gateway.urls}
        socket = Path(gateway.urls["unix"].partition(":")[2])
        assert socket.exists()
        cases = [
            Case(way, "small", urls[WAYS[way].scheme], payload.contract, payload.num_envs)
            for way in WAYS
        ]
        rows = measure(cases, Settings(iterations=2, warmup=0, rounds=1))
    assert {row.case.way: row.left_out for row in rows} == dict.fromkeys(WAYS, "")
    assert not socket.parent.exists()


def test_a_private_gateway_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ConnectError, match="did not start"):
        PrivateGateway(PAYLOADS["small"].contract).__enter__()


def test_a_private_gateway_dies_with_whoever_started_it() -> None:
    program = (
        "from isthmus.bench.cases import PAYLOADS\n"
        "from isthmus.bench.gateway import PrivateGateway\n"
        "gateway = PrivateGateway(PAYLOADS['small'].contract).__enter__()\n"
        "print(gateway.urls['tcp'], gateway._child.pid, flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None and parent.stdout is not None
    child = int(parent.stdout.readline().split()[1])
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    until(lambda: not _is_alive(child))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
