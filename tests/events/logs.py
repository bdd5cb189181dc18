"""What tests of logs share: events with a number of their own, and all that a log holds of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from isthmus.events.gaps import Gaps
from isthmus.events.reader import LogLine, LogReader

NAME = "events.jsonl"


def lines_of(folder: Path, name: str = NAME) -> list[LogLine]:
    """Read a whole log, in which nothing is damaged."""
    with closing(LogReader(folder / name)) as reader:
        lines = list(reader.read())
    assert reader.damage == []
    return lines


def events_of(folder: Path, name: str = NAME) -> list[dict[str, Any]]:
    """Read the events of a whole log."""
    return [line.event for line in lines_of(folder, name)]


def kinds_of(folder: Path, name: str = NAME) -> list[str]:
    """Read what kinds of event a log holds, in order."""
    return [event["type"] for event in events_of(folder, name)]


def numbers_of(folder: Path) -> list[int]:
    """Read the numbers that a test gave its events."""
    return [event["n"] for event in events_of(folder) if "n" in event]


def gaps_of(folder: Path, name: str = NAME) -> Gaps:
    """Follow the numbers of a whole log."""
    gaps = Gaps(name)
    for line in lines_of(folder, name):
        gaps.see(line.boot, line.seq, line.event)
    return gaps


def missing_of(folder: Path, name: str = NAME) -> int:
    """Count the events that a log reports missing."""
    return sum(gap.events for _, gap in gaps_of(folder, name).all())


def check_gaps(folder: Path, name: str = NAME) -> dict[str, int]:
    """Hold what the log reports missing against what its events' own numbers say.

    Each boot's events are numbered from 0 by one producer, in `n`: between two that follow each
    other, as many are missing as their numbers say, and there the log must have its gaps.

    Returns:
        Boot -> how many of its events the log accounts for: those it holds, and those it reports
        missing.
    """
    lines, gaps = lines_of(folder, name), gaps_of(folder, name)
    accounted = {}
    for boot in gaps.boots.values():
        reported = gaps.of(boot)
        last_n = last_seq = -1
        for line in lines:
            if line.boot != boot.token or "n" not in line.event:
                continue
            inside = [gap for gap in reported if last_seq < gap.first and gap.last < line.seq]
            assert sum(gap.events for gap in inside) == line.event["n"] - last_n - 1, line
            last_n, last_seq = line.event["n"], line.seq
        at_the_end = sum(gap.events for gap in reported if gap.first > last_seq)
        accounted[boot.token] = last_n + 1 + at_the_end
    return accounted
