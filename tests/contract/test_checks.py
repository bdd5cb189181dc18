from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.contract.checks import brief, check_text, listing, nanoseconds
from isthmus.errors import ContractError


class Hostile:
    """A value that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), {"a": [10**5000]}, nested(10_000), "x" * 10**6, b"x" * 10**6],
    ids=["huge", "negative", "inside", "deep", "text", "bytes"],
)
def test_a_value_is_shown_shortly(value: object) -> None:
    assert len(brief(value)) < 200


def test_a_value_that_cannot_be_shown_is_named() -> None:
    assert brief(Hostile()) == "<Hostile>"
    assert brief([Hostile()]) == "[<Hostile>]"
    assert brief(7) == "7"
    assert brief(True) == "True"


def test_a_listing_is_cut() -> None:
    assert listing(["a", 2]) == "'a', 2"
    assert listing(range(20), most=2) == "0, 1 and 18 more"


@pytest.mark.parametrize("text", ["a\x00", "\n", "\x7f", "\x85", "\u2028", "\ud800", "\udfff"])
def test_characters_that_break_a_line_or_a_codec_are_refused(text: str) -> None:
    with pytest.raises(ContractError, match="printable"):
        check_text("name", text)


@given(text=st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=128))
def test_any_other_text_is_a_name_on_every_python(text: str) -> None:
    assert check_text("name", text) == text
    assert text.encode("utf-8").decode("utf-8") == text


@given(ns=st.integers(1, 3_600_000_000_000))
def test_nanoseconds_survive_seconds(ns: int) -> None:
    assert nanoseconds("control_dt", ns / 1e9) == ns
