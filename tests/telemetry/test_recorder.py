from __future__ import annotations

import pytest

from isthmus.telemetry import STAGES, LatencyRecorder
from isthmus.telemetry.recorder import FOLD


def test_counts_each_stage() -> None:
    recorder = LatencyRecorder()
    for step in range(1, 101):
        recorder.record((1000, 2000 * step, 3000, 4000, 5000, 100_000 + step))
    snapshot = recorder.snapshot()
    assert tuple(snapshot) == STAGES
    assert snapshot["encode"]["p50"] == pytest.approx(1.0)
    assert snapshot["wire"]["p50"] == pytest.approx(100, rel=0.01)
    assert snapshot["wire"]["max"] == 200
    assert snapshot["total"]["count"] == 100
    assert set(snapshot["total"]) == {
        "count", "mean", "std", "min", "max", "p50", "p90", "p95", "p99", "p99.9",
    }  # fmt: skip


def test_an_unknown_stage_is_left_out() -> None:
    recorder = LatencyRecorder(("wire", "infer"))
    recorder.record((1000, -1))
    assert recorder.histograms["wire"].count == 1
    assert recorder.snapshot()["infer"]["count"] == 0


def test_refuses_another_number_of_stages() -> None:
    with pytest.raises(ValueError, match="expected 6 stages, got 2"):
        LatencyRecorder().record((1, 2))


def test_a_long_run_is_folded_on_the_way() -> None:
    recorder = LatencyRecorder(("wire", "infer"))
    steps = FOLD + FOLD // 2
    for step in range(steps):
        recorder.record((step, -1 if step % 2 else 7))
    assert recorder.histograms["wire"].count == steps
    assert recorder.histograms["wire"].total == sum(range(steps))
    assert recorder.histograms["infer"].count == (steps + 1) // 2
