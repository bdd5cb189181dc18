"""The log on the disk: rotated, compressed, torn, foreign, damaged, missing."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from isthmus.errors import RecordError
from isthmus.record.drift import analyse, read_log
from isthmus.record.drift.log import MAX_LINE, NAME

from .drifting import events, old_events, text, write


def test_what_was_put_aside_is_read_too(tmp_path: Path) -> None:
    lines = events()
    write(tmp_path / f"{NAME}.20261123T040000Z", lines[:10])
    (tmp_path / f"{NAME}.20261123T040500Z-1.gz").write_bytes(gzip.compress(text(lines[10:50])))
    (tmp_path / f"{NAME}.1795406400").write_bytes(text(old_events()))  # the first system's name
    write(tmp_path / NAME, lines[50:])
    for other in (f".{NAME}.20261123T040500Z.gz.tmp", f"{NAME}.md", "ipc_gateway_events.jsonl"):
        write(tmp_path / other, lines)
    log = read_log(tmp_path)
    assert len(log.mismatches) == len(lines) + 4
    assert [file.name for file in log.files][-1] == NAME and len(log.files) == 4
    times = [mismatch.ts for mismatch in log.mismatches]
    assert times == sorted(times)
    assert (log.unreadable, log.foreign, log.notes) == (0, 0, [])


def test_a_file_that_is_being_compressed_is_read_once(tmp_path: Path) -> None:
    part = write(tmp_path / f"{NAME}.20261123T040000Z", events())
    part.with_name(f"{part.name}.gz").write_bytes(gzip.compress(text(events()))[:100])
    log = read_log(tmp_path / NAME)  # the live file itself is not there yet
    assert log.files == [part] and len(log.mismatches) == len(events())


def test_a_compressed_file_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl.gz"
    file.write_bytes(gzip.compress(text(old_events())))
    assert len(read_log(file).mismatches) == 4


def test_torn_and_foreign_lines_are_counted(tmp_path: Path) -> None:
    whole = text(old_events())
    own = text(
        [
            {"seq": 0, "ts_wall": 1, "phase": "event", "type": "log_opened", "pid": 3},
            {"seq": 9, "ts_wall": 1, "phase": "event", "type": "dropped", "count": 7},
            {"seq": 9, "ts_wall": 1, "phase": "event", "type": "dropped", "count": "many"},
        ]
    )
    foreign = text([{"type": "obs"}, {"ts": 1}])
    middle = b'{"ts":17954\n\n  \n\0\0\0\0\n"text"\n'
    (tmp_path / NAME).write_bytes(own + whole + middle + foreign + whole + whole[:30])
    log = read_log(tmp_path / NAME)
    assert len(log.mismatches) == 8
    assert (log.unreadable, log.foreign, log.own, log.lost) == (3, 2, 3, 7)
    assert log.lines == 8 + 3 + 2 + 3


def test_a_line_without_an_end_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"x" * (2 * MAX_LINE) + b"\n" + text(old_events()))
    log = read_log(tmp_path / NAME)
    assert (log.unreadable, len(log.mismatches)) == (2, 4)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no gzip"])
def test_a_damaged_part_does_not_hide_the_rest(tmp_path: Path, damage: str) -> None:
    packed = bytearray(gzip.compress(text(events())))
    if damage == "flipped":
        packed[len(packed) // 2] ^= 0xFF
    broken = {"cut": packed[:-20], "flipped": packed, "no gzip": b"plain"}[damage]
    (tmp_path / f"{NAME}.20261123T040000Z.gz").write_bytes(bytes(broken))
    write(tmp_path / NAME, old_events())
    log = read_log(tmp_path)
    assert [m.corr_id for m in log.mismatches if m.expected == "aaa"] == [
        f"old-{at}" for at in (0, 1, 2, 100)
    ]
    assert len(log.notes) == 1 and "not read to its end" in log.notes[0]


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / NAME, tmp_path / "no folder" / NAME):
        with pytest.raises(RecordError, match="no such file; a gateway writes it at the first"):
            read_log(path)


def test_a_log_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / NAME)
    with pytest.raises(RecordError, match="no such file"):
        read_log(tmp_path / NAME)
    (tmp_path / f"{NAME}.1").mkdir()
    with pytest.raises(RecordError, match="not read to its end: .*Is a directory"):
        read_log(tmp_path / NAME)


def test_a_clock_that_was_set_back_moves_nothing(tmp_path: Path) -> None:
    """Four mismatches a second apart, of two lives; after the second one the clock is set back."""
    lines = [
        {
            "seq": number, "boot": boot, "ts": 1e9 + at - (3600 if at > 1 else 0),
            "mono_ns": at * 10**9, "corr_id": f"c{at}", "expected": "a", "actual": "b",
            "session": "s", "obs_seq": at, "key": "mass", "expected_value": 1, "actual_value": 2,
        }
        for at, (boot, number) in enumerate([("x", 3), ("x", 4), ("x", 5), ("y", 0)])
    ]  # fmt: skip
    log = read_log(write(tmp_path / NAME, lines))
    assert [mismatch.corr_id for mismatch in log.mismatches] == ["c0", "c1", "c2", "c3"]
    assert [mismatch.ts for mismatch in log.mismatches] == [1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3]
    assert [note[:34] for note in log.notes] == ["the clock was set by -3600 s after"] * 2
    (parameter,) = analyse(log, cluster_gap=30).parameters
    assert (parameter.first, parameter.first_seq, parameter.last) == (1e9, 0, 1e9 + 3)


def test_lines_without_a_number_go_by_their_times(tmp_path: Path) -> None:
    lines = [{"ts": ts, "expected": "a", "actual": "b"} for ts in (5, 3, 4)]
    log = read_log(write(tmp_path / NAME, lines))
    assert ([mismatch.ts for mismatch in log.mismatches], log.notes) == ([3, 4, 5], [])
