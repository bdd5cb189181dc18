"""The picture of a drift: whole, finite, and of what was found."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from isthmus.record.drift import DriftLog, Mismatch, analyse, plot, read_log
from isthmus.record.drift.plot import _slices

from .drifting import events, old_events, write


def drawn(log: DriftLog) -> tuple[str, str]:
    """The picture, and its words; it is well-formed, finite and loads nothing."""
    picture = plot(analyse(log, cluster_gap=30))
    words = " ".join(ElementTree.fromstring(picture).itertext())
    assert not re.search(r"\b(nan|inf)\b", picture, flags=re.I)
    assert not re.search(r"href|url\(|@import|https?:(?!//www\.w3\.org/2000/svg)", picture)
    return picture, words


def test_a_drift_is_drawn_by_parameter_session_and_size(tmp_path: Path) -> None:
    picture, words = drawn(read_log(write(tmp_path / "log.jsonl", events())))
    assert "Randomization drift: 145 mismatches in 2 sessions" in words
    assert "friction[3]: actual value minus expected value" in words
    assert "04:02:00" in words and "delay" in words
    assert picture.count("<circle") > 20


def test_an_old_log_is_drawn_without_values(tmp_path: Path) -> None:
    picture, words = drawn(read_log(write(tmp_path / "old.jsonl", old_events())))
    assert "parameter unknown" in words and "unnamed" in words
    assert "<circle" not in picture


def test_no_mismatch_is_a_picture_too() -> None:
    assert "no mismatch" in drawn(DriftLog())[1]


@pytest.mark.parametrize(
    "times",
    [[0.0], [1.8e9] * 3, [1.8e9, 1.8e9 + 1e-3], [0.0, 1.8e9], [-1e17, 1e17], [1.8e9, 1.8e9 + 1e6]],
    ids=str,
)
def test_any_times_can_be_drawn(times: list[float]) -> None:
    found = [Mismatch(ts, "a", "b", "s", "k", 1, 1) for ts in times]
    drawn(DriftLog(mismatches=found))


def test_many_parameters_and_sessions_and_hostile_words() -> None:
    found = [
        Mismatch(float(at), "a", "b", f"<b>&{at % 20}\x07", f'k"{at % 9}\x1b</svg>', -1e300, 1e300)
        for at in range(200)
    ]
    found.append(Mismatch(300.0, "a", "b"))
    _, words = drawn(DriftLog(mismatches=found))
    assert "other parameters" in words and "and 13 more sessions" in words
    assert "<b>&0" in words


@pytest.mark.parametrize("period", [0.02, 0.04, 0.3])
def test_the_pace_of_a_loop_is_no_picket_fence(period: float) -> None:
    """Each slice of time holds as many steps as its neighbours."""
    times = 1.8e9 + period * np.arange(125)
    found = [Mismatch(float(ts), "a", "b", "s", "k", 1, 1) for ts in times]
    picture, words = drawn(DriftLog(mismatches=found))
    assert "Mismatches in each" in words
    counts = np.histogram(times, _slices(times, times[0] - 0.5, times[-1] + 0.5))[0]
    filled = counts[counts > 0][1:-1]
    assert len(filled) > 8 and filled.max() - filled.min() <= 1 and filled.min() >= 3
    assert 'width="100%"' in picture
