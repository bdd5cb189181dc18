"""docs/SAFETY.md says what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.safety import Event, Level
from isthmus.safety.fallback import RULES
from isthmus.safety.ladder import DEFAULT_REARM, LATCHED, REARM_EVENTS, STATUS, TABLE

PAGE = Path(__file__).parents[2] / "docs" / "SAFETY.md"


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ") and not line.startswith("| level")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


def test_levels(rows: list[list[str]]) -> None:
    for level in Level:
        name = level.name + (", latched" if level in LATCHED else "")
        assert [row[1] for row in rows if row[0] == name and len(row) == 3] == [STATUS[level]]


def test_transitions(rows: list[list[str]]) -> None:
    for level in Level:
        expected = [level.name, *(TABLE[level, event].name for event in Event)]
        assert expected in rows


def test_rearm_rules(rows: list[list[str]]) -> None:
    for rule, events in REARM_EVENTS.items():
        (row,) = [row for row in rows if row[0] == rule]
        assert row[1] == ", ".join(event.name for event in Event if event in events)
        assert (rule in DEFAULT_REARM.values()) is ("nobody" not in row[2])


def test_fallbacks(rows: list[list[str]]) -> None:
    described = {(row[0], row[1]) for row in rows if len(row) == 3}
    assert set(RULES) <= described
