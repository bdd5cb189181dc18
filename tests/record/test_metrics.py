from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isthmus.record.metrics import quantiles_us, summarise

from .synthetic import STEPS, make_run


def test_misses_count_in_act_but_not_in_its_stages(tmp_path: Path) -> None:
    metrics = make_run(tmp_path, missed=frozenset({3, 4})).finish({})
    assert metrics["steps"] == 2 * STEPS
    assert metrics["misses"] == 2
    assert metrics["miss_rate"] == pytest.approx(2 / (2 * STEPS))
    assert metrics["status"] == {"policy": 2 * STEPS - 2, "bridged": 2}
    assert metrics["causes"] == {"deadline": 2}
    assert (metrics["episodes"], metrics["complete"], metrics["reached"]) == (2, 2, 1)
    assert metrics["latency_us"]["total"]["max"] == 31_700.0
    assert metrics["latency_us"]["wire"]["max"] < 31_700.0
    assert list(metrics["latency_us"]) == ["encode", "wire", "queue", "infer", "decode", "total"]


def test_quantiles_are_in_microseconds() -> None:
    found = quantiles_us(np.arange(1, 101) * 1000)
    assert found == {"p50": 50.5, "p95": 95.05, "p99": 99.01, "max": 100.0}


def test_nothing_recorded_is_a_summary_too() -> None:
    assert summarise([], []) == {
        "steps": 0,
        "episodes": 0,
        "complete": 0,
        "reached": 0,
        "misses": 0,
        "miss_rate": 0.0,
        "status": {},
        "causes": {},
        "latency_us": {},
    }
