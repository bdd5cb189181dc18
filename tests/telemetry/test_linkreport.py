from __future__ import annotations

import json
from typing import Any

import pytest

from isthmus.errors import ContractError
from isthmus.telemetry import LinkReport, LogHistogram


def histogram(*values: int) -> LogHistogram:
    found = LogHistogram()
    found.record_many(values)
    return found


REPORT = LinkReport(
    interval_s=1.25, steps=50, applied=47, misses=2, overruns=1, stale=1, reconnects=1,
    causes={"deadline": 2, "observation": 1}, levels_s={"normal": 1.2, "bridge": 0.05},
    round_trip=histogram(100, 200, 300), wire=histogram(10, 20, 30),
)  # fmt: skip


def test_it_crosses_as_json() -> None:
    data = json.loads(json.dumps(REPORT.to_dict(), allow_nan=False))
    assert LinkReport.from_dict(data).to_dict() == REPORT.to_dict()


def test_what_is_missing_was_not_measured_and_what_is_unknown_is_left_out() -> None:
    assert LinkReport.from_dict({}).to_dict() == LinkReport().to_dict()
    assert LinkReport.from_dict({"steps": 3, "mood": "fine"}).steps == 3


WRONG: list[dict[str, Any]] = [
    {"steps": -1}, {"steps": 1.5}, {"steps": True}, {"steps": "3"}, {"steps": 1 << 60},
    {"interval_s": -0.1}, {"interval_s": float("nan")}, {"interval_s": float("inf")},
    {"interval_s": True}, {"causes": []}, {"causes": {"x" * 65: 1}}, {"causes": {"a": -1}},
    {"causes": {str(n): 1 for n in range(65)}}, {"causes": {3: 1}},
    {"levels_s": {"normal": "long"}}, {"levels_s": {"normal": float("nan")}},
    {"wire": []}, {"wire": {}}, {"round_trip": 5},
    {"wire": {**histogram(5, 6).to_dict(), "squares": 0}},
    {"wire": {**histogram(5, 6).to_dict(), "total": 10**30}},
    {"wire": {**histogram(5, 6).to_dict(), "min": 7, "max": 6}},
    {"wire": {**histogram(5, 6).to_dict(), "min": -1}},
    {"wire": {**histogram(5, 6).to_dict(), "max": 10**40}},
    {"wire": {**histogram(5, 6).to_dict(), "count": 2.0}},
    {"wire": {**histogram(5, 6).to_dict(), "buckets": {"1": 10**30}, "count": 10**30}},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:40])
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="telemetry|histogram"):
        LinkReport.from_dict({**REPORT.to_dict(), **wrong})
