"""`isthmus serve` as a process: signals, exit statuses, what is left behind, descriptors."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

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


NATIVE = """
import atexit, ctypes, os, sys, types
import isthmus.cli.stopping as stopping
from isthmus.policy.callable import CallablePolicy
from tests.support.contracts import pair
from tests.support.policies import half

mutex, lock = ctypes.create_string_buffer(64), ctypes.CDLL(None).pthread_mutex_lock

def infer(observation):
    if observation["q"][0, 0] == 107:
        os.write(2, b"stuck\\n")
        lock(mutex)  # no signal ends this, and no bytecode runs meanwhile
        lock(mutex)
    return half(observation)

found = types.ModuleType("hangs")
found.policy = lambda: CallablePolicy(infer, pair(), name="hangs")
sys.modules["hangs"] = found
stopping.GRACE, stopping.ONE_WISH = {grace}, 0.0
atexit.register(os.write, 2, b"finalized\\n")
"""


def ask_into_native_code(found: Gateway, peer: RawPeer) -> None:
    peer.say({"type": "obs", "data": {"q": [107, 1]}})
    assert found.process.stderr is not None
    assert found.process.stderr.readline() == "stuck\n"


@pytest.mark.parametrize(
    ("signals", "grace"),
    [([signal.SIGTERM], 0.1), ([signal.SIGTERM, signal.SIGINT], 60)],
    ids=["the grace is over", "a second wish"],
)
def test_native_code_that_hangs_does_not_keep_it(
    folder: Path, signals: list[signal.Signals], grace: float
) -> None:
    arguments = ("hangs:policy", "--listen", address(folder), "--executor", "inline")
    wishes = ("--log-dir", str(folder / "logs"))
    prelude = NATIVE.format(grace=grace)
    with gateway(*arguments, *wishes, prelude=prelude) as found, RawPeer(address(folder)) as peer:
        ask_into_native_code(found, peer)
        for number in signals:
            found.send(number)
        assert found.process.wait(30) == 1
        assert found.process.stderr is not None
        assert "did not return in time" in found.process.stderr.read()
    assert {path.name for path in folder.iterdir()} == {"logs"}
    assert lines(folder / "logs" / "ipc_gateway_events.jsonl")[-1]["type"] == "log_closed"


def test_a_worker_inside_native_code_is_left_behind_in_order(folder: Path) -> None:
    arguments = ("hangs:policy", "--listen", address(folder), "--executor", "thread")
    wishes = ("--log-dir", str(folder / "logs"))
    prelude = NATIVE.format(grace=60)
    with gateway(*arguments, *wishes, prelude=prelude) as found, RawPeer(address(folder)) as peer:
        ask_into_native_code(found, peer)
        found.send(signal.SIGTERM)
        said, complaint = found.process.communicate(timeout=30)
        assert found.process.returncode == 0
    assert said.startswith("closed: ")
    assert "finalized" not in complaint  # it would pull the libraries from under the worker
    assert {path.name for path in folder.iterdir()} == {"logs"}
    assert lines(folder / "logs" / "ipc_gateway_events.jsonl")[-1]["type"] == "log_closed"


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


# what stands around the engine ------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, Any]]:
    """A file of events."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_reports_and_events_are_whole_after_a_signal(folder: Path, number: signal.Signals) -> None:
    logs = folder / "logs"
    wishes = ("--log-dir", str(logs), "--metrics-interval", "3600", "--record-payloads", "all",
              "--prometheus-textfile", str(folder / "m.prom"), "--http", "127.0.0.1:0")  # fmt: skip
    with gateway(*halving(address(folder)), *wishes) as found:
        with urllib.request.urlopen(f"{found.http}/readyz", timeout=30) as page:
            assert page.status == 200
        with RawPeer(address(folder)) as peer:
            asked = {"type": "obs", "data": {"q": [1, 2]}, "corr_id": "the last"}
            assert peer.ask(asked)["type"] == "action"
            assert found.stop(number) == 0
        with pytest.raises(OSError):
            urllib.request.urlopen(f"{found.http}/readyz", timeout=30)
    events = lines(logs / "ipc_gateway_events.jsonl")
    assert [event["seq"] for event in events] == list(range(len(events)))
    types = [event["type"] for event in events]
    assert types.index("gateway_started") < types.index("received") < types.index("sent")
    assert types.index("session_closed") < types.index("gateway_stopped")
    assert types[-1] == "log_closed"
    metrics = json.loads((logs / "ipc_metrics.json").read_text())
    assert metrics["policy_latency_ms"]["count"] == 1
    assert "gateway_policy_latency_ms_count" in (folder / "m.prom").read_text()
    assert {path.name for path in folder.iterdir()} == {"logs", "m.prom"}
    assert [path.name for path in logs.iterdir() if path.name.endswith(".tmp")] == []


def test_flush_metrics_writes_the_files_now(folder: Path) -> None:
    logs = folder / "logs"
    wishes = ("--log-dir", str(logs), "--metrics-interval", "3600")
    with gateway(*halving(address(folder)), *wishes) as found, RawPeer(address(folder)) as peer:
        for count in (1, 2):
            peer.ask({"type": "obs", "data": {"q": [1, 2]}})
            answer = peer.ask({"type": "admin", "op": "flush_metrics"})
            metrics = json.loads((logs / "ipc_metrics.json").read_text())
            assert metrics["policy_latency_ms"]["count"] == count
            assert metrics["updated_ts"] == pytest.approx(answer["updated_ts"])
        assert found.stop() == 0


def test_a_report_that_cannot_be_written_stops_nobody(folder: Path) -> None:
    logs, reports = folder / "logs", folder / "reports"
    reports.mkdir()
    wishes = ("--log-dir", str(logs), "--prometheus-textfile", str(reports / "m.prom"))
    with gateway(*halving(address(folder)), *wishes) as found, RawPeer(address(folder)) as peer:
        reports.rename(folder / "gone")
        answer = peer.ask({"type": "admin", "op": "flush_metrics", "corr_id": "mine"})
        assert (answer["error"], answer["corr_id"]) == ("report_failed", "mine")
        assert "Textfile: FileNotFoundError" in answer["detail"]
        assert "ipc_metrics" not in answer["detail"]
        assert peer.ask({"type": "obs", "data": {"q": [1, 2]}})["type"] == "action"
        assert found.stop() == 0
    assert (logs / "ipc_metrics.json").is_file()
    failed = [e for e in lines(logs / "ipc_gateway_events.jsonl") if e["type"] == "report_failed"]
    assert len(failed) == 1


def test_what_cannot_be_opened_is_said_and_nothing_is_left(folder: Path) -> None:
    logs = folder / "logs"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        wishes = ("--log-dir", str(logs), "--http", f"127.0.0.1:{port}")
        with pytest.raises(AssertionError, match="isthmus: .*in use"):
            Gateway(*halving(address(folder)), *wishes)
    assert lines(logs / "ipc_gateway_events.jsonl")[-1]["type"] == "log_closed"
    assert {path.name for path in folder.iterdir()} == {"logs"}


def test_two_gateways_do_not_share_a_log(folder: Path) -> None:
    wishes = ("--log-dir", str(folder / "logs"))
    with gateway(*halving(address(folder)), *wishes) as found:
        with pytest.raises(AssertionError, match="isthmus: .*logs"):
            Gateway(*halving(f"unix:{folder}/other"), *wishes)
        assert found.stop() == 0


def test_without_a_model_it_says_what_may_be_loaded(folder: Path) -> None:
    with gateway("--listen", address(folder), "--policy-dir", "policies") as found:
        with RawPeer(address(folder)) as peer:
            asked = {"type": "load_policy", "path": "reach.npz"}
            assert peer.ask(asked)["policy_kind"] == "numpy"
        with isthmus.connect(address(folder)) as link:
            assert link.contract.name
        assert found.stop() == 0


# the first gateway's command line ---------------------------------------------------------------


class Script(Gateway):
    """`scripts/ipc_policy_gateway.py`, started in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "ipc_policy_gateway.py"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        self.said: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if line == "ready\n":
                break
        self.addresses = [line.split()[1] for line in self.said if line.startswith("listening ")]

    def close(self) -> None:
        """Kill it if it runs."""
        self.process.kill()
        self.process.communicate(timeout=30)


def test_the_script_is_the_first_gateway(folder: Path) -> None:
    (folder / "still.json").write_text('{"type": "linear_dummy", "action_dim": 2}')
    script = Script(folder, "--port=0", "--action-scale=0.5", "--max-log-mb=1")
    try:
        assert f"load_policy files in {folder}, from this machine only" in script.said
        assert f"logs {folder}/logs" in script.said
        [where] = script.addresses
        assert where.startswith("tcp://127.0.0.1:")
        asked = {"type": "obs", "data": {"q": [0.5, 0.5]}}
        for message, answer in (  # a connection for each message, as some of its clients do
            ({"type": "ping"}, "ack"),
            (asked, "error"),
            ({"type": "load_policy", "data": {"path": "still.json"}}, "load_policy_ack"),
            (asked, "action"),
            ({"type": "admin", "op": "flush_metrics"}, "admin_ack"),
            ({"type": "admin", "op": "get_counters"}, "counters"),
        ):
            with RawPeer(where) as peer:
                assert peer.ask(message)["type"] == answer
        assert script.stop() == 0
    finally:
        script.close()
    recorded = [e for e in lines(folder / "logs" / "ipc_gateway_events.jsonl") if "raw" in e]
    assert [event["msg_type"] for event in recorded] == [
        "ping", "obs", "load_policy", "obs", "admin", "admin",
    ]  # fmt: skip
    assert recorded[3]["raw"] == asked


def test_flags_of_the_script_win_over_its_defaults(folder: Path) -> None:
    (folder / "still.json").write_text('{"type": "linear_dummy", "action_dim": 2}')
    wishes = ("--port=0", "--policy=still.json", "--log-dir=here", "--record-payloads=off")
    script = Script(folder, *wishes)
    try:
        with RawPeer(script.addresses[0]) as peer:
            assert peer.ask({"type": "obs", "data": {"q": [1, 2]}})["data"]["delta"] == [0, 0]
        assert script.stop() == 0
    finally:
        script.close()
    assert not (folder / "logs").exists()
    assert not [e for e in lines(folder / "here" / "ipc_gateway_events.jsonl") if "raw" in e]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--metrics-interval=0.4"], "0.5"), (["--host=0.0.0.0"], "not loopback"),
     (["--policy=none.onnx"], "none.onnx")],
)  # fmt: skip
def test_what_the_script_cannot_do_is_one_line(
    folder: Path, arguments: list[str], words: str
) -> None:
    script = Script(folder, "--port=0", *arguments)
    _, said = script.process.communicate(timeout=30)
    assert script.process.returncode == 2
    assert said.count("\n") == 1 and words in said
