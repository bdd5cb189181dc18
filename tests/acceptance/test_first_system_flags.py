"""Flags of `scripts/ipc_policy_gateway.py`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from ..support.waiting import until
from .first_clients import Connection, observe
from .first_files import dummy, moody_policy
from .processes import NEVER, Gateway, Starter, run_script

FLAGS = (
    "--host", "--port", "--policy", "--deadline-ms", "--metrics-interval", "--max-log-mb",
    "--compress-rotated", "--log-dir", "--alert-latency-p95-ms", "--alert-latency-p95-ms-warn",
    "--alert-latency-p95-ms-crit", "--alert-deadline-miss-rate", "--alert-deadline-miss-rate-warn",
    "--alert-deadline-miss-rate-crit", "--prometheus-textfile", "--prometheus-instance-id",
    "--prometheus-enable-labels", "--action-scale", "--auto-transport-escalate-p95",
    "--joint-spec", "--joint-spec-mismatch-cooldown", "--deadline-escalate-threshold",
    "--degrade-mode-ratio",
)  # fmt: skip


@pytest.fixture(scope="module")
def usage(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the script says of itself."""
    done = run_script("ipc_policy_gateway.py", "--help", cwd=tmp_path_factory.mktemp("help"))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("flag", FLAGS)
def test_the_script_explains_its_flag(usage: str, flag: str) -> None:
    explained = [line.split()[0].rstrip(",") for line in usage.splitlines() if line.strip()]
    assert flag in explained


def test_its_defaults_are_those_of_the_first_system(usage: str) -> None:
    said = " ".join(usage.split())
    for default in (
        "default 127.0.0.1", "default 45123", "default 5", "folder; default logs", "default all",
        "default .",
    ):  # fmt: skip
        assert default in said
    assert "isthmus.sock" not in said and said.startswith("usage: ipc_policy_gateway.py ")


def test_an_unknown_flag_is_refused_in_a_line(tmp_path: Path) -> None:
    done = run_script("ipc_policy_gateway.py", "--polciy", "x.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "no option --polciy; did you mean --policy?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_host_and_port(starter: Starter) -> None:
    with socket.socket() as probe:  # a port that was free a moment ago
        probe.bind(("127.0.0.2", 0))
        port = probe.getsockname()[1]
        probe.listen()
        folder = starter.folder()
        done = run_script(
            "ipc_policy_gateway.py", "--host", "127.0.0.2", "--port", f"{port}", "--policy",
            dummy(folder), cwd=folder,
        )  # fmt: skip
        assert done.returncode == 2 and f"127.0.0.2:{port}" in done.stderr  # taken, by the probe
    gateway = starter.script("--host", "127.0.0.2", folder=folder, port=f"{port}")
    assert gateway.address == ("127.0.0.2", port)
    assert gateway.ask({"type": "ping"})["type"] == "ack"


def test_a_policy_that_cannot_be_loaded_ends_the_start_in_a_line(tmp_path: Path) -> None:
    done = run_script("ipc_policy_gateway.py", "--policy", "none.json", "--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "none.json" in done.stderr and "Traceback" not in done.stderr


def test_metrics_interval_rewrites_the_files(starter: Starter) -> None:
    gateway = starter.script("--metrics-interval", "0.5")
    first = until(lambda: (gateway.logs / "ipc_metrics.json").exists() and gateway.metrics())
    until(lambda: gateway.metrics()["updated_ts"] > first["updated_ts"])


def test_a_metrics_interval_below_half_a_second_is_refused(tmp_path: Path) -> None:
    done = run_script("ipc_policy_gateway.py", "--metrics-interval", "0.4", cwd=tmp_path)
    assert done.returncode == 2
    assert "0.5" in done.stderr


def test_deadline_ms_is_kept_at_the_deadline(moody: Gateway) -> None:
    """The policy hangs and the answer is there all the same, flagged."""
    (moody.folder / "let_go").unlink(missing_ok=True)
    data = moody.ask(observe(8.0, 0.0))["data"]
    (moody.folder / "let_go").touch()
    assert data["deadline_miss"] is True
    assert data["delta"] == [0.0, 0.0]
    until(lambda: moody.ask(observe(0.0, 0.0))["data"]["deadline_miss"] is False)


def test_the_true_inference_time_of_a_miss_is_in_the_events(moody: Gateway) -> None:
    (moody.folder / "let_go").unlink(missing_ok=True)
    missed = moody.ask(observe(8.0, 0.0, corr_id="hung"))["data"]
    assert missed["deadline_miss"] is True
    for _ in range(5):  # each of them waits for its own 20 ms
        assert moody.ask(observe(0.0, 0.0))["data"]["deadline_miss"] is True
    (moody.folder / "let_go").touch()
    late = moody.event(type="late_inference", corr_id="hung")
    assert late["infer_ms"] > 40.0


def test_a_message_is_timed_when_it_came_and_not_when_it_was_answered(moody: Gateway) -> None:
    (moody.folder / "let_go").unlink(missing_ok=True)
    assert moody.ask(observe(8.0, 0.0, corr_id="timed"))["data"]["deadline_miss"] is True
    (moody.folder / "let_go").touch()
    sent = moody.event(phase="send", corr_id="timed")
    (received,) = moody.events(phase="recv", corr_id="timed")
    assert sent["ts_wall"] - received["ts_wall"] > 0.01  # it was answered at its 20 ms


def test_degrade_mode_ratio(starter: Starter) -> None:
    """Where too many steps were missed, the policy's actions are replaced by zeros, and counted."""
    folder = starter.folder()
    gateway = starter.serve(
        *moody_policy(folder), "--executor", "thread", "--deadline-ms", "5",
        "--degrade-mode-ratio", "0.5", "--metrics-interval", NEVER,
        folder=folder,
    )  # fmt: skip
    with Connection(gateway.address) as connection:
        for _ in range(30):
            assert connection.ask(observe(8.0, 0.0))["data"]["deadline_miss"] is True
        (folder / "let_go").touch()

        def in_time() -> dict[str, Any] | None:
            data: dict[str, Any] = connection.ask(observe(0.0, 0.0))["data"]
            return None if data["deadline_miss"] else data

        assert until(in_time, "an answer in time")["delta"] == [0.0, 0.0]
    gateway.flush()
    assert gateway.metrics()["counters"]["degrade_zeroed"] >= 1
