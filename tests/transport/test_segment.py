"""The shared memory: no name, no shrinking, taken in full, and given back."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
from pathlib import Path

import pytest

from isthmus.errors import UpgradeError
from isthmus.transport import segment as module
from isthmus.transport.segment import PAGE, Segment, boot_id, can_share

from .ends import frame, nothing_left, number_of, put, segments, shared, take

F_ADD_SEALS, F_GET_SEALS = 1033, 1034


@pytest.fixture(params=["memfd", "syscall", "file"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to memory without a name; the later ones for Pythons that lack the former."""
    if request.param != "memfd":
        monkeypatch.delattr(os, "memfd_create")
    if request.param == "file":
        monkeypatch.setattr(module, "_MEMFD_SYSCALL", {})
    return str(request.param)


def attached(made: Segment) -> Segment:
    copies = [os.dup(number) for number in made.descriptors()]
    return Segment.attach(copies, made.question_size, made.answer_size)


def test_both_sides_see_one_memory(way: str) -> None:
    with nothing_left():
        made = Segment.create(100, 5000)
        other = attached(made)
        assert (made.question_size, made.answer_size) == (PAGE, 2 * PAGE)
        made.memory[made.answer_at] = 7
        assert other.memory[other.answer_at] == 7
        for one in (made, other):
            one.close()
            one.memory.close()


def test_it_has_no_name_and_all_its_memory(way: str) -> None:
    before = set(os.listdir("/dev/shm")) | set(os.listdir("/tmp"))
    made = Segment.create(100_000, 100_000)
    assert set(os.listdir("/dev/shm")) | set(os.listdir("/tmp")) == before
    found = os.fstat(made.descriptor)
    assert found.st_nlink == 0
    assert found.st_blocks * 512 >= found.st_size
    made.close()


@pytest.mark.parametrize("way", ["memfd", "syscall"], indirect=True)
def test_nobody_can_change_its_size(way: str) -> None:
    made = Segment.create(100, 100)
    assert fcntl.fcntl(made.descriptor, F_GET_SEALS) == 0x7
    for size in (0, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(made.descriptor, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(made.descriptor, F_ADD_SEALS, 0x8)
    made.close()


def test_a_sandbox_without_memfd_gets_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> int:
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr(os, "memfd_create", forbidden)
    made = Segment.create(100, 100)
    other = attached(made)
    other.close()
    made.close()


def test_memory_is_taken_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with nothing_left(), pytest.raises(UpgradeError, match="no space left"):
        Segment.create(100, 100)


@pytest.mark.parametrize("name", ["eventfd", "posix_fallocate"])
def test_a_python_that_cannot_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_share() == ""
    monkeypatch.delattr(os, name)
    assert name in can_share()


def test_a_host_is_known_by_its_boot_id(monkeypatch: pytest.MonkeyPatch) -> None:
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    monkeypatch.setattr(module, "boot_id", lambda: "")
    assert "boot id" in can_share()


def memfd(size: int, seals: int | None) -> int:
    descriptor = os.memfd_create("isthmus", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    if seals is not None:
        fcntl.fcntl(descriptor, F_ADD_SEALS, seals)
    return descriptor


def bells() -> list[int]:
    return [os.eventfd(0), os.eventfd(0)]


@pytest.mark.parametrize(
    ("size", "seals", "announced", "why"),
    [
        (3 * PAGE, None, (PAGE, PAGE), "not sealed"),
        (3 * PAGE, 0x4, (PAGE, PAGE), "not sealed"),
        (2 * PAGE, 0x7, (PAGE, PAGE), "not as large"),
        (4 * PAGE, 0x7, (PAGE, PAGE), "not as large"),
        (3 * PAGE, 0x7, (0, 2 * PAGE), "bound"),
        (3 * PAGE, 0x7, (2 * PAGE, 0), "bound"),
        (3 * PAGE, 0x7, (1 << 40, PAGE), "bound"),
        (3 * PAGE, 0x7 | 0x8, (PAGE, PAGE), "cannot map"),
    ],
)
def test_a_segment_that_is_not_what_was_said(
    size: int, seals: int | None, announced: tuple[int, int], why: str
) -> None:
    with nothing_left(), pytest.raises(UpgradeError, match=why):
        Segment.attach([memfd(size, seals), *bells()], *announced)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_wrong_number_of_descriptors(count: int) -> None:
    with nothing_left(), pytest.raises(UpgradeError, match=f"got {count}"):
        Segment.attach([os.dup(0) for _ in range(count)], PAGE, PAGE)


def test_descriptors_that_are_no_memory() -> None:
    with nothing_left():
        left, right = socket.socketpair()
        with left, right, pytest.raises(UpgradeError):
            Segment.attach([left.detach(), *bells()], PAGE, PAGE)


def test_a_file_with_a_name_is_no_segment(tmp_path: Path) -> None:
    path = tmp_path / "named"
    path.write_bytes(bytes(3 * PAGE))
    with nothing_left(), pytest.raises(UpgradeError, match="shrink"):
        Segment.attach([os.open(path, os.O_RDWR), *bells()], PAGE, PAGE)


def test_the_mapping_goes_with_the_transport() -> None:
    before = segments()
    with shared() as (link, gateway):
        assert segments() == before + 2
        put(link, frame(1))
        assert number_of(take(gateway)) == 1
    assert segments() == before


def test_an_array_over_the_slot_keeps_the_mapping_and_the_codec_lets_it_go() -> None:
    from isthmus.protocol.messages import Action

    from ..protocol.peers import bound, chosen

    before = segments()
    codec = bound("binary")
    with shared() as (_, gateway):
        gateway.send(codec.encode(Action(chosen()), gateway.reserve))
    assert segments() == before + 1, "the codec's views are still there"
    codec.release()
    assert segments() == before


def test_the_syscall_is_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    real = ctypes.CDLL

    class Spy:
        def __init__(self, *arguments: object, **options: object) -> None:
            self.libc = real(None, use_errno=True)

        def syscall(self, *arguments: object) -> int:
            called.append(arguments)
            return int(self.libc.syscall(*arguments))

    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(module.ctypes, "CDLL", Spy)
    made = Segment.create(1, 1)
    assert os.readlink(f"/proc/self/fd/{made.descriptor}").startswith("/memfd:isthmus")
    assert len(called) == 1
    made.close()
