"""What is missing, from the numbers; and why, from what the log says."""

from __future__ import annotations

from typing import Any

from isthmus.events.gaps import UNEXPLAINED, Gaps

NAME = "events.jsonl"


def seen(*lines: tuple[int, dict[str, Any]], boot: str = "a", gaps: Gaps | None = None) -> Gaps:
    gaps = gaps or Gaps(NAME)
    for seq, event in lines:
        gaps.see(boot, seq, {"ts_wall": 5.0, **event})
    return gaps


def lost(kind: str, first: int, last: int, name: str = NAME) -> dict[str, Any]:
    return {"type": kind, "file": name, "first_seq": first, "last_seq": last, "why": "too fast"}


def missing(gaps: Gaps) -> list[tuple[int, int, str]]:
    return [tuple(gap) for _, gap in gaps.all()]


def test_nothing_is_missing() -> None:
    gaps = seen((0, {}), (1, {}), (2, {"type": "log_closed", "file": NAME}))
    assert missing(gaps) == []
    boot = gaps.boots["a"]
    assert (boot.since, boot.lines, boot.last, boot.closed) == (5.0, 3, 2, True)


def test_a_hole_that_is_explained() -> None:
    gaps = seen((0, {}), (6, lost("dropped", 1, 5)), (7, {}))
    assert missing(gaps) == [(1, 5, "dropped: too fast")]
    assert gaps.all()[0][1].events == 5 and not gaps.boots["a"].closed


def test_a_hole_that_is_not() -> None:
    assert missing(seen((0, {}), (3, {}))) == [(1, 2, UNEXPLAINED)]
    assert missing(seen((0, {}), (3, lost("dropped", 1, 2, "other.jsonl")))) == [
        (1, 2, UNEXPLAINED)
    ]
    strange = lost("dropped", 1, 2) | {"first_seq": "1"}
    assert missing(seen((0, {}), (3, strange))) == [(1, 2, UNEXPLAINED)]


def test_a_hole_with_several_reasons() -> None:
    gaps = seen(
        (2, {}), (30, lost("log_gone", 0, 12)), (31, lost("dropped", 15, 20)), (32, {})
    )  # fmt: skip
    removed = "in a file that somebody removed or emptied"
    assert missing(gaps) == [
        (0, 1, removed),
        (3, 12, removed),
        (13, 14, UNEXPLAINED),
        (15, 20, "dropped: too fast"),
        (21, 29, UNEXPLAINED),
    ]


def test_what_the_quota_took_is_the_beginning_of_the_oldest_boot() -> None:
    gaps = seen((100, {}), (101, {}))
    assert missing(gaps) == [
        (0, 99, "in older files that are not here, or in this one before it was emptied")
    ]
    seen((0, {"type": "log_removed", "file": NAME}), (2, {}), boot="b", gaps=gaps)
    assert missing(gaps) == [(0, 99, "in files that the quota removed"), (1, 1, UNEXPLAINED)]
    seen((1, {}), boot="c", gaps=gaps)
    assert missing(gaps)[-1] == (0, 0, UNEXPLAINED)


def test_the_end_of_another_log_is_not_this_ones() -> None:
    gaps = seen((0, {"type": "log_closed", "file": "hashes.jsonl"}))
    assert not gaps.boots["a"].closed


def test_lines_without_numbers_tell_nothing() -> None:
    assert seen((-1, {}), (-1, {})).boots == {}
