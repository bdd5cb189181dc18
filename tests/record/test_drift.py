"""What a log of hash mismatches is found to say, where the truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from isthmus.record.drift import DriftLog, Mismatch, analyse, describe, parse, read_log, rows
from isthmus.record.drift.clusters import clusters
from isthmus.record.drift.rows import COLUMNS

from .drifting import (
    DRIFTS_FROM,
    EPISODE_S,
    EPISODES,
    START,
    STEPS,
    drawn,
    events,
    old_events,
    write,
)

DRIFTING = (EPISODES - DRIFTS_FROM) * STEPS


@pytest.fixture
def log(tmp_path: Path) -> DriftLog:
    return read_log(write(tmp_path / "log.jsonl", events()))


def mismatches(*times: float) -> list[Mismatch]:
    return [Mismatch(ts, "a", "b") for ts in times]


# --- which parameter, in which session, since when ---------------------------------------------


def test_the_parameter_that_drifts_is_named_with_its_session_and_its_begin(log: DriftLog) -> None:
    report = analyse(log, cluster_gap=30)
    worst, other = report.parameters
    assert (worst.session, worst.key, worst.count) == ("b", "friction[3]", DRIFTING)
    assert worst.first == START + DRIFTS_FROM * EPISODE_S + 0.1
    assert worst.first_seq == DRIFTS_FROM * STEPS
    assert worst.first_corr_id == f"b-{DRIFTS_FROM * STEPS}"
    assert worst.first_sim_time == 0.0
    assert worst.expected_value == drawn(DRIFTS_FROM)["friction"][3]
    assert (other.session, other.key, other.count) == ("c", "delay", STEPS)
    assert (other.expected_value, other.actual_value) == (1, 2)


def test_how_far_it_drifted_and_that_it_grows(log: DriftLog) -> None:
    offsets = analyse(log, cluster_gap=30).parameters[0].offsets
    assert offsets is not None
    first, last = (drawn(episode)["friction"][3] for episode in (DRIFTS_FROM, EPISODES - 1))
    assert offsets.first == pytest.approx(first * 0.01)
    assert offsets.last == pytest.approx(last * (EPISODES - DRIFTS_FROM) / 100)
    assert offsets.least == pytest.approx(offsets.first)
    assert offsets.relative == pytest.approx((EPISODES - DRIFTS_FROM) / 100, rel=0.05)
    assert offsets.trend == "grows"


@pytest.mark.parametrize(
    ("offsets", "trend"),
    [
        ([1.0] * 6, "steady"),
        ([1.0, -1.0] * 3, "steady"),
        ([1.0, 1.2, 1.3, 1.4, 1.4, 1.4], "steady"),
        ([-1.0, -1.0, -2.0, -3.0, -4.0, -5.0], "grows"),
        ([5.0, 4.0, 3.0, 2.0, 1.0, 1.0], "shrinks"),
        ([1.0, 5.0], ""),
    ],
)
def test_a_trend_is_told_of_enough_mismatches(offsets: list[float], trend: str) -> None:
    found = [
        Mismatch(float(at), "a", "b", "s", "k", 10.0, 10.0 + offset)
        for at, offset in enumerate(offsets)
    ]
    parameter = analyse(DriftLog(mismatches=found), cluster_gap=1).parameters[0]
    assert parameter.offsets is not None and parameter.offsets.trend == trend


def test_values_that_are_no_numbers_have_no_offset() -> None:
    pairs: list[tuple[Any, Any]] = [("slick", "rough"), (True, 2), (None, 1.0), (-1.7e308, 1.7e308)]
    for expected, actual in pairs:
        found = [Mismatch(0, "a", "b", "s", "floor", expected, actual)]
        assert analyse(DriftLog(mismatches=found), cluster_gap=1).parameters[0].offsets is None


def test_an_expected_value_of_zero_has_no_share() -> None:
    found = [Mismatch(0, "a", "b", "s", "k", 0, 0.5)]
    offsets = analyse(DriftLog(mismatches=found), cluster_gap=1).parameters[0].offsets
    assert offsets is not None and (offsets.most, offsets.relative) == (0.5, None)


def test_sessions_are_told_apart(log: DriftLog) -> None:
    sessions = analyse(log, cluster_gap=30).sessions
    assert [(s.session, s.count, s.keys) for s in sessions] == [
        ("b", DRIFTING, ("friction[3]",)),
        ("c", STEPS, ("delay",)),
    ]


# --- what the first tool gave ------------------------------------------------------------------


def test_an_old_log_gives_what_the_first_tool_gave(tmp_path: Path) -> None:
    report = analyse(read_log(write(tmp_path / "old.jsonl", old_events())), cluster_gap=10)
    assert report.total == report.unnamed == 4
    assert [(t.expected, t.actual, t.count) for t in report.transitions] == [
        ("aaa", "bbb", 3),
        ("aaa", "ccc", 1),
    ]
    first, last = report.clusters
    assert (first.size, first.duration, first.median_gap) == (3, 2.0, 1.0)
    assert first.score == pytest.approx(3 * (1 - 1 / 10))
    assert (last.size, last.duration, last.median_gap, last.score) == (1, 0.0, None, 0.0)


@pytest.mark.parametrize(
    ("times", "gap", "sizes"),
    [
        ([], 1.0, []),
        ([5.0], 1.0, [1]),
        ([0.0, 1.0, 2.0], 1.0, [3]),
        ([0.0, 1.0, 2.1], 1.0, [2, 1]),
        ([0.0, 0.0, 0.0], 1.0, [3]),
        ([0.0, 9.0, 18.0], 8.9, [1, 1, 1]),
    ],
)
def test_clusters_are_parted_by_a_longer_gap(
    times: list[float], gap: float, sizes: list[int]
) -> None:
    found = clusters(mismatches(*times), gap)
    assert [cluster.size for cluster in found] == sizes
    assert all(0 <= cluster.score <= cluster.size for cluster in found)


def test_a_dense_cluster_scores_more_than_a_long_one() -> None:
    dense, sparse = clusters(mismatches(*range(10), *range(100, 200, 9)), 10)
    assert dense.size < sparse.size and dense.score > sparse.score


def test_a_cluster_names_its_sessions_most_first() -> None:
    found = [Mismatch(float(at), "a", "b", name) for at, name in enumerate("xyy")]
    assert clusters(found, 10)[0].sessions == ("y", "x")


# --- one line ----------------------------------------------------------------------------------


def test_a_line_of_each_age() -> None:
    old = parse(b'{"ts":1.5,"corr_id":"c","expected":"a","actual":"b"}')
    assert old == Mismatch(1.5, "a", "b", corr_id="c")
    new = parse(json.dumps({"seq": 9, "ts_wall": 2, **events()[0], "boot": "x"}).encode())
    assert isinstance(new, Mismatch)
    assert (new.session, new.key, new.seq) == ("c", "delay", 25)
    assert parse(b'{"ts":1,"expected":"a","actual":null}') == Mismatch(1.0, "a", "")


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"ts":"now","expected":"a","actual":"b"}',
        b'{"ts":true,"expected":"a","actual":"b"}',
        b'{"ts":1,"expected":1,"actual":"b"}',
        b'{"ts":1,"actual":"b"}',
        b'{"ts":' + b"9" * 39 + b'0,"expected":"a","actual":["b"]}',
    ],
)
def test_a_line_of_another_kind_is_given_back(line: bytes) -> None:
    assert isinstance(parse(line), dict)


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"3", b'{"ts":NaN}', b'{"ts":1e999}', b"\xff", b"[" * 100_000]
)
def test_a_torn_line_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        parse(line)


@pytest.mark.parametrize(
    "line",
    [
        {"ts": -1e300, "expected": "a", "actual": "b"},
        {"ts": 1e12, "expected": "a", "actual": "b"},
        {"ts": 1, "expected": "a", "actual": "a"},
    ],
)
def test_a_line_that_can_be_no_mismatch_is_given_back(line: dict[str, Any]) -> None:
    assert isinstance(parse(json.dumps(line).encode()), dict)


def test_large_whole_numbers_differ_by_what_they_differ() -> None:
    line = {"ts": 1, "expected": "a", "actual": "b", "session": "s", "key": "n"}
    values = {"expected_value": 2**53, "actual_value": 2**53 + 1}
    found = parse(json.dumps({**line, **values}).encode())
    assert isinstance(found, Mismatch) and found.offset == 1.0
    words = "\n".join(describe(analyse(DriftLog([Path("x")], [found]), cluster_gap=1)))
    assert "off by +1, at most 1.11e-14 % of" in words


def test_long_names_and_values_are_cut() -> None:
    found = Mismatch(1.0, "a", "b", "s" * 5000, "k" * 100_000, "v" * 5000, ["w"] * 5000)
    lines = list(describe(analyse(DriftLog([Path("x")], [found]), cluster_gap=1)))
    assert max(map(len, lines)) < 1000
    assert any(f"{'k' * 120}... (100000 characters)" in line for line in lines)


def test_values_of_a_foreign_kind_do_not_count_as_known() -> None:
    line = {"ts": 1, "expected": "a", "actual": "b", "session": 3, "key": [], "obs_seq": "x"}
    found = parse(json.dumps({**line, "sim_time": "late"}).encode())
    assert found == Mismatch(1.0, "a", "b")


# --- words, JSON, rows -------------------------------------------------------------------------


def test_the_words_say_who_what_and_when(log: DriftLog) -> None:
    words = "\n".join(describe(analyse(log, cluster_gap=30)))
    assert "145 mismatches in 2 sessions" in words
    assert "friction[3] in session b since 2026-11-23 04:02:00.100 UTC (observation 60)" in words
    assert "140 mismatches, first expected 0.4, was 0.404; off by +0.004 to +0.1" in words
    assert "grows" in words
    assert "delay in session c" in words and "expected 1, was 2; off by +1" in words
    assert "score = size x (1 - median gap / cluster gap)" in words


def test_the_words_for_an_old_log(tmp_path: Path) -> None:
    report = analyse(read_log(write(tmp_path / "old.jsonl", old_events())), cluster_gap=10)
    words = "\n".join(describe(report, top=1))
    assert "      3  aaa -> bbb\n  and 1 more" in words
    assert (
        "an unnamed session since 2026-11-23 04:00:00.000 UTC: 4 mismatches, no parameter" in words
    )


def test_a_clients_words_cannot_move_the_cursor() -> None:
    found = [Mismatch(1e18, "a\x1b[2J", "", "s\r\n", "k\x1b]0;x\x07", "\x1b", "팔")]
    words = "".join(describe(analyse(DriftLog(mismatches=found, files=[Path("x")]), cluster_gap=1)))
    assert words.isprintable()
    assert "a\\x1b[2J -> (none said)" in words and "was '팔'" in words


def test_the_report_as_json_and_as_rows(log: DriftLog) -> None:
    report = analyse(log, cluster_gap=30)
    found = json.loads(json.dumps(report.to_dict(top=3), allow_nan=False))
    assert found["total"] == DRIFTING + STEPS and found["unnamed"] == 0
    assert len(found["transitions"]) == 3 < found["transitions_total"] == 29
    assert found["parameters"][0]["key"] == "friction[3]"
    assert found["parameters"][0]["first_utc"] == "2026-11-23 04:02:00.100 UTC"
    assert found["clusters"][0]["size"] == found["sessions"][1]["count"] == STEPS
    table = list(rows(report, top=3))
    kinds = [row["kind"] for row in table]
    assert [kinds.count(k) for k in ("total", "parameter", "session", "transition", "cluster")] == [
        1, 2, 2, 3, len(report.clusters),
    ]  # fmt: skip
    assert all(set(row) <= set(COLUMNS) for row in table)
    assert table[0]["count"] == report.total


def test_a_log_without_a_mismatch(tmp_path: Path) -> None:
    report = analyse(read_log(write(tmp_path / "log.jsonl", [])), cluster_gap=30)
    assert "no mismatch: every expected randomization was in force" in list(describe(report))
    assert report.to_dict(top=1)["first"] is None
    assert list(rows(report, 1)) == []
