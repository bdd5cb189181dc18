"""Zip archives of strangers: read from memory, bounded, and never unpacked to disk."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import PurePosixPath

from ..errors import PolicyLoadError

__all__ = ["Archive", "is_archive"]

MAX_MEMBERS = 4096
MAX_UNPACKED_BYTES = 512 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def is_archive(data: bytes) -> bool:
    """Whether the bytes begin as a zip archive does."""
    return data[:4] == b"PK\x03\x04"


class Archive:
    """The members of a zip archive, by name.

    Args:
        data: the whole archive.
        source: how messages call it.

    Raises:
        PolicyLoadError: it is damaged, cut short, or larger than what is read.
    """

    def __init__(self, data: bytes, source: str) -> None:
        self._source = source
        try:
            self._file = zipfile.ZipFile(io.BytesIO(data))
        except Exception as exc:  # what a damaged directory raises depends on where it breaks
            raise PolicyLoadError(f"{source} is no zip archive that can be read: {exc}") from exc
        members = self._file.infolist()
        self._members = {member.filename: member for member in members}
        if len(members) > MAX_MEMBERS or len(self._members) != len(members):
            raise PolicyLoadError(
                f"{source}: expected at most {MAX_MEMBERS} members, each name once, got "
                f"{len(members)} under {len(self._members)} names"
            )
        total = sum(member.file_size for member in members)
        if total > MAX_UNPACKED_BYTES:
            raise PolicyLoadError(
                f"{source} unpacks to {total} bytes; at most {MAX_UNPACKED_BYTES} are read"
            )
        for member in members:
            self._check(member)

    def _check(self, member: zipfile.ZipInfo) -> None:
        """Refuse what no program writes that saves a policy; nothing is unpacked in any case."""
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
            raise PolicyLoadError(
                f"{self._source}: member {member.filename[:80]!r} points out of the archive"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise PolicyLoadError(f"{self._source}: member {member.filename[:80]!r} is a link")
        if member.compress_type not in _METHODS or member.flag_bits & 1:
            raise PolicyLoadError(
                f"{self._source}: member {member.filename[:80]!r} is encrypted, or packed in a way "
                "that is not read"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Of all members, in the archive's order."""
        return tuple(self._members)

    def read(self, name: str) -> bytes:
        """Unpack one member into memory.

        Raises:
            PolicyLoadError: there is none of that name, it is damaged, or is larger than it says.
        """
        member = self._members.get(name)
        if member is None:
            raise PolicyLoadError(f"{self._source} has no member {name!r}")
        try:
            with self._file.open(member) as file:
                data = file.read(member.file_size + 1)
        except Exception as exc:  # zipfile's, zlib's and struct's errors have no base of their own
            raise PolicyLoadError(f"{self._source}: {name} cannot be unpacked: {exc}") from exc
        if len(data) != member.file_size:
            raise PolicyLoadError(
                f"{self._source}: {name} unpacks to {len(data)} bytes and says {member.file_size}"
            )
        return data
