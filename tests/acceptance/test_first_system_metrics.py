"""`ipc_metrics.json`, `hash_mismatch_events.jsonl` and the textfile, by key and by metric."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from .first_clients import ZERO, Connection, observe
from .first_files import dummy
from .first_words import COUNTERS, RECENT, SUMMARY, TEXTFILE
from .processes import NEVER, PATIENT, Gateway, Starter
from .textfile import textfile


@pytest.fixture(scope="module")
def measured(starter: Starter) -> Gateway:
    """A gateway that has answered 250 observations, two of them with a mismatch, and has ended."""
    folder = starter.folder()
    gateway = starter.script(
        "--policy", dummy(folder), *PATIENT, "--metrics-interval", NEVER, "--prometheus-textfile",
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
