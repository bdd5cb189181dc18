"""A log as its users see it: producers on one side, files on the other."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.events.faults import Faulty, failing
from tests.events.logs import (
    NAME,
    check_gaps,
    events_of,
    gaps_of,
    kinds_of,
    lines_of,
    missing_of,
    numbers_of,
)
from tests.support.rights import closed
from tests.support.waiting import until

from isthmus.errors import EventLogError
from isthmus.events import EventLog, new_event
from isthmus.events.kinds import complaints
from isthmus.events.mailbox import Mailbox
from isthmus.events.writer import Writer


@pytest.fixture
def made() -> Iterator[list[EventLog]]:
    """Logs of a test, closed after it."""
    logs: list[EventLog] = []
    yield logs
    for log in logs:
        log.close()


def started(made: list[EventLog], folder: Path, **options: Any) -> EventLog:
    log = EventLog(folder, **{"name": NAME, **options})
    made.append(log)
    log.start()
    return log


def emit(log: EventLog, first: int, last: int, **more: Any) -> None:
    for number in range(first, last):
        log.emit({"phase": "event", "type": "accept_paused", "n": number, **more})


def written(log: EventLog, count: int) -> None:
    """Wait for so many lines of all."""
    until(lambda: log.stats().written >= count, f"{count} lines")


def test_what_is_emitted_is_in_the_file(tmp_path: Path, made: list[EventLog]) -> None:
    log = EventLog(tmp_path / "deep" / "logs", name=NAME)
    emit(log, 0, 2)
    assert not log.path.exists()
    log.start()
    emit(log, 2, 5)
    log.close()
    folder = log.path.parent
    assert numbers_of(folder) == [0, 1, 2, 3, 4]
    assert kinds_of(folder)[0] == "log_opened" and kinds_of(folder)[-1] == "log_closed"
    assert [line.seq for line in lines_of(folder)] == list(range(7))
    assert {line.boot for line in lines_of(folder)} == {log.boot}
    assert log.stats()._replace(written=0) == (0, 0, 0, 0, 0, "") and log.stats().written == 7
    assert [complaints(event) for event in events_of(folder) if "n" not in event] == [[], []]


def test_what_comes_after_the_end_is_counted(tmp_path: Path, made: list[EventLog]) -> None:
    log = started(made, tmp_path)
    log.close()
    emit(log, 0, 3)
    log.close()
    assert log.stats().dropped == 3 and numbers_of(tmp_path) == []
    with pytest.raises(EventLogError, match="make another"):
        log.start()


def test_a_log_that_was_never_started_can_be_closed(tmp_path: Path) -> None:
    log = EventLog(tmp_path, name=NAME)
    emit(log, 0, 1)
    log.close()
    assert (log.stats().waiting, list(tmp_path.iterdir())) == (1, [])


@pytest.mark.parametrize("options", [{"max_bytes": 10}, {"capacity": 0}])
def test_bounds_that_make_no_sense(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected max_bytes of at least"):
        EventLog(tmp_path, **options)  # type: ignore[arg-type]


def test_eight_producers(tmp_path: Path, made: list[EventLog]) -> None:
    each = 500
    log = started(made, tmp_path, max_bytes=50_000)
    threads = [
        threading.Thread(target=emit, args=(log, 0, each), kwargs={"producer": number})
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert log.stats().dropped == 0 and log.stats().rotations > 5
    lines = lines_of(tmp_path)
    assert [line.seq for line in lines] == list(range(8 * each + 2))
    for producer in range(8):
        mine = [line.event["n"] for line in lines if line.event.get("producer") == producer]
        assert mine == list(range(each))


def test_eight_producers_that_are_too_fast(tmp_path: Path, made: list[EventLog]) -> None:
    each = 2000
    log = started(made, tmp_path, capacity=64)
    threads = [threading.Thread(target=emit, args=(log, 0, each)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found = len(numbers_of(tmp_path))
    missing = missing_of(tmp_path)
    assert 0 < missing == 8 * each - found == log.stats().dropped
    assert all(gap.why.startswith("dropped: 64 events") for _, gap in gaps_of(tmp_path).all())


def test_a_burst_that_does_not_fit_is_said_at_once(tmp_path: Path, made: list[EventLog]) -> None:
    log = EventLog(tmp_path, name=NAME, capacity=10)
    made.append(log)
    emit(log, 0, 25)
    log.start()
    written(log, 12)
    assert kinds_of(tmp_path)[-1] == "dropped"
    said = events_of(tmp_path)[-1]
    assert (said["count"], said["first_seq"], said["last_seq"], said["seq"]) == (15, 11, 25, 26)
    assert complaints(said) == []
    emit(log, 25, 26)
    log.close()
    assert (check_gaps(tmp_path), missing_of(tmp_path)) == ({log.boot: 26}, 15)


def test_a_thousand_rotations(tmp_path: Path, made: list[EventLog]) -> None:
    log = started(made, tmp_path, max_bytes=256, quota_bytes=1 << 30, sync_interval=None)
    emit(log, 0, 1001, filler="x" * 200)
    log.close()
    assert log.stats().rotations >= 1000
    assert numbers_of(tmp_path) == list(range(1001))
    assert gaps_of(tmp_path).all() == []


def test_rotations_under_a_clock_that_jumps(tmp_path: Path, made: list[EventLog]) -> None:
    """Back and forth, by seconds and by years; the numbers and the files keep their order."""
    walls = iter([1.8e9, 1.8e9 + 5, 1.7e9, 1.7e9, 4e9, -1.0, 0.0, 1e15] * 2000)
    log = started(made, tmp_path, max_bytes=400, wall=lambda: next(walls))
    emit(log, 0, 60)
    log.close()
    lines = lines_of(tmp_path)
    assert [line.seq for line in lines] == list(range(len(lines)))
    assert numbers_of(tmp_path) == list(range(60))
    times = [line.event["mono_ns"] for line in lines if "n" in line.event]
    assert times == sorted(times)
    assert log.stats().rotations > 10


def test_files_are_no_larger_than_asked_unless_a_line_is(
    tmp_path: Path, made: list[EventLog]
) -> None:
    log = started(made, tmp_path, max_bytes=1000)
    emit(log, 0, 30)
    log.emit({"type": "x", "text": "y" * 5000})
    emit(log, 30, 60)
    log.close()
    sizes = sorted(file.stat().st_size for file in tmp_path.glob(f"{NAME}*"))
    assert sizes[-1] > 5000 and all(300 < size <= 1000 for size in sizes[1:-1])


def test_the_quota_takes_the_oldest_and_says_so(tmp_path: Path, made: list[EventLog]) -> None:
    log = started(made, tmp_path, max_bytes=1000, quota_bytes=5000)
    emit(log, 0, 200)
    log.close()
    total = sum(file.stat().st_size for file in tmp_path.glob(f"{NAME}*"))
    assert 3000 < total <= 5000
    numbers = numbers_of(tmp_path)
    assert numbers == list(range(numbers[0], 200)) and numbers[0] > 100
    removed = [event for event in events_of(tmp_path) if event["type"] == "log_removed"]
    assert removed and all(complaints(event) == [] for event in removed)
    assert not any((tmp_path / name).exists() for event in removed for name in event["removed"])
    ((_, gap),) = gaps_of(tmp_path).all()
    assert (gap.first, gap.last) == (0, lines_of(tmp_path)[0].seq - 1)
    assert gap.why == "in files that the quota removed"


def test_a_quota_that_shrank_is_kept_from_the_start(tmp_path: Path, made: list[EventLog]) -> None:
    started(made, tmp_path, quota_bytes=1 << 30).close()
    for number in range(30):
        (tmp_path / f"{NAME}.20200101T0000{number:02}Z").write_bytes(b"x" * 99 + b"\n")
    log = started(made, tmp_path, max_bytes=4000, quota_bytes=4500)
    log.close()
    assert len(list(tmp_path.glob(f"{NAME}.2020*"))) == 5
    removed = [e for e in events_of_live(tmp_path) if e["type"] == "log_removed"]
    assert removed[0]["count"] == 25 and len(removed[0]["removed"]) == 20


def events_of_live(folder: Path) -> list[dict[str, Any]]:
    for file in folder.glob(f"{NAME}.2020*"):
        file.unlink()
    return events_of(folder)


def test_compressed_files_are_read_as_the_others(tmp_path: Path, made: list[EventLog]) -> None:
    log = started(made, tmp_path, max_bytes=1000, compress=True)
    emit(log, 0, 60)
    written(log, 60)
    until(lambda: len(list(tmp_path.glob(f"{NAME}*Z*.gz"))) == log.stats().rotations)
    log.close()
    assert numbers_of(tmp_path) == list(range(60))


def test_a_compression_that_was_interrupted_is_taken_up(
    tmp_path: Path, made: list[EventLog]
) -> None:
    log = started(made, tmp_path, max_bytes=1000)
    emit(log, 0, 30)
    log.close()
    plain = list(tmp_path.glob(f"{NAME}.*Z*"))
    (tmp_path / f".{plain[0].name}.gz.tmp").write_bytes(b"half")
    started(made, tmp_path, max_bytes=1000, compress=True)
    until(lambda: not any(path.exists() for path in plain))
    assert numbers_of(tmp_path) == list(range(30))
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_log_goes_on_where_the_last_one_ended(tmp_path: Path, made: list[EventLog]) -> None:
    for number in range(3):
        log = started(made, tmp_path)
        emit(log, number, number + 1)
        log.close()
    assert numbers_of(tmp_path) == [0, 1, 2]
    assert len(gaps_of(tmp_path).boots) == 3 and gaps_of(tmp_path).all() == []


def test_half_a_line_is_cut_off_and_reported(tmp_path: Path, made: list[EventLog]) -> None:
    path = tmp_path / NAME
    path.write_bytes(b'{"seq":0,"boot":"a"}\n{"seq":1,"boot":"a","text":"half')
    log = started(made, tmp_path)
    log.close()
    assert path.read_bytes().startswith(b'{"seq":0,"boot":"a"}\n{"seq":0,')
    torn = [event for event in events_of(tmp_path) if event.get("type") == "log_torn"]
    assert (torn[0]["bytes"], torn[0]["text"]) == (32, '{"seq":1,"boot":"a","text":"half')
    assert complaints(torn[0]) == []


def test_what_a_log_says_of_itself_may_go_elsewhere(tmp_path: Path, made: list[EventLog]) -> None:
    class Sink:
        def __init__(self) -> None:
            self.events: list[dict[str, Any]] = []

        def emit(self, event: Mapping[str, Any]) -> None:
            self.events.append(dict(event))

    sink = Sink()
    log = EventLog(tmp_path, name=NAME, capacity=3, notes=sink)
    for number in range(5):
        log.emit({"ts": 1.5, "corr_id": "c", "expected": "a", "actual": f"b{number}"})
    log.start()
    log.close()
    assert [event["actual"] for event in events_of(tmp_path)] == ["b0", "b1", "b2"]
    assert [line.seq for line in lines_of(tmp_path)] == [0, 1, 2]
    assert [event["type"] for event in sink.events] == ["log_opened", "dropped", "log_closed"]
    assert {event["file"] for event in sink.events} == {NAME}


def test_a_second_writer_is_refused_by_name(tmp_path: Path, made: list[EventLog]) -> None:
    first = started(made, tmp_path)
    with pytest.raises(EventLogError, match=f"is being written by process {os.getpid()}; end that"):
        started(made, tmp_path)
    started(made, tmp_path, name="hashes.jsonl").close()
    first.close()
    started(made, tmp_path).close()


def test_a_second_process_is_refused_until_the_first_was_killed(
    tmp_path: Path, made: list[EventLog]
) -> None:
    program = (
        "import sys, pathlib; from isthmus.events import EventLog; "
        f"log = EventLog(pathlib.Path(sys.argv[1]), name={NAME!r}); log.start(); "
        "print('up', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        with pytest.raises(EventLogError, match=f"by process {child.pid};"):
            started(made, tmp_path)
        child.send_signal(signal.SIGKILL)
    started(made, tmp_path).close()
    assert kinds_of(tmp_path).count("log_closed") == 1


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with closed(folder), pytest.raises(EventLogError, match=r"cannot write .*Permission denied"):
        EventLog(folder, name=NAME).start()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(EventLogError, match=r"cannot write .*name another folder"):
        EventLog(tmp_path / "logs", name=NAME).start()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    (tmp_path / NAME).symlink_to(secret)
    with pytest.raises(EventLogError, match="is a symbolic link; .* remove it"):
        EventLog(tmp_path, name=NAME).start()
    assert secret.read_text() == "mine"
    (tmp_path / f".{NAME}.lock").unlink()
    (tmp_path / f".{NAME}.lock").symlink_to(secret)
    with pytest.raises(EventLogError, match="cannot write"):
        EventLog(tmp_path, name=NAME).start()
    assert secret.read_text() == "mine"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_something_else_of_that_name(tmp_path: Path, make: Any) -> None:
    make(tmp_path / NAME)
    with pytest.raises(EventLogError, match="is no regular file"):
        EventLog(tmp_path, name=NAME).start()


@pytest.mark.parametrize("how", ["file removed", "file renamed", "folder removed"])
def test_a_log_that_is_taken_away_goes_on(tmp_path: Path, made: list[EventLog], how: str) -> None:
    folder = tmp_path / "logs"
    log = started(made, folder)
    emit(log, 0, 3)
    written(log, 4)
    if how == "file removed":
        log.path.unlink()
    elif how == "file renamed":
        log.path.rename(log.path.with_name("mine"))
    else:
        shutil.rmtree(folder)
    emit(log, 3, 6)
    log.close()
    assert numbers_of(folder) == [3, 4, 5]
    ((_, gap),) = gaps_of(folder).all()
    assert gap[:3] == (0, 3, "in a file that somebody removed or emptied")
    gone = [event for event in events_of(folder) if event["type"] == "log_gone"]
    assert [complaints(event) for event in gone] == [[]]
    assert log.stats().last_error == ""


def test_a_file_replaced_by_a_link_is_not_followed(tmp_path: Path, made: list[EventLog]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    log = started(made, tmp_path / "logs")
    written(log, 1)
    log.path.unlink()
    log.path.symlink_to(secret)
    emit(log, 0, 1)
    until(lambda: "symbolic link" in log.stats().last_error)
    log.path.unlink()
    written(log, 2)
    log.close()
    assert secret.read_text() == "mine" and numbers_of(log.path.parent) == [0]
    writable = [e for e in events_of(log.path.parent) if e["type"] == "log_writable"]
    assert writable[0]["failures"] >= 1 and complaints(writable[0]) == []


def test_a_folder_that_turns_unwritable_grows_the_file(
    tmp_path: Path, made: list[EventLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = started(made, tmp_path, max_bytes=1000)
    written(log, 1)

    with monkeypatch.context() as patched:
        patched.setattr("isthmus.events.files.os", Faulty(rename=failing(errno.EACCES)))
        emit(log, 0, 30)
        written(log, 31)
    emit(log, 30, 60)
    log.close()
    assert numbers_of(tmp_path) == list(range(60)) and log.stats().rotations > 0
    assert "rotate_failed" in kinds_of(tmp_path)


def test_events_that_cannot_be_lines_are_kept_as_far_as_they_go(
    tmp_path: Path, made: list[EventLog]
) -> None:
    log = started(made, tmp_path)
    log.emit(new_event("received", msg_type="obs", raw=b'x\n{"seq":0}\n'))
    log.emit({"type": "refused", "corr_id": "c", "detail": Unspeakable()})
    log.close()
    _, first, second, _ = events_of(tmp_path)
    assert first["raw"] == 'x\n{"seq":0}'
    assert re.match("RuntimeError", second["left_out"]) and second["corr_id"] == "c"


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_file_that_somebody_emptied_is_said(tmp_path: Path, made: list[EventLog]) -> None:
    log = started(made, tmp_path)
    emit(log, 0, 5)
    written(log, 6)
    os.truncate(log.path, 0)
    emit(log, 5, 6)
    log.close()
    assert numbers_of(tmp_path) == [5] and "log_gone" in kinds_of(tmp_path)
    ((_, gap),) = gaps_of(tmp_path).all()
    assert tuple(gap) == (0, 5, "in a file that somebody removed or emptied")


def test_haste_grows_with_what_waits() -> None:
    """A kill takes what waits: the writer must not be leisurely until half of the room is used."""
    mailbox = Mailbox(16384)
    writer = Writer(
        mailbox, name=NAME, boot="b", notes=None, sync_interval=None,
        wall=lambda: 0.0, mono_ns=lambda: 0,
    )  # fmt: skip
    paces = []
    for _ in range(600):
        paces.append(writer._pace())
        mailbox.put({})
    bouts, breaths = [bout for bout, _ in paces], [breath for _, breath in paces]
    assert bouts == sorted(bouts) and breaths == sorted(breaths, reverse=True)
    assert bouts[-1] == 10 * bouts[0] and breaths[-1] == breaths[0] / 2
