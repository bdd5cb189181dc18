"""What a kill leaves is put right, and nothing else is touched."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from tests.support.waiting import until

from isthmus.errors import EventLogError
from isthmus.events.compressing import Compressor, compress
from isthmus.events.encode import MAX_LINE
from isthmus.events.recovery import Torn, mend, tidy

LINES = b'{"seq":0,"text":"\\u2028"}\n{"seq":1,"raw":{"a":[1,2]}}\n'


def mended(path: Path) -> Torn | None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        return mend(descriptor, path)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("size", range(len(LINES) + 1))
def test_a_file_cut_anywhere_ends_in_a_whole_line(tmp_path: Path, size: int) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINES[:size])
    torn = mended(path)
    left = path.read_bytes()
    assert left in (LINES, b"", LINES[: LINES.index(b"\n") + 1])
    if torn is None:
        assert left[:size] == LINES[:size] and len(left) - size in (0, 1)
    else:
        assert left + torn.text.encode() == LINES[:size] and torn.size == size - len(left)
    assert mended(path) is None and path.read_bytes() == left


def test_a_long_half_line_and_one_of_zeros_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for tail in (b'{"raw":"' + b"x" * 300_000, b"\0" * 5000, b"\xff" * 10):
        path.write_bytes(LINES + tail)
        torn = mended(path)
        assert torn is not None and torn.size == len(tail) and len(torn.text) <= 800
        assert path.read_bytes() == LINES


def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINES + b"x" * (MAX_LINE + 1))
    with pytest.raises(EventLogError, match="move that file away"):
        mended(path)
    assert path.stat().st_size == len(LINES) + MAX_LINE + 1


NAME = "events.jsonl.20261118T110640Z"


def test_half_a_compressed_file_goes_and_a_whole_one_stays(tmp_path: Path) -> None:
    live = tmp_path / "events.jsonl"
    draft = tmp_path / f".{NAME}.gz.tmp"
    twice, alone, other = tmp_path / NAME, tmp_path / f"{NAME}-1", tmp_path / ".other.gz.tmp"
    for path in (live, draft, twice, alone, other):
        path.write_bytes(LINES)
    packed = tmp_path / f"{NAME}.gz"
    packed.write_bytes(gzip.compress(LINES))
    tidy(live)
    assert set(tmp_path.iterdir()) == {live, alone, other, packed}


def test_compressing_replaces_a_file_by_its_like(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(LINES * 1000)
    path.chmod(0o640)
    os.utime(path, (1000, 2000))
    assert compress(path)
    packed = tmp_path / f"{NAME}.gz"
    assert set(tmp_path.iterdir()) == {packed}
    assert gzip.decompress(packed.read_bytes()) == LINES * 1000
    assert packed.stat().st_mtime == 2000 and packed.stat().st_mode & 0o777 == 0o640


def test_compressing_that_is_stopped_or_overtaken_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(LINES)
    assert not compress(path, stop=lambda: True)
    assert set(tmp_path.iterdir()) == {path}

    def remove() -> bool:
        path.unlink()
        return False

    with pytest.raises(FileNotFoundError):
        compress(path, stop=remove)
    assert set(tmp_path.iterdir()) == set()


def test_a_file_that_cannot_be_compressed_is_said_and_the_next_one_done(tmp_path: Path) -> None:
    said: list[tuple[Path, OSError]] = []
    compressor = Compressor(lambda file, error: said.append((file, error)))
    good, folder, gone = tmp_path / NAME, tmp_path / f"{NAME}-1", tmp_path / f"{NAME}-2"
    good.write_bytes(LINES)
    folder.mkdir()
    compressor.add([folder, gone, good])
    until(lambda: (tmp_path / f"{NAME}.gz").exists() and not good.exists())
    compressor.close(timeout=10)
    assert [file for file, _ in said] == [folder]
