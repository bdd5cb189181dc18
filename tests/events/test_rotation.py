"""Names of files put aside: unique, and in order whatever the clock does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from isthmus.events.rotation import Part, drafts, next_part, parts, surplus

SECOND = 1_795_000_000.0


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def put_aside(live: Path, wall: float) -> Path:
    found = parts(live)
    part = next_part(live, wall, found[-1].key if found else None)
    part.path.touch(exist_ok=False)
    return part.path


def test_a_part_is_named_by_its_second(live: Path) -> None:
    assert put_aside(live, SECOND).name == "events.jsonl.20261118T110640Z"
    assert put_aside(live, SECOND + 0.9).name == "events.jsonl.20261118T110640Z-1"
    assert put_aside(live, SECOND + 1).name == "events.jsonl.20261118T110641Z"


def test_names_keep_the_order_of_writing_while_the_clock_jumps(live: Path) -> None:
    chance = random.Random(4)
    made = [put_aside(live, SECOND + chance.choice([-1e6, -1, 0, 0, 0.2, 3600])) for _ in range(60)]
    assert len(set(made)) == 60
    assert [part.path for part in parts(live)] == made


@pytest.mark.parametrize("wall", [-5.0, 0.0, 1e15, float("1e300")])
def test_no_clock_is_too_wrong_for_a_name(live: Path, wall: float) -> None:
    made = [put_aside(live, wall), put_aside(live, SECOND), put_aside(live, wall)]
    assert [part.path for part in parts(live)] == made


def test_a_name_that_is_taken_is_not_taken_again(live: Path) -> None:
    live.with_name("events.jsonl.20261118T110640Z.gz").touch()
    live.with_name("events.jsonl.20261118T110640Z-1").mkdir()
    live.with_name("events.jsonl.20261118T110640Z-2").symlink_to("nowhere")
    assert next_part(live, SECOND, None).path.name == "events.jsonl.20261118T110640Z-3"


def test_only_our_own_files_are_parts(live: Path) -> None:
    for name in (
        "events.jsonl", "events.jsonl.old", "events.jsonl.20250101_120000", "other.jsonl.gz",
        "events.jsonl.20261118T110640Z.bak", "xevents.jsonl.20261118T110640Z",
        ".events.jsonl.20261118T110640Z.gz.tmp", "eventsXjsonl.20261118T110640Z",
    ):  # fmt: skip
        live.with_name(name).touch()
    assert parts(live) == []
    assert [draft.name for draft in drafts(live)] == [".events.jsonl.20261118T110640Z.gz.tmp"]
    assert parts(live.parent / "nowhere" / "events.jsonl") == []


def test_a_part_that_is_there_twice_is_listed_once(live: Path) -> None:
    names = ["events.jsonl.20261118T110640Z", "events.jsonl.20261118T110641Z"]
    for name in (names[0], f"{names[0]}.gz", f"{names[1]}.gz"):
        live.with_name(name).touch()
    found = parts(live)
    assert [part.path.name for part in found] == [names[0], f"{names[1]}.gz"]
    assert [part.compressed for part in found] == [False, True]


@pytest.mark.parametrize(
    ("most", "gone"), [(0, 3), (29, 3), (30, 2), (49, 2), (50, 1), (60, 0), (10_000, 0)]
)
def test_the_oldest_go_until_the_rest_fits(most: int, gone: int) -> None:
    sizes = (10, 20, 30)
    found = [(Part("", number, Path(str(number))), size) for number, size in enumerate(sizes)]
    assert surplus(found, most) == found[:gone]
