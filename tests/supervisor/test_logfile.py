from __future__ import annotations

import os
import resource
from pathlib import Path

from isthmus.supervisor.logfile import LogFile


def read_all(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_everything_is_kept(tmp_path: Path) -> None:
    said: list[str] = []
    log = LogFile(tmp_path / "a.log", said.append)
    log.write(b"one\n\x00\xff")
    log.write(b"two")
    log.close()
    assert read_all(tmp_path) == {"a.log": b"one\n\x00\xfftwo"}
    assert said == []


def test_a_flood_is_bounded(tmp_path: Path) -> None:
    said: list[str] = []
    log = LogFile(tmp_path / "a.log", said.append, part_size=10, kept=2)
    for number in range(10):
        log.write(b"%d" % number * 10)
    log.write(b"rest")
    log.close()
    assert read_all(tmp_path) == {"a.log": b"rest", "a.log.1": b"9" * 10, "a.log.2": b"8" * 10}
    assert len(said) == 1
    assert "goes on in parts" in said[0]


def test_a_full_disk_is_said_once_and_counted(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "a.log").symlink_to("/dev/full")
    log = LogFile(tmp_path / "a.log", said.append)
    log.write(b"12345")
    log.write(b"67890")
    assert len(said) == 1
    assert "No space left on device" in said[0]
    (tmp_path / "a.log").unlink()  # there is room again
    log.write(b"rest")
    log.close()
    assert read_all(tmp_path) == {"a.log": b"[isthmus: 10 bytes are missing here]\nrest"}


def test_what_was_written_before_the_disk_was_full_is_not_missing(tmp_path: Path) -> None:
    said: list[str] = []
    log = LogFile(tmp_path / "a.log", said.append)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (7, old[1]))
    try:
        log.write(b"1234567890")
        log.write(b"12345")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    log.close()
    assert read_all(tmp_path) == {"a.log": b"1234567"}
    assert said[-1].startswith("8 bytes are missing at the end of")


def test_what_is_missing_at_the_end_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    log = LogFile(tmp_path / "none" / "a.log", said.append)
    log.write(b"12345")
    log.close()
    assert said[-1].startswith("5 bytes are missing at the end of")


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    log = LogFile(tmp_path / "a.log", print)
    log.write(b"1")
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before
