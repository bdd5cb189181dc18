"""A shared segment: one slot per direction, and two doorbells.

::

    0     head of questions: count of frames (u64), length of the last one (u64)
    64    head of answers: the same
    4096  the question slot
    ...   the answer slot

One slot each is enough, because one question is in flight at a time: a slot is written again only
after what it held was answered. The gateway makes the segment, in memory that has no name (nothing
is left behind by kill -9) and that nobody can shrink (a shrink would be a SIGBUS for the other
side). The doorbells are eventfds; a ring means "look", and the head says what is new.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import tempfile
from dataclasses import dataclass, field

from ..errors import UpgradeError
from .owned import Owned

__all__ = ["Segment", "boot_id", "can_share"]

PAGE = 4096
ANSWER_HEAD = 64
_MAX_SLOT = 1 << 31
_F_SEAL_SEAL, _F_SEAL_SHRINK, _F_SEAL_GROW = 0x1, 0x2, 0x4
_SEALS = _F_SEAL_SEAL | _F_SEAL_SHRINK | _F_SEAL_GROW
_F_ADD_SEALS = 1033
_F_GET_SEALS = 1034
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 0x1, 0x2
_MEMFD_SYSCALL = {"x86_64": 319, "aarch64": 279}


@dataclass
class Segment:
    """A mapped segment with its descriptors, which are closed when it is dropped.

    Attributes:
        memory: the whole mapping.
        question_size: bytes of the question slot.
        answer_size: bytes of the answer slot.
        descriptor: of the memory.
        question_bell: eventfd that the link rings.
        answer_bell: eventfd that the gateway rings.
    """

    memory: mmap.mmap
    question_size: int
    answer_size: int
    descriptor: int
    question_bell: int
    answer_bell: int
    _owned: Owned = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Own the descriptors from now on."""
        self._owned = Owned(self.descriptors())

    @property
    def question_at(self) -> int:
        """Where the question slot begins."""
        return PAGE

    @property
    def answer_at(self) -> int:
        """Where the answer slot begins."""
        return PAGE + self.question_size

    @classmethod
    def create(cls, question_size: int, answer_size: int) -> Segment:
        """Make a segment (the gateway's part).

        Raises:
            UpgradeError: the system has no memory or no eventfd for it.
        """
        question_size, answer_size = _pages(question_size), _pages(answer_size)
        size = PAGE + question_size + answer_size
        if not hasattr(os, "eventfd"):
            raise UpgradeError("this Python was built without eventfd")
        opened: list[int] = []
        try:
            descriptor, sealable = _anonymous()
            opened.append(descriptor)
            os.ftruncate(descriptor, size)
            os.posix_fallocate(descriptor, 0, size)  # or a full file system would be a SIGBUS
            if sealable:
                fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
            bells = []
            for _ in range(2):
                bells.append(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
                opened.append(bells[-1])
            memory = mmap.mmap(descriptor, size)
        except OSError as exc:
            for number in opened:
                os.close(number)
            raise UpgradeError(f"cannot make a shared segment: {exc.strerror}") from exc
        return cls(memory, question_size, answer_size, descriptor, bells[0], bells[1])

    @classmethod
    def attach(cls, descriptors: list[int], question_size: int, answer_size: int) -> Segment:
        """Map a segment that the gateway made (the link's part). Takes the descriptors over.

        Raises:
            UpgradeError: it is not what was announced, or cannot be mapped.
        """
        try:
            if len(descriptors) != 3:
                raise UpgradeError(f"expected 3 descriptors, got {len(descriptors)}")
            if not 0 < question_size <= _MAX_SLOT or not 0 < answer_size <= _MAX_SLOT:
                raise UpgradeError("the announced segment is larger than the bound")
            descriptor, question_bell, answer_bell = descriptors
            size = PAGE + question_size + answer_size
            if os.fstat(descriptor).st_size != size:
                raise UpgradeError("the segment is not as large as announced")
            if not _cannot_shrink(descriptor):
                raise UpgradeError("the segment is not sealed, so it could shrink under us")
            memory = mmap.mmap(descriptor, size)
        except OSError as exc:
            _close_all(descriptors)
            raise UpgradeError(f"cannot map the segment: {exc.strerror}") from exc
        except UpgradeError:
            _close_all(descriptors)
            raise
        return cls(memory, question_size, answer_size, descriptor, question_bell, answer_bell)

    def descriptors(self) -> list[int]:
        """What crosses to the link: memory, question bell, answer bell."""
        return [self.descriptor, self.question_bell, self.answer_bell]

    def close(self) -> None:
        """Close the descriptors, once. The mapping goes when the last view of it does."""
        self._owned.close()


def can_share() -> str:
    """Empty if this process can use shared memory, else the reason why not."""
    if not hasattr(os, "eventfd"):
        return "this Python was built without eventfd"
    if not hasattr(os, "posix_fallocate"):
        return "this system has no posix_fallocate"
    if not boot_id():
        return "the kernel's boot id cannot be read"
    return ""


def boot_id() -> str:
    """The running kernel's identity: equal for two processes on one host. Empty if unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


def _anonymous() -> tuple[int, bool]:
    """Descriptor of memory without a name, and whether it can be sealed.

    Older Pythons were built against a C library without memfd_create, although the kernel has it:
    then the system call is made directly, and as a last resort an unlinked file serves.
    """
    create = getattr(os, "memfd_create", None)
    if create is not None:
        try:
            return create("isthmus", _MFD_CLOEXEC | _MFD_ALLOW_SEALING), True
        except OSError as exc:
            if exc.errno not in (errno.ENOSYS, errno.EPERM):  # a sandbox may forbid it
                raise
            return _unlinked_file(), False
    number = _MEMFD_SYSCALL.get(platform.machine())
    if number is not None:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.syscall(number, b"isthmus", _MFD_CLOEXEC | _MFD_ALLOW_SEALING)
        if descriptor >= 0:
            return int(descriptor), True
    return _unlinked_file(), False


def _unlinked_file() -> int:
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()  # noqa: S108
    descriptor, path = tempfile.mkstemp(prefix="isthmus-", dir=folder)
    os.unlink(path)
    return descriptor


def _cannot_shrink(descriptor: int) -> bool:
    """True if sealed, or if it is an unlinked file of our own user, the announced last resort.

    A file in /dev/shm can be asked for seals too: it has the one that forbids to set any.
    """
    try:
        seals = fcntl.fcntl(descriptor, _F_GET_SEALS)
    except OSError:
        seals = _F_SEAL_SEAL
    if seals == _F_SEAL_SEAL:
        found = os.fstat(descriptor)
        return found.st_nlink == 0 and found.st_uid == os.geteuid()
    return bool(seals & _F_SEAL_SHRINK)


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
