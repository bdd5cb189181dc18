"""The file for a node exporter: the first system's names and ours, valid, never half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from isthmus.control.families import constant_labels, families
from isthmus.control.first_system import FIRST_SYSTEM
from isthmus.control.metrics import METRICS
from isthmus.control.textfile import Textfile
from isthmus.gateway.metrics_file import to_dict
from isthmus.telemetry import Snapshot

from .promtool import LINT, needs_promtool, promtool
from .snapshots import DURATIONS_NS, busy, histogram, idle

NASTY = 'cell "3"\\north\nwing, a=b{}'

# As its operators graph them; written from the contract with them and not from our table.
STATISTICS = "count mean std min max p50 p90 p95 p99".split()
NAMES = {
    *(f"gateway_policy_latency_ms_{each}" for each in STATISTICS),
    *(f"gateway_recent_latency_ms_{each}" for each in "window p50 p90 p95 p99".split()),
    "gateway_deadline_miss",
    "gateway_deadline_miss_rate",
    "gateway_rand_hash_mismatch",
    "gateway_joint_limit_violation",
    "gateway_joint_spec_mismatch",
    "gateway_deadline_escalation_events",
    "gateway_consec_deadline_miss",
    "gateway_degrade_zeroed",
    "gateway_severity_latency_p95",
    "gateway_severity_deadline_miss_rate",
}


def written(path: Path, snapshot: Snapshot, **options: bool | str) -> str:
    Textfile(path, **options)(snapshot)  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What a reader makes of it. This one shows every counter with `_total`: back to the file."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            old = sample.name.startswith("gateway_")
            name = sample.name.removesuffix("_total") if old else sample.name
            found[name, frozenset(sample.labels.items())] = sample.value
    return found


def values(text: str) -> dict[str, float]:
    """Name -> value, of the samples without labels."""
    return {name: value for (name, labels), value in samples(text).items() if not labels}


def test_it_has_the_first_systems_names(tmp_path: Path) -> None:
    found = values(written(tmp_path / "a.prom", busy()))
    assert {name for name in found if name.startswith("gateway_")} == NAMES
    assert {row.name for row in FIRST_SYSTEM} == NAMES


def test_and_the_first_systems_values(tmp_path: Path) -> None:
    snapshot = busy()
    found = values(written(tmp_path / "a.prom", snapshot))
    assert found["gateway_policy_latency_ms_count"] == len(DURATIONS_NS)
    assert found["gateway_policy_latency_ms_max"] == 70
    assert found["gateway_policy_latency_ms_p50"] == pytest.approx(4, rel=0.01)
    assert found["gateway_policy_latency_ms_mean"] == pytest.approx(sum(DURATIONS_NS) / 6e6)
    assert found["gateway_recent_latency_ms_window"] == 200
    assert found["gateway_recent_latency_ms_p95"] == 8
    assert found["gateway_deadline_miss"] == 100
    assert found["gateway_deadline_miss_rate"] == 0.25
    assert found["gateway_consec_deadline_miss"] == 2
    assert found["gateway_rand_hash_mismatch"] == snapshot.counters["rand_hash_mismatch"]
    assert found["gateway_severity_latency_p95"] == 1
    assert found["gateway_severity_deadline_miss_rate"] == 2


@pytest.mark.parametrize("snapshot", [idle(), busy()], ids=["idle", "busy"])
def test_it_says_the_same_as_ipc_metrics_json(tmp_path: Path, snapshot: Snapshot) -> None:
    file = to_dict(snapshot)
    wanted = {
        **{f"gateway_policy_latency_ms_{k}": v for k, v in file["policy_latency_ms"].items()},
        **{f"gateway_recent_latency_ms_{k}": v for k, v in file["recent_latency_ms"].items()},
        **{f"gateway_{k}": v for k, v in file["counters"].items()},
        **{f"gateway_severity_{k}": v for k, v in file["severity"].items()},
    }
    found = values(written(tmp_path / "a.prom", snapshot))
    assert {name: wanted[name] for name in NAMES} == {name: found[name] for name in NAMES}


def test_counters_are_typed_as_such_and_named_as_ever(tmp_path: Path) -> None:
    lines = written(tmp_path / "a.prom", busy()).splitlines()
    assert "# TYPE gateway_deadline_miss counter" in lines and "gateway_deadline_miss 100" in lines
    assert "# TYPE gateway_policy_latency_ms_count counter" in lines
    assert "# TYPE gateway_deadline_miss_rate gauge" in lines


def test_it_is_the_whole_time_in_the_gateway(tmp_path: Path) -> None:
    stages = {"policy": histogram(9_000_000), "infer": histogram(5_000_000)}
    found = values(written(tmp_path / "a.prom", busy(stages=stages)))
    assert found["gateway_policy_latency_ms_max"] == 9


@pytest.mark.parametrize("snapshot", [idle(), busy()], ids=["idle", "busy"])
@pytest.mark.parametrize("labels", [True, False])
def test_what_is_read_back_is_what_both_tables_say(
    tmp_path: Path, snapshot: Snapshot, labels: bool
) -> None:
    text = written(tmp_path / "a.prom", snapshot, instance_id=NASTY, labels=labels)
    constant = constant_labels(snapshot, NASTY, labels)
    assert samples(text) == {
        (family.name + sample.suffix, frozenset(sample.labels.items())): sample.value
        for family in families(snapshot, constant, (*FIRST_SYSTEM, *METRICS))
        for sample in family.samples
    }


def test_labels_are_quoted_as_prometheus_wants_them(tmp_path: Path) -> None:
    text = written(tmp_path / "a.prom", busy(), instance_id='a"b\\c\nd', labels=True)
    assert '\ngateway_deadline_miss{instance_id="a\\"b\\\\c\\nd",policy_kind="onnx"} 100\n' in text
    without = written(tmp_path / "b.prom", busy(), instance_id="cell")
    assert "\ngateway_deadline_miss 100\n" in without and "instance_id" not in without


@needs_promtool
@pytest.mark.parametrize("labels", [True, False])
def test_prometheus_reads_it_and_only_dislikes_old_names(tmp_path: Path, labels: bool) -> None:
    """Milliseconds, and counters without `_total`: their names are what they are."""
    text = written(tmp_path / "a.prom", busy(), instance_id=NASTY, labels=labels)
    status, said = promtool("check", "metrics", stdin=text.encode())
    assert status == LINT
    assert all(line.startswith("gateway_") for line in said.splitlines())


def test_a_reader_sees_the_file_before_or_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.prom"
    before = written(path, idle())
    seen = []

    def replace(source: Path, target: Path) -> None:
        seen.append(path.read_text(encoding="utf-8"))
        assert source.parent == path.parent and source.suffix != ".prom"
        os.rename(source, target)

    monkeypatch.setattr("isthmus.control.textfile.os.replace", replace)
    after = written(path, busy())
    assert seen == [before] and after != before
    assert os.listdir(tmp_path) == ["a.prom"]


def test_a_failure_leaves_the_former_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.prom"
    before = written(path, idle())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("isthmus.control.textfile.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        Textfile(path)(busy())
    assert path.read_text(encoding="utf-8") == before
    assert os.listdir(tmp_path) == ["a.prom"]


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Textfile(tmp_path / "nowhere" / "a.prom")(busy())
