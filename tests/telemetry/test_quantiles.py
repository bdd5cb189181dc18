"""Quantiles against exact ones, on what latencies look like and on what they do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from isthmus.telemetry import QUANTILES, LatencyWindow, LogHistogram
from isthmus.telemetry.histogram import RELATIVE_ERROR, record_rows

COUNT = 20_000
SHARES = (0.0, 0.001, 0.01, 0.1, 0.25, *QUANTILES.values(), 0.9999, 1.0)


def drawn(name: str) -> NDArray[np.int64]:
    """COUNT durations in ns of one distribution."""
    rng = np.random.default_rng(20_240_607)
    fast, slow = rng.normal(2e5, 1e4, COUNT), rng.normal(8e7, 5e6, COUNT)
    found = {
        "lognormal": lambda: rng.lognormal(12, 1.5, COUNT),
        "lognormal, very wide": lambda: rng.lognormal(10, 4, COUNT),
        "pareto": lambda: 5e4 * (1 + rng.pareto(1.1, COUNT)),
        "pareto without a mean": lambda: 1e3 * (1 + rng.pareto(0.5, COUNT)),
        "bimodal": lambda: np.where(rng.random(COUNT) < 0.97, fast, slow),
        "constant": lambda: np.full(COUNT, 123_457.0),
        "zeros and a spike": lambda: np.where(np.arange(COUNT) == 7, 9e11, 0.0),
        "single nanoseconds": lambda: rng.integers(0, 4, COUNT).astype(float),
        "one per decade": lambda: np.tile(10.0 ** np.arange(0, 12), COUNT // 12 + 1)[:COUNT],
    }[name]()
    return np.clip(found, 0, 999_000_000_000).astype(np.int64)


NAMES = (
    "lognormal", "lognormal, very wide", "pareto", "pareto without a mean", "bimodal", "constant",
    "zeros and a spike", "single nanoseconds", "one per decade",
)  # fmt: skip


def filled(values: NDArray[np.int64]) -> LogHistogram:
    histogram = LogHistogram()
    histogram.record_many(values.tolist())
    return histogram


def nearest(values: NDArray[np.int64], share: float) -> int:
    """The smallest value that at least `share` of all do not exceed."""
    return int(np.sort(values)[max(0, math.ceil(share * len(values)) - 1)])


@pytest.mark.parametrize("name", NAMES)
def test_every_quantile_is_within_one_percent(name: str) -> None:
    values = drawn(name)
    exact = np.array([nearest(values, share) for share in SHARES])
    found = np.array(filled(values).quantiles(SHARES))
    error = np.abs(found - exact) / np.maximum(exact, 1)
    assert error.max() <= RELATIVE_ERROR * (1 + 1e-9), dict(zip(SHARES, error, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_sums_are_exact(name: str) -> None:
    values = drawn(name).tolist()
    found = filled(drawn(name)).summary()
    assert found["mean"] == sum(values) / COUNT
    variance = (COUNT * sum(v * v for v in values) - sum(values) ** 2) / COUNT**2
    assert found["std"] == pytest.approx(variance**0.5, rel=1e-12)
    assert (found["min"], found["max"]) == (min(values), max(values))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parts", [1, 2, 7, 100])
def test_parts_merged_are_the_whole(name: str, parts: int) -> None:
    values = drawn(name)
    merged = LogHistogram()
    for part in np.array_split(np.random.default_rng(parts).permutation(values), parts):
        merged.merge(filled(part))
    assert merged.to_dict() == filled(values).to_dict()


@pytest.mark.parametrize("name", NAMES)
def test_one_by_one_equals_all_at_once(name: str) -> None:
    values = drawn(name)[:2000]
    histogram = LogHistogram()
    for value in values.tolist():
        histogram.record(value)
    assert histogram.to_dict() == filled(values).to_dict()


@pytest.mark.parametrize("make", ["histogram", "window"])
def test_few_samples_do_not_understate(make: str) -> None:
    values, window = [1_000, 1_100, 1_200, 2_000, 20_400], LatencyWindow()
    window.add_many(range(5), values)
    found = window.recent() if make == "window" else filled(np.array(values)).summary()
    assert found["p50"] == pytest.approx(1_200, rel=RELATIVE_ERROR)
    assert (found["p90"], found["p95"], found["p99.9"]) == (20_400, 20_400, 20_400)


def test_columns_of_a_table_count_apart() -> None:
    columns = [drawn("lognormal")[:500], drawn("bimodal")[:500], np.full(500, -1, np.int64)]
    columns[0][::3] = -1  # not known in every third step
    found = [LogHistogram() for _ in columns]
    record_rows(found, list(zip(*(column.tolist() for column in columns), strict=True)))
    for histogram, column in zip(found, columns, strict=True):
        assert histogram.to_dict() == filled(column[column >= 0]).to_dict()


@pytest.mark.parametrize("name", NAMES)
def test_what_came_since_a_copy(name: str) -> None:
    values = drawn(name)
    histogram = filled(values[:5000])
    before = histogram.copy()
    histogram.record_many(values[5000:].tolist())
    since, exact = histogram.since(before), filled(values[5000:])
    assert before.to_dict() == filled(values[:5000]).to_dict(), "the copy stands by itself"
    assert (since.count, since.total) == (exact.count, exact.total)
    assert since.std == pytest.approx(exact.std)
    inner = SHARES[1:-1]
    assert since.quantiles(inner) == pytest.approx(exact.quantiles(inner), rel=0.0202, abs=1)


def test_nothing_came_since_a_copy() -> None:
    histogram = filled(drawn("pareto"))
    nothing = histogram.since(histogram.copy())
    assert nothing.to_dict() == LogHistogram().to_dict()


def test_what_was_begun_anew_is_all_new() -> None:
    before, anew = filled(drawn("pareto")), filled(drawn("pareto")[:10])
    assert anew.since(before).to_dict() == anew.to_dict()
    assert anew.since(filled(drawn("one per decade"))).to_dict() == anew.to_dict()


def test_buckets_ascend_and_hold_everything() -> None:
    histogram = filled(drawn("bimodal"))
    bounds, numbers = zip(*histogram.buckets(), strict=True)
    assert list(bounds) == sorted(bounds)
    assert sum(numbers) == COUNT
    assert bounds[-1] >= histogram.max


@pytest.mark.parametrize("name", NAMES)
def test_the_recent_window_is_exact(name: str) -> None:
    values = drawn(name)[:1000]
    window = LatencyWindow(60)
    window.add_many(range(1000), values.tolist())
    last, found = values[-200:], window.recent()
    assert found["count"] == 200
    for quantile, share in QUANTILES.items():
        assert found[quantile] == nearest(last, share)
    assert found["mean"] == pytest.approx(last.mean())
    assert found["std"] == pytest.approx(last.std(), rel=1e-12, abs=1e-6)
    assert (found["min"], found["max"]) == (last.min(), last.max())
