"""The table of metrics: its names, its labels, and what it reads."""

from __future__ import annotations

import re

import pytest

from isthmus.control.families import BOUNDS_S, Family, constant_labels, families
from isthmus.control.metrics import METRICS, Metric
from isthmus.protocol.bounds import ERROR_CODES
from isthmus.telemetry import COUNTERS, GATEWAY_STAGES, LogHistogram, Snapshot

from .snapshots import DURATIONS_NS, busy, histogram, idle, session

ROWS = {row.name: row for row in METRICS}
each_row = pytest.mark.parametrize("row", METRICS, ids=lambda row: row.name)


def values(name: str, snapshot: Snapshot) -> dict[tuple[str, ...], float | LogHistogram]:
    return dict(ROWS[name].read(snapshot))


def told(name: str, snapshot: Snapshot) -> Family:
    (found,) = families(snapshot, {}, [ROWS[name]])
    return found


@each_row
def test_names_say_kind_and_unit(row: Metric) -> None:
    assert re.fullmatch(r"isthmus_[a-z]+(_[a-z]+)*", row.name)
    assert row.name.endswith("_total") == (row.kind == "counter")
    assert row.name.endswith("_info") == (row.kind == "info")
    if row.unit:
        assert row.unit in ("seconds", "ratio")
        assert row.name.removesuffix("_total").endswith("_" + row.unit)
    assert row.kind != "histogram" or row.unit == "seconds"
    assert row.help.endswith(".") and "\n" not in row.help


@each_row
def test_labels_are_legal_and_collide_with_no_constant_one(row: Metric) -> None:
    assert all(re.fullmatch(r"[a-z]+", label) for label in row.labels)
    assert not {"instance_id", "policy_kind", "le", "quantile", "job", "instance"} & {*row.labels}
    assert len(set(row.labels)) == len(row.labels)


def test_no_name_is_there_twice_also_without_its_ending() -> None:
    """In OpenMetrics the family of `x_total` is `x`."""
    bare = [re.sub(r"_(total|info)$", "", row.name) for row in METRICS]
    assert len(set(bare)) == len(bare)


@each_row
@pytest.mark.parametrize("snapshot", [idle(), busy()], ids=["idle", "busy"])
def test_each_reads_one_value_per_set_of_labels(row: Metric, snapshot: Snapshot) -> None:
    found = list(row.read(snapshot))
    assert all(len(labels) == len(row.labels) for labels, _ in found)
    assert len({labels for labels, _ in found}) == len(found)
    assert all(isinstance(value, LogHistogram) == (row.kind == "histogram") for _, value in found)


@each_row
def test_a_busy_gateway_has_a_value_of_everything(row: Metric) -> None:
    assert list(row.read(busy()))


def test_every_counter_is_a_metric() -> None:
    by_source = {row.source: row.name for row in METRICS if row.kind == "counter"}
    snapshot = busy()
    for name in COUNTERS:
        assert values(by_source[f"counters[{name}]"], snapshot) == {(): snapshot.counters[name]}


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("isthmus_answers_total", {"policy", "miss", "fallback", "error"}),
        ("isthmus_errors_total", set(ERROR_CODES)),
        ("isthmus_ladder_seconds_total", {"disarmed", "normal", "bridge", "stopped"}),
        ("isthmus_stage_duration_seconds", set(GATEWAY_STAGES)),
    ],
)
def test_a_closed_set_is_there_from_the_start(name: str, members: set[str]) -> None:
    assert {label for (label,) in values(name, idle())} == members


def test_what_a_closed_set_does_not_know_is_other() -> None:
    snapshot = busy(
        error_codes={"bad_json": 1, "x": 2, "y": 3},
        outcomes={"guess": 4},
        levels_s={"warp": 5.0},
        sessions=(session("pigeon", "binary"), session("shm", "morse"), session("shm", "binary")),
    )
    assert values("isthmus_errors_total", snapshot)[("other",)] == 5
    assert values("isthmus_answers_total", snapshot)[("other",)] == 4
    assert values("isthmus_ladder_seconds_total", snapshot)[("other",)] == 5.0
    connected = values("isthmus_connected_sessions", snapshot)
    assert connected[("other", "other")] == 2 and connected[("shm", "binary")] == 1


def test_sessions_are_counted_and_never_named() -> None:
    snapshot = busy()
    assert values("isthmus_connected_sessions", snapshot)[("tcp", "json")] == 1
    assert values("isthmus_connected_sessions", snapshot)[("unix", "json")] == 0
    assert values("isthmus_connected_environments", snapshot) == {(): 5}
    assert values("isthmus_worst_session_miss_ratio", snapshot) == {(): 0.5}
    assert values("isthmus_worst_session_consecutive_misses", snapshot) == {(): 2}
    shown = [
        value
        for family in families(snapshot, {})
        for sample in family.samples
        for value in sample.labels.values()
    ]
    assert not {each.name for each in snapshot.sessions} & {*shown}


def test_the_miss_ratio_is_a_share_of_all_observations() -> None:
    assert values("isthmus_deadline_miss_ratio", busy()) == {(): 0.25}
    assert values("isthmus_deadline_miss_ratio", idle()) == {(): 0.0}


def test_what_the_alerts_look_at_is_absent_where_there_is_nothing_to_judge() -> None:
    assert values("isthmus_recent_deadline_miss_ratio", busy()) == {(): 0.125}
    assert values("isthmus_empty_joint_state_run", busy()) == {(): 3}
    for snapshot in (idle(), busy(readings={"deadline_miss_rate": None})):
        assert not values("isthmus_recent_deadline_miss_ratio", snapshot)


def test_durations_are_in_seconds() -> None:
    snapshot = busy()
    assert values("isthmus_start_time_seconds", snapshot) == {(): snapshot.started_wall_ns / 1e9}
    assert values("isthmus_stage_average_seconds", snapshot)[("infer",)] == 5e-3
    found = values("isthmus_stage_percentile_seconds", snapshot)
    assert found[("total", "recent", "p95")] == 8e-3
    assert found[("total", "lately", "p99.9")] == 9e-3
    assert found[("total", "run", "p50")] == pytest.approx(4e-3, rel=0.01)


def test_nothing_measured_has_no_percentiles() -> None:
    empty = {stage: {"count": 0, "p50": 0.0} for stage in GATEWAY_STAGES}
    snapshot = idle(stages={"infer": LogHistogram()}, recent=empty, lately=empty)
    assert not values("isthmus_stage_percentile_seconds", snapshot)
    assert not values("isthmus_round_trip_percentile_seconds", snapshot)


def test_a_histogram_counts_what_lies_below_each_bound() -> None:
    family = told("isthmus_round_trip_seconds", busy())
    buckets = {s.labels["le"]: s.value for s in family.samples if s.suffix == "_bucket"}
    for bound in BOUNDS_S:
        assert buckets[str(bound)] == sum(ns <= bound * 1e9 for ns in DURATIONS_NS)
    assert buckets["+Inf"] == len(DURATIONS_NS)
    sums = {s.suffix: s.value for s in family.samples if s.suffix != "_bucket"}
    assert sums == {"_count": len(DURATIONS_NS), "_sum": sum(DURATIONS_NS) / 1e9}


@pytest.mark.parametrize("bound", BOUNDS_S)
def test_buckets_never_fall_and_end_at_the_count(bound: float) -> None:
    """Durations at and right beside a bound, where rounding could count one twice or never."""
    ns = round(bound * 1e9)
    family = told("isthmus_round_trip_seconds", busy(round_trip=histogram(ns - 1, ns, ns + 1, 1)))
    counts = [s.value for s in family.samples if s.suffix == "_bucket"]
    assert counts == sorted(counts) and counts[-1] == 4


def test_constant_labels_are_on_every_sample_or_on_none() -> None:
    snapshot = busy()
    constant = constant_labels(snapshot, "cell-3", True)
    assert constant == {"instance_id": "cell-3", "policy_kind": "onnx"}
    for family in families(snapshot, constant):
        assert all(constant.items() <= sample.labels.items() for sample in family.samples)
    assert constant_labels(snapshot, "cell-3", False) == {}
    assert constant_labels(idle(), "", True) == {"instance_id": "", "policy_kind": "none"}
