"""`ipc_metrics.json`: every field that the first system's operators read, and never half of it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.gateway.ledger import Ledger
from isthmus.gateway.metrics_file import MetricsFile, to_dict
from isthmus.strictjson import loads
from isthmus.telemetry import GATEWAY_STAGES, LogHistogram, PolicyState, SessionState, Snapshot

from .ledgers import Clock, session, step

LATENCIES_MS = [float(n) for n in range(1, 301)]


def latency() -> LogHistogram:
    """1 ms to 300 ms, one each."""
    found = LogHistogram()
    found.record_many([round(each * 1e6) for each in LATENCIES_MS])
    return found


def snapshot(**changes: Any) -> Snapshot:
    """A gateway that has worked."""
    given: dict[str, Any] = {
        "wall_ns": 1_700_000_000_500_000_000,
        "now_ns": 5,
        "started_wall_ns": 1_600_000_000_000_000_000,
        "policies": (PolicyState("reach", "onnx", "0" * 64, "thread"),),
        "sessions": (
            SessionState("a", "process 1", "shm", "binary", "reach", 1, {"consecutive": 2}),
            SessionState("b", "127.0.0.1:9", "tcp", "json", "reach", 1, {"consecutive": 7}),
        ),
        "readings": {"consec_deadline_miss": 7, "latency_p95_ms": None},
        "stages": {"policy": latency()},
        "recent": {
            "policy": {
                "count": 200, "p50": 1e6, "p90": 2e6, "p95": 3e6, "p99": 4e6, "p99.9": 5e6,
            },
        },
        "counters": {
            "observations": 400, "deadline_miss": 100, "rand_hash_mismatch": 1,
            "joint_limit_violation": 2, "joint_spec_mismatch": 3, "deadline_escalation_events": 4,
            "degrade_zeroed": 5, "late": 6,
        },
        "alerts": {"latency_p95": 2, "deadline_miss_rate": 1, "empty_joint_states": 2},
    }  # fmt: skip
    return Snapshot(**{**given, **changes})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ipc_metrics.json"


@pytest.fixture
def found(file: Path) -> dict[str, Any]:
    MetricsFile(file)(snapshot())
    content: dict[str, Any] = loads(file.read_text())
    return content


def test_policy_latency(found: dict[str, Any]) -> None:
    values = found["policy_latency_ms"]
    exact = {
        "count": 300, "mean": 150.5, "std": float(np.std(LATENCIES_MS)), "min": 1.0, "max": 300.0,
    }  # fmt: skip
    assert {name: values[name] for name in exact} == pytest.approx(exact)
    for name, percent in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        true = np.percentile(LATENCIES_MS, percent, method="lower")
        assert values[name] == pytest.approx(true, rel=0.01)


def test_recent_latency(found: dict[str, Any]) -> None:
    assert found["recent_latency_ms"] == {
        "window": 200, "p50": 1.0, "p90": 2.0, "p95": 3.0, "p99": 4.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deadline_miss", 100),
        ("deadline_miss_rate", 0.25),
        ("rand_hash_mismatch", 1),
        ("joint_limit_violation", 2),
        ("joint_spec_mismatch", 3),
        ("deadline_escalation_events", 4),
        ("consec_deadline_miss", 7),
        ("degrade_zeroed", 5),
    ],
)
def test_counters(found: dict[str, Any], name: str, value: float) -> None:
    assert found["counters"][name] == value


def test_the_first_names_are_all_there_and_no_other_stands_among_them(
    found: dict[str, Any],
) -> None:
    assert list(found) == [
        "policy_latency_ms", "recent_latency_ms", "counters", "severity", "updated_ts", "isthmus",
    ]  # fmt: skip
    assert len(found["counters"]) == 8


def test_severity_and_time(found: dict[str, Any]) -> None:
    assert found["severity"] == {"latency_p95": 2, "deadline_miss_rate": 1}
    assert found["updated_ts"] == 1_700_000_000.5


def test_what_is_ours_stands_apart(found: dict[str, Any]) -> None:
    ours = found["isthmus"]
    assert ours["started_ts"] == 1_600_000_000.0
    assert ours["counters"]["late"] == 6
    assert ours["policies"][0]["name"] == "reach"
    assert [each["peer"] for each in ours["sessions"]] == ["process 1", "127.0.0.1:9"]
    assert set(ours["stages_ms"]) == set(GATEWAY_STAGES)
    assert ours["alerts"]["empty_joint_states"] == 2


def test_a_gateway_that_nobody_has_asked_yet(file: Path) -> None:
    MetricsFile(file)(Ledger().snapshot())
    found = loads(file.read_text())  # which refuses NaN and infinity
    assert found["policy_latency_ms"]["count"] == found["recent_latency_ms"]["window"] == 0
    assert set(found["counters"].values()) == {0}
    assert found["severity"] == {"latency_p95": 0, "deadline_miss_rate": 0}


def test_a_number_that_is_none_is_never_written(file: Path) -> None:
    write = MetricsFile(file)
    write(snapshot())
    before = file.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(snapshot(levels_s={"normal": float("nan")}))
    assert file.read_bytes() == before


def test_it_is_what_the_ledger_says(file: Path) -> None:
    clock = Clock()
    ledger = Ledger(now_ns=clock)
    robot = session()
    ledger.opened(robot)
    for seq in range(4):
        step(ledger, robot, missed=seq > 1, at_ns=clock.now_ns)
    found = to_dict(ledger.snapshot())
    assert (found["policy_latency_ms"]["count"], found["policy_latency_ms"]["max"]) == (4, 0.021)
    assert found["recent_latency_ms"]["window"] == 4
    assert found["counters"]["consec_deadline_miss"] == 2
    assert found["counters"]["deadline_miss_rate"] == 0.5
    assert found["isthmus"]["sessions"][0]["miss_rate"] == 0.5
    assert found["isthmus"]["stages_ms"]["infer"]["recent"]["p50"] == 0.004


# whole or not at all -------------------------------------------------------------------------


def test_a_reader_never_sees_half_a_file(file: Path) -> None:
    write = MetricsFile(file)
    write(snapshot())
    over = threading.Event()
    seen: list[float] = []

    def work() -> None:
        for n in range(100):
            write(snapshot(wall_ns=n * 1_000_000_000, started_wall_ns=10 ** (n % 15)))
        over.set()

    writer = threading.Thread(target=work)
    writer.start()
    while not over.is_set():
        seen.append(json.loads(file.read_text())["updated_ts"])
    writer.join()
    assert json.loads(file.read_text())["updated_ts"] == 99.0
    assert seen
    assert os.listdir(file.parent) == [file.name]  # nothing is left beside it


def test_what_cannot_be_written_leaves_the_former_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = MetricsFile(file)
    write(snapshot())
    before = file.read_bytes()

    def full(self: Path, *arguments: Any, **options: Any) -> int:
        self.write_bytes(b'{"policy_latency_ms": {')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write(snapshot(wall_ns=1))
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        MetricsFile(tmp_path / "gone" / "ipc_metrics.json")(snapshot())
