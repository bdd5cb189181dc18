"""What lies on disk is read once, bounded, and never waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from isthmus.errors import PolicyLoadError
from isthmus.policy.files import read_file


def test_a_file_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    assert read_file(tmp_path / "file", 4) == b"four"
    with pytest.raises(PolicyLoadError, match="larger than 3 bytes"):
        read_file(tmp_path / "file", 3)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyLoadError, match="no regular file"):
        read_file(tmp_path, 4)
    with pytest.raises(PolicyLoadError, match="cannot be read: No such file"):
        read_file(tmp_path / "none", 4)


def test_a_pipe_that_takes_a_file_s_place_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"four")
    looked_at = os.stat(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "stat", lambda self, **options: looked_at)
    with pytest.raises(PolicyLoadError, match="no regular file"):
        read_file(tmp_path / "pipe", 4)
