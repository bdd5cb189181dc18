from __future__ import annotations

import io
import stat
import zipfile
import zlib
from pathlib import Path

import pytest

from isthmus.errors import PolicyLoadError
from isthmus.export.archive import Archive, is_archive

from .canaries import archive


def test_members_are_read_into_memory() -> None:
    found = Archive(archive({"a": b"1", "b/c": b"22"}), "x")
    assert found.names == ("a", "b/c")
    assert found.read("b/c") == b"22"
    with pytest.raises(PolicyLoadError, match="no member 'd'"):
        found.read("d")


def test_only_a_zip_is_an_archive() -> None:
    assert is_archive(archive({"a": b""}))
    assert not is_archive(b"\x80\x02.")
    with pytest.raises(PolicyLoadError, match="no zip archive"):
        Archive(b"PK\x03\x04 and nothing else", "x")


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "a\\b"])
def test_a_name_that_points_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match="points out of the archive"):
        Archive(archive({name: b"x"}), "x")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_refused() -> None:
    link = zipfile.ZipInfo("policy.pth")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(PolicyLoadError, match="is a link"):
        Archive(written.getvalue(), "x")


def test_a_bomb_is_refused_by_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.export.archive.MAX_UNPACKED_BYTES", 1 << 20)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
        for index in range(3):
            file.writestr(str(index), bytes(1 << 19))
    assert len(written.getvalue()) < 1 << 14
    with pytest.raises(PolicyLoadError, match="unpacks to 1572864 bytes"):
        Archive(written.getvalue(), "x")


def test_a_bomb_that_lies_is_cut_off_at_what_it_said() -> None:
    """A member of 1 MiB that says it has 100 bytes, with the right checksum for neither."""
    packed = zlib.compress(bytes(1 << 20), wbits=-15)
    data = archive({"a": bytes(100)})
    stored = bytes(100)
    assert data.count(stored) == 1
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", bytes(1 << 20))
    whole = bytearray(written.getvalue())
    assert packed[:4] in whole
    size = (1 << 20).to_bytes(4, "little")
    assert whole.count(size) == 2  # its own header, and the directory
    lying = bytes(whole).replace(size, (100).to_bytes(4, "little"))
    with pytest.raises(PolicyLoadError, match="a (cannot be unpacked|unpacks to)"):
        Archive(lying, "x").read("a")


def test_a_name_that_is_there_twice_is_refused() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("data", "1")
        file.writestr("data", "2")
    with pytest.raises(PolicyLoadError, match="each name once, got 2 under 1"):
        Archive(written.getvalue(), "x")


def test_encrypted_and_unusual_packing_is_refused() -> None:
    data = bytearray(archive({"a": b"x"}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1
    with pytest.raises(PolicyLoadError, match="encrypted"):
        Archive(bytes(data), "x")


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.export.archive.MAX_MEMBERS", 2)
    with pytest.raises(PolicyLoadError, match="at most 2 members"):
        Archive(archive({"a": b"", "b": b"", "c": b""}), "x")


def test_a_damaged_member_is_an_error_of_ours() -> None:
    data = bytearray(archive({"a": b"0123456789"}))
    data[data.index(b"0123456789")] ^= 1
    with pytest.raises(PolicyLoadError, match="a cannot be unpacked"):
        Archive(bytes(data), "x").read("a")
