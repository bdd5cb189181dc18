"""Reading: in order over all files, while they are written, rotated and compressed."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.events.logs import NAME
from tests.support.rights import closed

from isthmus.errors import EventLogError
from isthmus.events.compressing import compress
from isthmus.events.encode import MAX_LINE
from isthmus.events.reader import LogReader

PARTS = [f"{NAME}.20261118T110640Z", f"{NAME}.20261118T110640Z-1", f"{NAME}.20261118T110641Z"]


class Written:
    """A log written by hand: lines are added, the file is put aside."""

    def __init__(self, folder: Path) -> None:
        self.live = folder / NAME
        self.reader = LogReader(self.live)
        self._seq = 0

    def add(self, count: int = 1, end: str = "\n") -> None:
        with self.live.open("a", encoding="ascii") as file:
            for _ in range(count):
                file.write(json.dumps(self._event(), separators=(",", ":")) + end)

    def put_aside(self, name: str) -> Path:
        return self.live.rename(self.live.with_name(name))

    def read(self) -> list[int]:
        return [line.seq for line in self.reader.read()]

    def _event(self) -> dict[str, Any]:
        self._seq += 1
        return {"seq": self._seq - 1, "boot": "abc", "type": "refused", "corr_id": f"c{self._seq}"}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Written]:
    log = Written(tmp_path)
    yield log
    log.reader.close()


def test_all_files_in_order(log: Written) -> None:
    for name in PARTS:
        log.add(2)
        log.put_aside(name)
    compress(log.live.with_name(PARTS[1]))
    log.add(2)
    lines = list(log.reader.read())
    assert [line.seq for line in lines] == list(range(8))
    assert lines[0].boot == "abc" and lines[0].event["corr_id"] == "c1"
    assert json.loads(lines[3].text) == lines[3].event
    assert log.reader.damage == []


def test_a_reader_goes_on_where_it_was(log: Written) -> None:
    assert log.read() == []
    log.add(2)
    assert log.read() == [0, 1]
    assert log.read() == []
    log.add()
    assert log.read() == [2]


def test_half_a_line_waits_for_its_end(log: Written) -> None:
    log.add()
    log.add(end="")
    assert log.read() == [0]
    assert log.reader.unfinished() > 30 and log.reader.damage == []
    with log.live.open("a") as file:
        file.write("\n")
    assert log.read() == [1] and log.reader.unfinished() == 0


def test_a_half_line_that_is_cut_off_is_forgotten(log: Written) -> None:
    log.add()
    size = log.live.stat().st_size
    log.add(end="")
    assert log.read() == [0]
    os.truncate(log.live, size)
    log.add()
    assert log.read() == [2]


def test_a_file_that_was_emptied_is_read_on(log: Written) -> None:
    log.add(3)
    assert log.read() == [0, 1, 2]
    os.truncate(log.live, 0)
    log.add(2)
    assert log.read() == [3, 4] and log.reader.missed == []


def test_numbers_that_were_never_read_are_noted(log: Written) -> None:
    log.add(2)
    assert log.read() == [0, 1]
    for name in PARTS[:2]:
        log.add(2)
        part = log.put_aside(name)
    log.live.with_name(PARTS[0]).unlink()
    part.unlink()
    log.add()
    assert log.read() == [2, 3, 6]  # the first of them was open
    assert log.reader.missed == [("abc", 4, 5)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_a_rotation_under_the_readers_hands(log: Written, rotations: int, packed: bool) -> None:
    log.add(2)
    assert log.read() == [0, 1]
    for name in PARTS[:rotations]:
        log.add()
        part = log.put_aside(name)
        log.add()
        if packed:
            compress(part)
    assert log.read() == list(range(2, 2 + 2 * rotations))
    assert log.read() == []
    log.add()
    assert log.read() == [2 + 2 * rotations]


def test_a_rotation_before_the_new_file_is_there(log: Written) -> None:
    log.add(2)
    assert log.read() == [0, 1]
    log.add()
    log.put_aside(PARTS[0])
    assert log.read() == [2]
    assert log.read() == []
    log.add()
    assert log.read() == [3]


def test_a_file_that_is_compressed_while_it_is_listed(
    log: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.add(2)
    part = log.put_aside(PARTS[0])
    log.add()
    monkeypatch.setattr(
        "isthmus.events.reader.parts", _parts_then(lambda: part.exists() and compress(part))
    )
    assert [line.seq for line in log.reader.read()] == [0, 1, 2]


def _parts_then(act: Any) -> Any:
    from isthmus.events.rotation import parts

    def listed(live: Path) -> Any:
        found = parts(live)
        act()
        return found

    return listed


def test_a_file_that_is_gone_when_it_is_read(log: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    log.add(2)
    part = log.put_aside(PARTS[0])
    log.add()
    monkeypatch.setattr(
        "isthmus.events.reader.parts", _parts_then(lambda: part.unlink(missing_ok=True))
    )
    assert log.read() == [2]


def test_a_file_that_is_there_twice_is_read_once(log: Written) -> None:
    log.add(2)
    part = log.put_aside(PARTS[0])
    log.live.with_name(f"{PARTS[0]}.gz").write_bytes(gzip.compress(part.read_bytes()))
    log.add()
    assert log.read() == [0, 1, 2]


def test_damage_is_named_and_passed_over(log: Written) -> None:
    log.add(2)
    with log.live.open("ab") as file:
        file.write(b"nonsense\n[1]\n\n\x00\x00\n" + b"[" * 5000 + b"\n" + b"y" * (MAX_LINE + 5))
        file.write(b"\n")
    log.add()
    log.put_aside(PARTS[0]).open("ab").close()
    with log.live.with_name(PARTS[1]).open("wb") as file:
        file.write(gzip.compress(b'{"seq":3,"boot":"abc"}\n' * 2000)[:-30])
    log.live.with_name(PARTS[1]).rename(log.live.with_name(f"{PARTS[1]}.gz"))
    with log.live.with_name(PARTS[2]).open("wb") as file:
        file.write(b'{"seq":4,"boot":"abc"}\n{"seq":5,"bo')
    log._seq = 6
    log.add()
    assert log.read() == [0, 1, 2, 3, 4, 6]
    words = [what for _, what in log.reader.damage]
    assert len(words) == 8
    assert words[0] == "no event: b'nonsense'" and "more than 4194304 bytes" in words[5]
    assert words[6].startswith("damaged from here on: ") and words[7].startswith("ends in half")
    assert log.reader.damage[6].path.name == f"{PARTS[1]}.gz"


def test_lines_without_numbers_are_read_as_they_come(log: Written) -> None:
    log.live.write_text('{"ts": 1.5, "expected": "a"}\n' * 3)
    lines = list(log.reader.read())
    assert [(line.seq, line.boot, line.event["expected"]) for line in lines] == [(-1, "", "a")] * 3


def test_a_needle(log: Written) -> None:
    log.add(20)
    with closing(LogReader(log.live, needle=b'"c7"')) as reader:
        found = list(reader.read())
    assert [line.event["corr_id"] for line in found] == ["c7"]


@pytest.mark.parametrize("packed", [False, True])
def test_one_file(log: Written, packed: bool) -> None:
    log.add(2)
    part = log.put_aside(PARTS[0])
    log.add()
    if packed:
        compress(part)
        part = part.with_name(f"{part.name}.gz")
    assert [line.seq for line in LogReader(part).read_file(part)] == [0, 1]
    with pytest.raises(EventLogError, match="cannot read .*No such file"):
        list(log.reader.read_file(part.with_name("nothing")))


def test_a_folder_that_may_not_be_read(log: Written) -> None:
    log.add()
    with closed(log.live.parent), pytest.raises(EventLogError, match=r"cannot read .*denied"):
        log.read()
