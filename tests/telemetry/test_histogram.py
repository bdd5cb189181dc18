from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import ContractError
from isthmus.telemetry import LogHistogram
from isthmus.telemetry.histogram import RELATIVE_ERROR

durations = st.lists(st.integers(0, 10**12), min_size=1, max_size=200)


def filled(values: list[int]) -> LogHistogram:
    histogram = LogHistogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(durations, st.floats(0, 1))
def test_quantiles_are_within_the_error(values: list[int], q: float) -> None:
    true = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    assert filled(values).quantile(q) == pytest.approx(true, rel=RELATIVE_ERROR * (1 + 1e-9))


@given(durations)
def test_sums_are_exact(values: list[int]) -> None:
    histogram = filled(values)
    assert (histogram.count, histogram.total) == (len(values), sum(values))
    assert (histogram.min, histogram.max) == (min(values), max(values))
    assert histogram.mean == pytest.approx(np.mean(values))
    assert histogram.std == pytest.approx(np.std(values), rel=1e-6, abs=1e-3)
    assert histogram.quantile(1) == max(values)


def test_std_does_not_cancel() -> None:
    assert filled([10**11, 10**11 + 2]).std == 1.0


@given(durations, durations)
def test_merging_equals_recording_both(first: list[int], second: list[int]) -> None:
    merged = filled(first)
    merged.merge(filled(second))
    assert merged.to_dict() == filled(first + second).to_dict()


def test_merging_with_an_empty_one() -> None:
    full, empty = filled([5, 7]), LogHistogram()
    empty.merge(full)
    full.merge(LogHistogram())
    assert empty.to_dict() == full.to_dict()
    assert full.min == 5


@given(durations)
def test_json_round_trip(values: list[int]) -> None:
    data = json.loads(json.dumps(filled(values).to_dict()))
    assert LogHistogram.from_dict(data).to_dict() == data


def test_an_empty_histogram_reads_zero() -> None:
    empty = LogHistogram()
    assert (empty.mean, empty.std, empty.quantile(0.5), empty.min, empty.max) == (0, 0, 0, 0, 0)
    assert LogHistogram.from_dict(empty.to_dict()).count == 0


def test_outside_its_range() -> None:
    histogram = filled([-5, 0, 10**15])
    assert (histogram.min, histogram.max) == (0, 10**15)
    assert histogram.quantile(0) == 0
    assert histogram.quantile(0.5) == 0


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_refuses_what_is_no_share(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        LogHistogram().quantile(q)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"relative_error": 0.02},
        {"count": 3},
        {"count": "many"},
        {"buckets": []},
        {"buckets": {"-1": 2}},
        {"buckets": {"99999": 2}},
        {"buckets": {"1": -2, "2": 4}},
        {"total": None},
    ],
)
def test_refuses_another_form(change: dict[str, object]) -> None:
    data = {**filled([3, 4]).to_dict(), **change}
    with pytest.raises(ContractError, match="histogram"):
        LogHistogram.from_dict(data)


def test_refuses_a_missing_key() -> None:
    data = filled([3]).to_dict()
    del data["squares"]
    with pytest.raises(ContractError, match="squares"):
        LogHistogram.from_dict(data)


def test_a_realistic_run() -> None:
    values = [int(random.Random(7).lognormvariate(11, 0.6)) for _ in range(10)]
    histogram = filled(values * 1000)
    assert histogram.quantile(0.99) == pytest.approx(max(values), rel=0.011)
