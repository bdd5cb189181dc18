"""An event for people: one line, harmless, and what is asked for."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import EventLogError
from isthmus.events.kinds import new_event
from isthmus.events.selecting import Selection, instant, severity_of, wall_of
from isthmus.events.showing import described, harmless, when

NOW = 1_795_000_000.0


def test_a_line_says_when_how_grave_what_and_all_fields() -> None:
    event = {
        "seq": 4, "boot": "a", "ts_wall": NOW + 0.0625, "mono_ns": 7,
        **new_event("deadline_miss", corr_id="c 1", budget_ms=20.0, consecutive=2),
        "empty": "", "raw": {"q": [1, "\u2028é"]},
    }  # fmt: skip
    assert described(event) == (
        "2026-11-18T11:06:40.062Z  warn      deadline_miss        "
        'corr_id="c 1" budget_ms=20.0 consecutive=2 empty="" raw={"q":[1,"\\u2028é"]}'
    )


def test_a_long_value_is_cut_and_a_strange_event_shown() -> None:
    assert described({"resp": "x" * 500}).endswith("x... (500 characters)")
    assert described({}) == "-  info      event"
    assert described({"ts_wall": 1e300, "severity": 9, "phase": "recv"}).split() == [
        "1e+300", "s", "?", "recv",
    ]  # fmt: skip


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=5))
def test_nothing_in_an_event_reaches_the_terminal_as_a_command(event: dict[str, str]) -> None:
    assert described(event).isprintable()


def test_every_character_is_shown_or_named() -> None:
    wrong = []
    for number in (*range(0x3100), *range(0xD7F0, 0x10000), 0x1F600, 0xE0001, sys.maxunicode):
        character = chr(number)
        shown = harmless(character)
        kept = unicodedata.category(character)[0] not in "CZ" or character == " "
        if not shown.isprintable() or (shown == character) != kept:
            wrong.append((character, shown))
    assert wrong == []


@pytest.mark.parametrize(
    ("wall", "text"),
    [(0.0, "1970-01-01T00:00:00.000Z"), (None, "-"), (float("nan"), "nan s"), (-1e20, "-1e+20 s")],
)
def test_times(wall: float | None, text: str) -> None:
    assert when(wall) == text


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("90s", NOW - 90), ("10m", NOW - 600), ("1.5h", NOW - 5400), ("2d", NOW - 172_800),
        ("2026-11-18T11:06:40Z", NOW), ("2026-11-18 11:06:40", NOW),
        ("2026-11-18T13:06:40+02:00", NOW), ("2026-11-18", NOW - 40_000), (" 10m ", NOW - 600),
    ],
)  # fmt: skip
def test_a_time_that_is_typed(text: str, wall: float) -> None:
    assert instant(text, NOW) == wall


@pytest.mark.parametrize("text", ["", "10", "10 m", "soon", "-5m", "2026-13-01"])
def test_a_time_that_is_none(text: str) -> None:
    with pytest.raises(EventLogError, match="expected a time such as 10m"):
        instant(text, NOW)


def test_how_grave_an_event_is() -> None:
    assert severity_of({"severity": 2, "type": "refused"}) == 2
    assert severity_of({"type": "refused"}) == 1
    assert severity_of({"type": "unheard of", "severity": "warn"}) == 0


def test_when_an_event_was() -> None:
    assert wall_of({"ts_wall": 2, "ts": 1}) == 2.0 and wall_of({"ts": 1}) == 1.0
    assert wall_of({"ts_wall": True}) is None and wall_of({"ts_wall": "soon"}) is None


EVENT = {"corr_id": "c", "session": "s", "type": "refused", "ts_wall": NOW}


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), True),
        (Selection(corr_id="c", session="s", type_="refused", severity=1), True),
        (Selection(corr_id="d"), False),
        (Selection(session="d"), False),
        (Selection(type_="sent"), False),
        (Selection(severity=2), False),
        (Selection(since=NOW, until=NOW), True),
        (Selection(since=NOW + 1), False),
        (Selection(until=NOW - 1), False),
    ],
)
def test_what_is_wanted(selection: Selection, wanted: bool) -> None:
    assert selection.wants(EVENT) is wanted
    if wanted:
        assert selection.needle() in json.dumps(EVENT).encode()


def test_an_event_without_a_time_fits_every_time() -> None:
    assert Selection(since=NOW, until=NOW).wants({})


def test_a_needle_is_written_as_it_is_in_the_file() -> None:
    assert Selection(corr_id='a"\u2028').needle() == b'a\\"\\u2028'
