"""A full disk: nobody waits, nothing is lost uncounted, and the log goes on when there is room."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.events.faults import Disk, Faulty, failing, fault
from tests.events.logs import NAME, check_gaps, events_of, kinds_of, lines_of, missing_of
from tests.support.waiting import until

from isthmus.events import EventLog
from isthmus.events.files import LogFiles
from isthmus.events.kinds import complaints
from isthmus.events.writer import Writer

CAPACITY = 50


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(1 << 40)
    monkeypatch.setattr("isthmus.events.livefile.os", Faulty(write=disk.write))
    return disk


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog(tmp_path, name=NAME, capacity=CAPACITY)
    yield log
    log.close(timeout=0)


def emit(log: EventLog, first: int, last: int) -> None:
    for number in range(first, last):
        log.emit({"phase": "event", "type": "accept_paused", "n": number})


def fill(log: EventLog, number: int, full: Callable[[], bool]) -> int:
    """Emit no faster than they are written, until nothing can be; the next number."""
    while not full():
        emit(log, number, number + CAPACITY // 2)
        number += CAPACITY // 2
        until(lambda: log.stats().waiting == 0 or full())
    emit(log, number, number + 3 * CAPACITY)
    return number + 3 * CAPACITY


@pytest.mark.parametrize("room", [0, 1, 1000, 3000])
def test_what_found_no_room_is_counted_and_said(
    tmp_path: Path, log: EventLog, disk: Disk, room: int
) -> None:
    disk.room = room
    log.start()
    number = fill(log, 0, lambda: log.stats().failed_writes > 0)
    until(lambda: log.stats().failed_writes > 1, "it tries on")
    stats = log.stats()
    assert stats.last_error == os.strerror(errno.ENOSPC)
    assert stats.dropped >= 2 * CAPACITY - 2
    disk.room = 1 << 40
    until(lambda: log.stats().waiting == 0 and log.stats().written > CAPACITY)
    emit(log, number, number + 1)
    log.close()
    check_gaps(tmp_path)
    assert missing_of(tmp_path) == log.stats().dropped
    kinds = kinds_of(tmp_path)
    assert kinds.count("log_writable") == 1 and "dropped" in kinds and kinds[-1] == "log_closed"
    own = [event for event in events_of(tmp_path) if "n" not in event]
    assert [found for event in own for found in complaints(event)] == []
    said = next(event for event in own if event["type"] == "dropped")
    assert said["why"].endswith("No space left on device")


def test_no_half_line_is_left_on_a_full_disk(tmp_path: Path, log: EventLog, disk: Disk) -> None:
    disk.room = 1500
    log.start()
    fill(log, 0, lambda: log.stats().failed_writes > 0)
    data = (tmp_path / NAME).read_bytes()
    assert data.endswith(b"\n") and len(data) < 1500
    disk.room = 0
    log.close(timeout=0)
    assert lines_of(tmp_path)[-1].seq == data.count(b"\n") - 1
    stats = log.stats()
    emitted_and_own = stats.written + stats.dropped + stats.waiting
    assert emitted_and_own >= 3 * CAPACITY and "log_closed" not in kinds_of(tmp_path)


@pytest.mark.parametrize("words", [0, 700])
def test_what_is_lost_at_the_end_is_counted_and_said(
    tmp_path: Path,
    log: EventLog,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    words: int,
) -> None:
    """To people in any case; to the log if it has room for two lines, though not for all."""
    disk.room = 1500
    log.start()
    fill(log, 0, lambda: log.stats().failed_writes > 0)
    last = lines_of(tmp_path)[-1].seq
    give_up = Writer._give_up

    def with_room(writer: Writer, files: LogFiles) -> None:
        disk.room = words
        give_up(writer, files)

    monkeypatch.setattr(Writer, "_give_up", with_room)
    log.close(timeout=0)
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "No space left on device" in said and "are lost" in said
    assert log.stats().waiting == 0 and log.stats().dropped > 3 * CAPACITY
    if words:
        assert kinds_of(tmp_path)[-2:] == ["dropped", "log_closed"]
        assert missing_of(tmp_path) == log.stats().dropped
    else:
        assert lines_of(tmp_path)[-1].seq == last
        assert f"from number {last + 1} on" in said


def test_a_half_line_that_cannot_be_cut_is_mended_later(
    tmp_path: Path, log: EventLog, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.start()
    until(lambda: log.stats().written == 1)
    with monkeypatch.context() as patched:
        faulty = Faulty(write=disk.write, ftruncate=failing(errno.EIO))
        patched.setattr("isthmus.events.livefile.os", faulty)
        patched.setattr("isthmus.events.recovery.os", faulty)
        disk.room = 20
        emit(log, 0, 1)
        until(lambda: log.stats().failed_writes > 1)
        assert not (tmp_path / NAME).read_bytes().endswith(b"\n")
    disk.room = 1 << 40
    emit(log, 1, 2)
    until(lambda: log.stats().written >= 3)
    log.close()
    assert missing_of(tmp_path) == 0
    assert [kinds_of(tmp_path).count(kind) for kind in ("log_torn", "log_writable")] == [1, 1]


def test_a_sync_that_fails_is_counted_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = iter([fault(errno.EIO)] * 2)

    def fdatasync(_: int) -> None:
        for each in faults:
            raise each

    monkeypatch.setattr("isthmus.events.livefile.os", Faulty(fdatasync=fdatasync))
    log = EventLog(tmp_path, name=NAME, sync_interval=0.0)
    log.start()
    until(lambda: log.stats().failed_writes == 2)
    log.close()
    assert kinds_of(tmp_path) == ["log_opened", "log_writable", "log_closed"]
    said = events_of(tmp_path)[1]
    assert (said["error"], said["failures"]) == (os.strerror(errno.EIO), 2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system; the tests above simulate one")
    start = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    done = subprocess.run(start, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_full_disk(small_disk: Path) -> None:
    """Full at the start already, freed, filled by the log's own rotations, and freed again."""
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    log = EventLog(small_disk, name=NAME, capacity=CAPACITY, max_bytes=8192, quota_bytes=1 << 30)
    log.start()
    number = fill(log, 0, lambda: log.stats().failed_writes > 0)
    ballast.unlink()
    until(lambda: log.stats().waiting == 0)
    failed = log.stats().failed_writes
    number = fill(log, number, lambda: log.stats().failed_writes > failed)
    saved = Path(f"{small_disk}.saved")
    saved.mkdir()
    for part in small_disk.glob(f"{NAME}.*Z*"):
        (saved / part.name).write_bytes(part.read_bytes())
        part.unlink()
    until(lambda: log.stats().waiting == 0)
    emit(log, number, number + 1)
    log.close()
    for file_left in small_disk.glob(f"{NAME}*"):
        (saved / file_left.name).write_bytes(file_left.read_bytes())
    check_gaps(saved)
    assert missing_of(saved) == log.stats().dropped > 0
    assert kinds_of(saved).count("log_writable") == 2 and kinds_of(saved)[-1] == "log_closed"
