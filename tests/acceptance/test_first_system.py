"""What the operators of the first system type, read and graph still works, line by line.

They have clients, flags, files and dashboards; this gateway replaces theirs under all of them. The
tests know what those people know, and nothing of isthmus: a process, its socket and its files. They
are in the order in which the operators describe their system: conversation, flags, files, tools,
and what they had set themselves as its acceptance.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.fake_isaac import FakeIsaac, fake_isaac, make_fake_isaac
from ..support.waiting import until
from .first_clients import Connection, ask, observe
from .processes import ROOT, Gateway, Starter, run_isthmus, run_script, starter

__all__ = ["fake_isaac", "make_fake_isaac", "starter"]  # fixtures

NEVER = "3600"
"""Seconds: an interval that does not come round while a test runs."""
CODES = (
    "bad_json", "schema_violation", "policy_unavailable", "load_failed", "inference_failed",
    "unknown_type", "bad_admin_op",
)  # fmt: skip
COUNTERS = (
    "deadline_miss", "deadline_miss_rate", "rand_hash_mismatch", "joint_limit_violation",
    "joint_spec_mismatch", "deadline_escalation_events", "consec_deadline_miss", "degrade_zeroed",
)  # fmt: skip
SUMMARY = ("count", "mean", "std", "min", "max", "p50", "p90", "p95", "p99")
RECENT = ("window", "p50", "p90", "p95", "p99")

MOODY = '''\
"""A policy with moods: the first joint's position says which."""

import pathlib
import time


def moody():
    def policy(observation):
        mood = float(observation["q"][0, 0])
        if mood == 7.0:
            raise RuntimeError("the gears are stuck")
        if mood == 8.0:  # hangs, until somebody lets it go
            end = time.monotonic() + 30.0
            while not pathlib.Path("let_go").exists() and time.monotonic() < end:
                time.sleep(0.001)
        return {"delta": 0.0 * observation["q"] + 0.01}

    return policy
'''
CONTRACT = {
    "name": "arm",
    "actuator": "simulated",
    "control_dt_ns": 40_000_000,
    "observation": [{"name": "q", "shape": [2], "dtype": "float32", "unit": "rad"}],
    "action": [
        {
            "name": "delta", "shape": [2], "dtype": "float32", "unit": "rad", "semantics": "delta",
            "measured_position": "q", "fallback": "zero",
        }
    ],
}  # fmt: skip
JOINTS = {
    "joints": [
        {"name": "shoulder", "lower": -1.0, "upper": 1.0, "velocity": 10.0},
        {"name": "elbow", "lower": -2.0, "upper": 2.0, "velocity": 0.1},
    ]
}


def dummy(folder: Path, action_dim: int = 6, name: str = "dummy.json") -> str:
    """A policy that answers zeros, as the operators write it; its path."""
    path = folder / name
    path.write_text(json.dumps({"type": "linear_dummy", "action_dim": action_dim}))
    return str(path)


@pytest.fixture(scope="module")
def gateway(starter: Starter) -> Gateway:
    """The script with a zero policy for six joints, as it was started every day."""
    folder = starter.folder()
    return starter.script(
        "--policy", dummy(folder), "--log-dir", "here", "--metrics-interval", NEVER,
        "--prometheus-textfile", "gateway.prom", "--prometheus-instance-id", 'arm "7" \\ left',
        "--prometheus-enable-labels", "--action-scale", "0.25",
        folder=folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def empty(starter: Starter) -> Gateway:
    """The script without a policy."""
    return starter.script("--metrics-interval", NEVER)


@pytest.fixture(scope="module")
def moody(starter: Starter) -> Gateway:
    """A policy with moods, which fails or hangs as it is told, under a deadline."""
    folder = starter.folder()
    (folder / "moods.py").write_text(MOODY, encoding="utf-8")
    (folder / "arm.json").write_text(json.dumps(CONTRACT), encoding="utf-8")
    return starter.serve(
        "moods:moody", "--contract", "arm.json", "--executor", "thread", "--deadline-ms", "20",
        "--metrics-interval", NEVER, "--record-payloads", "all",
        folder=folder,
    )  # fmt: skip


ZERO = (0.0,) * 6

# the conversation: requests -------------------------------------------------------------------


def test_ping(gateway: Gateway) -> None:
    before = time.time()
    answer = gateway.ask({"type": "ping", "corr_id": "p-1"})
    assert (answer["type"], answer["corr_id"]) == ("ack", "p-1")
    assert before - 0.001 <= answer["ts"] <= time.time() + 0.001


@pytest.mark.parametrize("place", ["path", "policy", "data.path"])
def test_load_policy_reads_the_path_in_each_place(empty: Gateway, place: str) -> None:
    path = dummy(empty.folder, 3, f"of_{place}.json")
    key, _, inner = place.partition(".")
    answer = empty.ask({"type": "load_policy", key: {inner: path} if inner else path})
    assert (answer["type"], answer["path"]) == ("load_policy_ack", path)
    assert answer["policy_kind"] == "dummy_zero"
    assert answer["corr_id"]
    action = empty.ask(observe(0.0, 0.0, 0.0))
    assert action["data"]["delta"] == [0.0, 0.0, 0.0]
    assert action["data"]["policy_kind"] == "dummy_zero"


@pytest.mark.parametrize("inner", [False, True], ids=["data", "data.observation"])
def test_obs_with_its_fields_in_either_place(gateway: Gateway, inner: bool) -> None:
    fields = {
        "q": [0.1] * 6, "dq": [0.0] * 6, "sim_time": 1.5, "rand_hash": "ab",
        "expected_rand_hash": "ab",
    }  # fmt: skip
    data = {"observation": fields} if inner else fields
    answer = gateway.ask({"type": "obs", "data": data, "corr_id": "o-1"})
    assert (answer["type"], answer["corr_id"]) == ("action", "o-1")
    assert answer["data"]["rand_hash"] == "ab"


def test_obs_with_nothing_but_positions(gateway: Gateway) -> None:
    answer = gateway.ask({"type": "obs", "data": {"q": [0.0] * 6}})
    assert answer["data"]["delta"] == [0.0] * 6


def test_admin_flush_metrics(gateway: Gateway) -> None:
    before = time.time()
    answer = gateway.ask({"type": "admin", "op": "flush_metrics", "corr_id": "a-1"})
    assert (answer["type"], answer["op"]) == ("admin_ack", "flush_metrics")
    assert answer["corr_id"] == "a-1"
    assert before - 0.001 <= answer["updated_ts"] <= time.time() + 0.001
    assert gateway.metrics()["updated_ts"] >= before - 0.001


# the conversation: answers --------------------------------------------------------------------

Check = Callable[[Any], bool]
ANSWERED: dict[str, Check] = {
    "action_version": lambda value: value == 2,
    "delta": lambda value: value == [0.0] * 6,
    "ts_policy": lambda value: (
        abs(time.time() - value) < 3600
    ),  # wall-clock seconds, not another clock's
    "policy_latency_ms": lambda value: value > 0.0,
    "profiling": lambda value: set(value) >= {"preprocess_ms", "infer_ms"},
    "policy_kind": lambda value: value == "dummy_zero",
    "action_dim": lambda value: value == 6,
    "deadline_miss": lambda value: value is False,
    "action_scale_hint": lambda value: value == 0.25,
}


@pytest.mark.parametrize("field", ANSWERED)
def test_an_action_has(gateway: Gateway, field: str) -> None:
    data = gateway.ask(observe(*ZERO))["data"]
    assert ANSWERED[field](data[field]), data[field]


def test_an_action_says_nothing_of_what_did_not_happen(empty: Gateway) -> None:
    empty.ask({"type": "load_policy", "path": dummy(empty.folder, 2)})
    data = empty.ask(observe(0.0, 0.0))["data"]
    sometimes = {
        "rand_hash", "rand_hash_mismatch", "expected_rand_hash", "joint_limit_clipped",
        "clipped_joint_indices", "action_scale_hint",
    }  # fmt: skip
    assert not sometimes & set(data)


def test_profiling_is_part_of_the_latency(gateway: Gateway) -> None:
    data = gateway.ask(observe(*ZERO))["data"]
    parts = data["profiling"]
    assert 0.0 <= parts["preprocess_ms"] + parts["infer_ms"] <= data["policy_latency_ms"] + 0.001


def test_hash_rand_is_another_name_of_rand_hash(gateway: Gateway) -> None:
    data = gateway.ask(observe(*ZERO, hash_rand="cd", expected_rand_hash="ce"))["data"]
    assert (data["rand_hash"], data["rand_hash_mismatch"]) == ("cd", True)
    assert data["expected_rand_hash"] == "ce"


@pytest.mark.parametrize("version", [{}, {"obs_version": 1}], ids=["missing", "1"])
def test_a_missing_obs_version_means_1(gateway: Gateway, version: dict[str, int]) -> None:
    assert gateway.ask(observe(*ZERO, **version))["type"] == "action"


def test_no_other_obs_version_is_taken(gateway: Gateway) -> None:
    answer = gateway.ask(observe(*ZERO, obs_version=99))
    assert (answer["error"], "99" in answer["detail"]) == ("schema_violation", True)


@pytest.mark.parametrize(
    "message",
    [{"type": "ping"}, observe(*ZERO), {"type": "admin", "op": "get_counters"}, {"type": "dance"}],
    ids=lambda message: message["type"],
)
def test_an_answer_has_its_clients_corr_id_or_else_one_of_ours(
    gateway: Gateway, message: dict[str, Any]
) -> None:
    assert gateway.ask({**message, "corr_id": "mine"})["corr_id"] == "mine"
    ours = [gateway.ask(message)["corr_id"] for _ in range(3)]
    assert all(ours) and len(set(ours)) == 3


# the conversation: errors ---------------------------------------------------------------------

WRONG: dict[str, tuple[str, dict[str, Any] | bytes]] = {
    "no json": ("bad_json", b"{nonsense}\n"),
    "no object": ("bad_json", b'{"type":"ping"]\n'),
    "not a number": ("bad_json", b'{"type":"obs","data":{"q":[NaN,0,0,0,0,0]}}\n'),
    "no type": ("schema_violation", {"data": {}}),
    "no data": ("schema_violation", {"type": "obs"}),
    "no q": ("schema_violation", {"type": "obs", "data": {"dq": [0.0] * 6}}),
    "an empty q": ("schema_violation", {"type": "obs", "data": {"q": []}}),
    "words in q": ("schema_violation", {"type": "obs", "data": {"q": ["a"] * 6}}),
    "q is no list": ("schema_violation", {"type": "obs", "data": {"q": 1.0}}),
    "too few q": ("schema_violation", {"type": "obs", "data": {"q": [0.0]}}),
    "no path": ("schema_violation", {"type": "load_policy"}),
    "another type": ("unknown_type", {"type": "dance"}),
    "another op": ("bad_admin_op", {"type": "admin", "op": "reboot"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_has_its_code_and_a_detail(gateway: Gateway, case: str) -> None:
    code, message = WRONG[case]
    answer = ask(gateway.address, message)
    assert (answer["type"], answer["error"]) == ("error", code), answer
    assert code in CODES and answer["detail"] and answer["corr_id"]
    assert gateway.ask({"type": "ping"})["type"] == "ack"


def test_a_schema_violation_names_the_field_and_what_came(gateway: Gateway) -> None:
    detail = gateway.ask(observe(0.0, 0.0, 0.0))["detail"]
    assert all(word in detail for word in ("'q'", "6", "3"))


def test_an_error_on_a_connection_does_not_end_it(gateway: Gateway) -> None:
    with Connection(gateway.address) as connection:
        connection.say(b"{nonsense}\n", {"type": "dance"}, {"type": "ping"})
        answers = [connection.hear() for _ in range(3)]
    assert [a.get("error", a["type"]) for a in answers] == ["bad_json", "unknown_type", "ack"]


def test_without_a_policy_policy_unavailable(starter: Starter) -> None:
    gateway = starter.script()
    answer = gateway.ask(observe(*ZERO, corr_id="u-1"))
    assert (answer["error"], answer["corr_id"]) == ("policy_unavailable", "u-1")
    assert gateway.ask({"type": "ping"})["type"] == "ack"
    gateway.ask({"type": "load_policy", "path": dummy(gateway.folder, 6)})
    assert gateway.ask(observe(*ZERO))["type"] == "action"
    assert gateway.stop() == 0


def test_what_cannot_be_loaded_load_failed(empty: Gateway) -> None:
    folder = empty.folder
    empty.ask({"type": "load_policy", "path": dummy(folder, 4)})
    bad = {
        "missing.json": None, "broken.json": "{", "other.json": '{"type":"quadratic"}',
        "short.json": '{"type":"linear_dummy"}', "negative.json":
        '{"type":"linear_dummy","action_dim":-1}', "no.onnx": "not a model", "no.pt": "no tensors",
        "no.pth": "no tensors", "no.zip": "no archive", "no.txt": "no policy",
    }  # fmt: skip
    for name, text in bad.items():
        if text is not None:
            (folder / name).write_text(text)
        answer = empty.ask({"type": "load_policy", "path": name, "corr_id": name})
        assert (answer["type"], answer["error"]) == ("error", "load_failed"), (name, answer)
        assert answer["corr_id"] == name
        assert name in answer["detail"]
    assert empty.ask(observe(*[0.0] * 4))["data"]["delta"] == [0.0] * 4  # the old one goes on


def test_a_path_outside_the_working_tree_is_not_opened(empty: Gateway, tmp_path: Path) -> None:
    outside = dummy(tmp_path, 2)
    answer = empty.ask({"type": "load_policy", "path": outside})
    assert answer["error"] == "load_failed"
    (empty.folder / "link.json").symlink_to(outside)
    answer = empty.ask({"type": "load_policy", "path": "link.json"})
    assert answer["error"] == "load_failed"


def test_a_policy_that_raises_inference_failed(moody: Gateway) -> None:
    answer = moody.ask(observe(7.0, 0.0, corr_id="i-1"))
    assert (answer["error"], answer["corr_id"]) == ("inference_failed", "i-1")
    assert "the gears are stuck" in answer["detail"]
    assert moody.ask(observe(0.0, 0.0))["data"]["delta"] == pytest.approx([0.01, 0.01])


# the conversation: connections ----------------------------------------------------------------


def test_several_messages_over_one_connection(gateway: Gateway) -> None:
    with Connection(gateway.address) as connection:
        for number in range(20):
            answer = connection.ask(observe(*ZERO, corr_id=f"{number}"))
            assert (answer["type"], answer["corr_id"]) == ("action", f"{number}")
        assert connection.ask({"type": "ping"})["type"] == "ack"


def test_several_messages_in_one_packet(gateway: Gateway) -> None:
    with Connection(gateway.address) as connection:
        connection.say(*(observe(*ZERO, corr_id=f"{number}") for number in range(20)))
        assert [connection.hear()["corr_id"] for _ in range(20)] == [str(n) for n in range(20)]


def test_a_fresh_connection_for_each_message(gateway: Gateway) -> None:
    for number in range(100):
        assert gateway.ask(observe(*ZERO, corr_id=f"{number}"))["corr_id"] == f"{number}"


def test_a_message_in_pieces(gateway: Gateway) -> None:
    line = json.dumps(observe(*ZERO, corr_id="pieces")).encode() + b"\r\n"
    with Connection(gateway.address) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(line), 7):
            connection.say(line[start : start + 7])
        assert connection.hear()["corr_id"] == "pieces"


def test_a_message_longer_than_a_read(gateway: Gateway) -> None:
    answer = gateway.ask(observe(*ZERO, note="x" * 20_000))
    assert answer["data"]["delta"] == [0.0] * 6


def test_a_client_that_says_it_has_said_everything(gateway: Gateway) -> None:
    with Connection(gateway.address) as connection:
        connection.say(observe(*ZERO))
        connection.socket.shutdown(socket.SHUT_WR)  # as `nc -N` does
        assert connection.hear()["type"] == "action"


def test_several_clients_at_a_time(gateway: Gateway) -> None:
    heard: dict[int, list[str]] = {}

    def client(number: int) -> None:
        with Connection(gateway.address) as connection:
            wanted = [f"{number}-{step}" for step in range(50)]
            heard[number] = [connection.ask(observe(*ZERO, corr_id=w))["corr_id"] for w in wanted]

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {n: [f"{n}-{step}" for step in range(50)] for n in range(8)}


# the conversation: policies -------------------------------------------------------------------


def test_an_onnx_policy(starter: Starter) -> None:
    folder = starter.folder()
    for name in ("reach.onnx", "reach.manifest.json"):
        (folder / name).write_bytes((ROOT / "policies" / name).read_bytes())
    gateway = starter.script("--policy", "reach.onnx", folder=folder)
    data = gateway.ask(observe(*ZERO, goal=[0.3, 0.0, 0.2], tip_error=[0.0, 0.0, 0.0]))["data"]
    assert (data["policy_kind"], data["action_dim"], len(data["delta"])) == ("onnx", 6, 6)


# flags ----------------------------------------------------------------------------------------

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
    for default in ("default 127.0.0.1", "default 45123", "default 5"):
        assert default in said


def test_an_unknown_flag_is_refused_in_a_line(tmp_path: Path) -> None:
    done = run_script("ipc_policy_gateway.py", "--polciy", "x.json", cwd=tmp_path)
    assert done.returncode == 2 and "--polciy" in done.stderr


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
    (moody.folder / "let_go").touch()
    late = moody.event(type="late_inference", corr_id="hung")
    assert late["infer_ms"] > 20.0


@pytest.fixture(scope="module")
def alarmed(starter: Starter) -> dict[str, Gateway]:
    """Gateways whose deadline nobody can keep, with thresholds that anything exceeds."""
    tiny, rate, huge = "0.000001", "0.01", "1000000"
    flags = {
        "warn": ("--alert-latency-p95-ms-warn", tiny, "--alert-latency-p95-ms-crit", huge,
                 "--alert-deadline-miss-rate-warn", rate, "--alert-deadline-miss-rate-crit", "1"),
        "crit": ("--alert-latency-p95-ms-warn", tiny, "--alert-latency-p95-ms-crit", tiny,
                 "--alert-deadline-miss-rate-crit", rate),
        "plain": ("--alert-latency-p95-ms", tiny, "--alert-deadline-miss-rate", rate),
    }  # fmt: skip
    return {
        name: _missing_everything(starter, name == "crit", *each) for name, each in flags.items()
    }


def _missing_everything(starter: Starter, afresh: bool, *flags: str) -> Gateway:
    """A gateway asked 50 times, over one connection or by a fresh one each time."""
    folder = starter.folder()
    gateway = starter.script(
        "--policy", dummy(folder), "--deadline-ms", "0.001", "--metrics-interval", "0.5",
        "--prometheus-textfile", "gateway.prom", "--deadline-escalate-threshold", "5", *flags,
        folder=folder,
    )  # fmt: skip
    with Connection(gateway.address) as connection:
        for _ in range(50):
            answer = (gateway if afresh else connection).ask(observe(*ZERO))
            assert answer["data"]["deadline_miss"] is True
    return gateway


ALERTS = {"latency": "latency_p95", "miss": "deadline_miss_rate"}


@pytest.mark.parametrize("reading", ALERTS)
@pytest.mark.parametrize(("flags", "severity"), [("warn", {1}), ("crit", {2}), ("plain", {1, 2})])
def test_alerts(alarmed: dict[str, Gateway], flags: str, severity: set[int], reading: str) -> None:
    """`--alert-latency-p95-ms[-warn|-crit]`, `--alert-deadline-miss-rate[-warn|-crit]`."""
    gateway = alarmed[flags]

    def found() -> list[dict[str, Any]]:
        gateway.ask(observe(*ZERO))
        alerts = gateway.events(phase="alert", type="sla_alert")
        return [e for e in alerts if any(reading in reason for reason in e["reasons"])]

    alert = until(found, f"an alert of {reading}")[-1]
    assert alert["severity"] in severity
    name = ALERTS[reading]
    gateway.flush()
    assert gateway.metrics()["severity"][name] in severity
    assert textfile(gateway)[f"gateway_severity_{name}"][1] in severity


def test_no_alert_without_its_flag(gateway: Gateway) -> None:
    gateway.flush()
    assert not gateway.events(phase="alert", type="sla_alert")
    assert gateway.metrics()["severity"] == {"latency_p95": 0, "deadline_miss_rate": 0}


def test_auto_transport_escalate_p95_after_three_flushes(starter: Starter) -> None:
    folder = starter.folder()
    gateway = starter.script(
        "--policy", dummy(folder), "--auto-transport-escalate-p95", "0.000001",
        "--metrics-interval", NEVER,
        folder=folder,
    )  # fmt: skip
    for number in range(3):
        gateway.ask(observe(*ZERO, corr_id=f"flush-{number}"))
        assert not gateway.events(phase="advisory")
        gateway.flush()
    advice = gateway.event(phase="advisory")
    assert advice["type"] == "transport_escalate"


@pytest.fixture(scope="module")
def limited(starter: Starter) -> Gateway:
    """A policy that adds 0.01 at every step, under the limits of a joint specification."""
    folder = starter.folder()
    (folder / "moods.py").write_text(MOODY, encoding="utf-8")
    (folder / "arm.json").write_text(json.dumps(CONTRACT), encoding="utf-8")
    (folder / "joints.json").write_text(json.dumps(JOINTS), encoding="utf-8")
    return starter.serve(
        "moods:moody", "--contract", "arm.json", "--joint-spec", "joints.json",
        "--joint-spec-mismatch-cooldown", NEVER, "--metrics-interval", NEVER,
        folder=folder,
    )  # fmt: skip


def test_joint_spec_keeps_q_plus_delta_inside(limited: Gateway) -> None:
    data = limited.ask(observe(0.5, -1.5))["data"]
    assert data["delta"][0] == pytest.approx(0.01)
    data = limited.ask(observe(0.995, -1.5))["data"]
    assert data["delta"][0] == pytest.approx(0.005, abs=1e-6)
    assert data["joint_limit_clipped"] is True and 0 in data["clipped_joint_indices"]
    limited.flush()
    assert limited.metrics()["counters"]["joint_limit_violation"] >= 1


def test_joint_rates_are_kept(limited: Gateway) -> None:
    """0.1 rad/s is 0.004 rad in a period of 40 ms; the policy wants 0.01."""
    with Connection(limited.address) as connection:
        for step in range(5):
            data = connection.ask(observe(0.0, 0.0, sim_time=0.04 * step))["data"]
        assert data["delta"] == pytest.approx([0.01, 0.004], abs=1e-4)


def test_joint_spec_with_a_policy_file_of_the_operators(starter: Starter) -> None:
    folder = starter.folder()
    positions = {joint["name"]: [joint["lower"], joint["upper"]] for joint in JOINTS["joints"]}
    spec = {name: {"lower": low, "upper": high} for name, (low, high) in positions.items()}
    (folder / "joints.json").write_text(json.dumps(spec), encoding="utf-8")
    gateway = starter.script(
        "--policy", dummy(folder, 2), "--joint-spec", "joints.json", folder=folder
    )
    data = gateway.ask(observe(1.5, -2.5))["data"]
    assert -1.0 <= 1.5 + data["delta"][0] <= 1.0
    assert -2.0 <= -2.5 + data["delta"][1] <= 2.0
    assert data["clipped_joint_indices"] == [0, 1]


def test_joint_spec_mismatch_is_counted_and_said_once_in_its_cooldown(limited: Gateway) -> None:
    for _ in range(3):
        limited.ask(observe(0.0, 0.0, 0.0))
    limited.event(type="joint_spec_mismatch")
    limited.flush()
    assert limited.metrics()["counters"]["joint_spec_mismatch"] == 3
    assert len(limited.events(type="joint_spec_mismatch")) == 1


def test_degrade_mode_ratio(starter: Starter) -> None:
    """Where too many steps were missed, the policy's actions are replaced by zeros, and counted."""
    folder = starter.folder()
    (folder / "moods.py").write_text(MOODY, encoding="utf-8")
    (folder / "arm.json").write_text(json.dumps(CONTRACT), encoding="utf-8")
    gateway = starter.serve(
        "moods:moody", "--contract", "arm.json", "--executor", "thread", "--deadline-ms", "5",
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


# files ----------------------------------------------------------------------------------------


def test_files_are_in_logs_unless_told_otherwise(starter: Starter, gateway: Gateway) -> None:
    folder = starter.folder()
    other = starter.script("--policy", dummy(folder), folder=folder)
    other.ask(observe(*ZERO))
    other.flush()
    for each, where in ((other, "logs"), (gateway, "here")):
        each.flush()
        names = {path.name for path in (each.folder / where).iterdir()}
        assert {"ipc_gateway_events.jsonl", "ipc_metrics.json"} <= names
    assert not (gateway.folder / "logs").exists()
    assert other.stop() == 0


def test_events_of_a_message(gateway: Gateway) -> None:
    question = observe(*ZERO, corr_id="logged")
    before = time.time()
    answer = gateway.ask(question)
    got = gateway.event(phase="recv", corr_id="logged")
    sent = gateway.event(phase="send", corr_id="logged")
    assert (got["msg_type"], got["raw"]) == ("obs", question)
    assert got["remote"].startswith("127.0.0.1:")
    assert sent["resp"] == answer
    assert before - 1.0 <= got["ts_wall"] <= sent["ts_wall"] <= time.time() + 1.0


def test_events_of_an_error(gateway: Gateway) -> None:
    answer = ask(gateway.address, b'{broken", "phase":"alert"}\n')
    sent = gateway.event(phase="send", corr_id=answer["corr_id"])
    got = gateway.event(phase="recv", corr_id=answer["corr_id"])
    assert sent["resp"] == answer
    assert got["raw"] == '{broken", "phase":"alert"}'


@pytest.mark.parametrize(
    "text",
    ['{"a":1}\u2028{"phase":"alert","type":"sla_alert"}', 'x\r{"phase":"alert"}', '\x00\x1b[2J"'],
)
def test_no_clients_text_makes_a_line_of_its_own(gateway: Gateway, text: str) -> None:
    gateway.ask(observe(*ZERO, note=text, corr_id=text))
    answer = ask(gateway.address, b"{" + text.encode() + b"\n")
    gateway.event(phase="send", corr_id=answer["corr_id"])
    assert not gateway.events(phase="alert")  # and every line of the file was JSON


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "--compress-rotated"])
def test_events_are_rotated_by_size(starter: Starter, compress: bool) -> None:
    folder = starter.folder()
    more = ("--compress-rotated",) if compress else ()
    gateway = starter.script("--policy", dummy(folder), "--max-log-mb", "1", *more, folder=folder)
    wanted = [f"{number:04d}" + "x" * 240 for number in range(900)]
    with Connection(gateway.address) as connection:
        for start in range(0, len(wanted), 50):
            connection.say(*(observe(*ZERO, corr_id=each) for each in wanted[start : start + 50]))
            for each in wanted[start : start + 50]:
                assert connection.hear()["corr_id"] == each
    assert gateway.stop() == 0
    rotated = sorted(gateway.logs.glob("ipc_gateway_events.jsonl.*"))
    assert rotated
    assert {path.name.endswith(".gz") for path in rotated} == {compress}
    seen = []
    for path in [*rotated, gateway.logs / "ipc_gateway_events.jsonl"]:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            seen += [json.loads(line) for line in file]
    assert [e["corr_id"] for e in seen if e["phase"] == "recv"] == wanted
    assert [e["corr_id"] for e in seen if e["phase"] == "send"] == wanted


@pytest.fixture(scope="module")
def measured(starter: Starter) -> Gateway:
    """A gateway that has answered 250 observations, two of them with a mismatch, and has ended."""
    folder = starter.folder()
    gateway = starter.script(
        "--policy", dummy(folder), "--metrics-interval", NEVER, "--prometheus-textfile",
        "gateway.prom", folder=folder,
    )  # fmt: skip
    with Connection(gateway.address) as connection:
        for number in range(250):
            expected = "other" if number in (100, 200) else "same"
            message = observe(*ZERO, rand_hash="same", expected_rand_hash=expected)
            connection.ask({**message, "corr_id": f"m-{number}"})
    assert gateway.stop() == 0
    return gateway


@pytest.mark.parametrize("key", SUMMARY)
def test_metrics_file_latency(measured: Gateway, key: str) -> None:
    value = measured.metrics()["policy_latency_ms"][key]
    assert math.isfinite(value) and value > 0.0


def test_metrics_file_counts_every_action_up_to_the_exit(measured: Gateway) -> None:
    found = measured.metrics()["policy_latency_ms"]
    assert found["count"] == 250
    assert found["min"] <= found["p50"] <= found["p90"] <= found["p95"] <= found["p99"]
    assert found["p99"] <= found["max"] and found["min"] <= found["mean"] <= found["max"]


@pytest.mark.parametrize("key", RECENT)
def test_metrics_file_recent_latency(measured: Gateway, key: str) -> None:
    value = measured.metrics()["recent_latency_ms"][key]
    assert value == 200 if key == "window" else value > 0.0


@pytest.mark.parametrize("key", COUNTERS)
def test_metrics_file_counters(measured: Gateway, key: str) -> None:
    value = measured.metrics()["counters"][key]
    assert value == (2 if key == "rand_hash_mismatch" else value) and value >= 0


def test_metrics_file_severity_and_time(measured: Gateway) -> None:
    found = measured.metrics()
    assert set(found["severity"]) >= {"latency_p95", "deadline_miss_rate"}
    assert abs(time.time() - found["updated_ts"]) < 3600


def test_nothing_but_whole_files_is_left(measured: Gateway) -> None:
    expected = {"ipc_gateway_events.jsonl", "ipc_metrics.json", "hash_mismatch_events.jsonl"}
    found = {path.name for path in measured.logs.iterdir()}
    assert {name for name in found if not name.endswith(".lock")} == expected


def test_the_metrics_file_is_never_seen_half_written(gateway: Gateway) -> None:
    gateway.flush()
    for _ in range(50):
        with Connection(gateway.address) as connection:
            connection.say({"type": "admin", "op": "flush_metrics"})
            gateway.metrics()
            connection.hear()
            gateway.metrics()


def test_hash_mismatch_file(measured: Gateway) -> None:
    found = measured.lines("hash_mismatch_events.jsonl")
    assert [(e["corr_id"], e["expected"], e["actual"]) for e in found] == [
        ("m-100", "other", "same"),
        ("m-200", "other", "same"),
    ]
    assert all(abs(time.time() - e["ts"]) < 3600 for e in found)


Sample = tuple[dict[str, str], float]
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def textfile(gateway: Gateway) -> dict[str, Sample]:
    """`gateway.prom`, read by the letter of Prometheus' text format: name -> labels and value."""
    found = {}
    for line in (gateway.folder / "gateway.prom").read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            pairs = LABEL.findall(sample[2] or "")
            labels = {name: re.sub(r"\\(.)", _unescaped, value) for name, value in pairs}
            found[sample[1]] = (labels, float(sample[3]))
    return found


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


TEXTFILE = (
    *(f"gateway_policy_latency_ms_{key}" for key in SUMMARY),
    *(f"gateway_recent_latency_ms_{key}" for key in RECENT),
    *(f"gateway_{counter}" for counter in COUNTERS),
    "gateway_severity_latency_p95",
    "gateway_severity_deadline_miss_rate",
)


@pytest.mark.parametrize("name", TEXTFILE)
def test_textfile_metric(measured: Gateway, name: str) -> None:
    labels, value = textfile(measured)[name]
    assert labels == {}
    said: Any = measured.metrics()
    for key in ("policy_latency_ms", "recent_latency_ms", "severity"):
        if name.startswith(f"gateway_{key}_"):
            said = said[key][name.removeprefix(f"gateway_{key}_")]
            break
    else:
        said = said["counters"][name.removeprefix("gateway_")]
    assert value == pytest.approx(said, rel=1e-6)


def test_textfile_labels(gateway: Gateway) -> None:
    gateway.flush()
    found = textfile(gateway)
    assert set(TEXTFILE) <= set(found)
    labels = {"instance_id": 'arm "7" \\ left', "policy_kind": "dummy_zero"}
    assert [name for name in TEXTFILE if found[name][0] != labels] == []


def test_consecutive_empty_joint_states_are_warned_of(starter: Starter) -> None:
    folder = starter.folder()
    gateway = starter.script("--policy", dummy(folder), "--metrics-interval", "0.5", folder=folder)

    def warned() -> list[dict[str, Any]]:
        answer = gateway.ask({"type": "obs", "data": {"q": []}})
        assert answer["error"] == "schema_violation"
        return [e for e in gateway.lines() if e["phase"] != "recv" and "empty" in str(e)
                and e["phase"] in ("alert", "event", "advisory")]  # fmt: skip

    assert until(warned, "a warning of empty joint states")


# tools ----------------------------------------------------------------------------------------


def test_bench_transport(tmp_path: Path) -> None:
    arguments = ("--mode", "tcp", "--joints", "6", "--iterations", "20", "--warmup", "5")
    done = run_script("bench_transport.py", *arguments, "--csv", "out.csv", cwd=tmp_path)
    assert (done.returncode, "p95" in done.stdout) == (0, True), done.stderr
    assert len(table(tmp_path / "out.csv")) >= 1


def test_measure_round_trip(gateway: Gateway, tmp_path: Path) -> None:
    _, port = gateway.address
    arguments = ("--port", f"{port}", "--iters", "20", "--q-dim", "6", "--csv", "out.csv")
    done = run_script("measure_round_trip.py", *arguments, cwd=tmp_path)
    assert (done.returncode, "p95" in done.stdout) == (0, True), done.stderr
    assert len(table(tmp_path / "out.csv")) == 20


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, as a spreadsheet reads them."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of mismatches in two clusters, an hour apart, written by the first system."""
    path = tmp_path_factory.mktemp("drift") / "hash_mismatch_events.jsonl"
    lines = [(100.0 + n, "a", "b") for n in range(4)] + [(3700.0 + n, "a", "c") for n in range(2)]
    text = "".join(
        json.dumps({"ts": ts, "corr_id": f"{ts}", "expected": e, "actual": a}) + "\n"
        for ts, e, a in lines
    )
    path.write_text(text)
    return path


def test_analyze_hash_drift(drifting: Path, tmp_path: Path) -> None:
    done = run_script(
        "analyze_hash_drift.py", "--file", str(drifting), "--cluster-gap", "60", "--top", "5",
        "--csv", "out.csv", "--json", "out.json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "6" in done.stdout and "a -> b" in done.stdout and "a -> c" in done.stdout
    found = json.loads((tmp_path / "out.json").read_text())
    assert len(found["clusters"]) == 2
    assert table(tmp_path / "out.csv")


def test_analyze_hash_drift_quietly(drifting: Path, tmp_path: Path) -> None:
    arguments = ("--file", str(drifting), "--quiet", "--json", "out.json")
    done = run_script("analyze_hash_drift.py", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "out.json").exists()


# what it had set itself as its acceptance -----------------------------------------------------


def test_scripts_for_the_simulator_run_without_an_sre_mismatch(
    fake_isaac: FakeIsaac, tmp_path: Path
) -> None:
    tool = tmp_path / "tool.py"
    tool.write_text("import re, omni\nprint(re.sub('s', 'S', 'seen'))\n", encoding="utf-8")
    done = subprocess.run(
        [str(ROOT / "scripts" / "run_isaac_tool.sh"), str(tool)],
        env=fake_isaac.polluted({"ISAAC_SIM_ROOT": str(fake_isaac.root), "HOME": str(tmp_path)}),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Seen\n"), done.stderr
    assert "SRE module mismatch" not in done.stdout + done.stderr


def test_the_rl_loop_never_imports_omni(tmp_path: Path) -> None:
    loop = tmp_path / "rl_loop.py"
    loop.write_text("import json\n\nprint(json.dumps({}))\n", encoding="utf-8")
    assert run_isthmus("guard", "check", ".", cwd=tmp_path).returncode == 0
    loop.write_text("import omni.kit\n", encoding="utf-8")
    done = run_isthmus("guard", "check", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "omni" in done.stdout + done.stderr


def test_a_policy_that_imports_omni_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text("import omni\n\n\ndef policy():\n    return None\n")
    done = run_isthmus("serve", "loop:policy", cwd=tmp_path)
    assert done.returncode == 2 and "omni" in done.stderr


def test_the_schema_file_exists_and_parses() -> None:
    text = (ROOT / "configs" / "schemas" / "obs_action_schema.json").read_text(encoding="utf-8")
    assert json.loads(text)["schema_version"]


def test_an_echo_round_trip_works(gateway: Gateway) -> None:
    data = gateway.ask(observe(*ZERO, rand_hash="echo me", sim_time=12.25))["data"]
    assert (data["rand_hash"], data["sim_time"]) == ("echo me", 12.25)


def test_correlation_ids_join_recv_and_send_events(gateway: Gateway) -> None:
    corr_ids = [gateway.ask(observe(*ZERO))["corr_id"] for _ in range(10)]
    for corr_id in corr_ids:
        gateway.event(phase="send", corr_id=corr_id)
        assert [e["phase"] for e in gateway.events(corr_id=corr_id)] == ["recv", "send"]


def test_answers_carry_latency_and_profiling(gateway: Gateway) -> None:
    data = gateway.ask(observe(*ZERO))["data"]
    assert data["policy_latency_ms"] > 0.0
    assert data["profiling"]["infer_ms"] >= 0.0 and data["profiling"]["preprocess_ms"] >= 0.0


def test_a_sample_over_the_deadline_has_deadline_miss(alarmed: dict[str, Gateway]) -> None:
    gateway = alarmed["warn"]
    data = gateway.ask(observe(*ZERO))["data"]
    assert data["deadline_miss"] is True
    gateway.flush()
    counters = gateway.metrics()["counters"]
    assert counters["deadline_miss"] >= 51 and counters["deadline_miss_rate"] == 1.0


def test_the_rand_hash_is_echoed_and_a_mismatch_flagged(gateway: Gateway) -> None:
    alike = gateway.ask(observe(*ZERO, rand_hash="r1", expected_rand_hash="r1"))["data"]
    assert alike["rand_hash"] == "r1"
    assert alike.get("rand_hash_mismatch", False) is False
    other = gateway.ask(observe(*ZERO, rand_hash="r1", expected_rand_hash="r2"))["data"]
    assert (other["rand_hash"], other["expected_rand_hash"]) == ("r1", "r2")
    assert other["rand_hash_mismatch"] is True


def test_the_metrics_file_holds_p95(gateway: Gateway) -> None:
    gateway.ask(observe(*ZERO))
    gateway.flush()
    assert gateway.metrics()["policy_latency_ms"]["p95"] > 0.0
