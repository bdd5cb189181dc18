"""Where isthmus keeps what it makes: made whole, and at a place that is one from everywhere."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

import pytest

from isthmus.errors import EnvironmentSetupError
from isthmus.runtimes import state as state_module
from isthmus.runtimes.state import StateFolder, write_whole


def test_nothing_in_it_is_anyones_source(tmp_path: Path) -> None:
    assert StateFolder.beside(tmp_path).probes == tmp_path / ".isthmus" / "probes"
    assert (tmp_path / ".isthmus" / ".gitignore").read_text() == "*\n"


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = StateFolder.beside(tmp_path)

    def full(path: Path, text: str, **_: str) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(Path, "write_text", full)
        _ = state.probes
    assert os.listdir(state.root) == ["probes"]
    _ = state.probes
    assert (state.root / ".gitignore").read_text() == "*\n"


def test_an_empty_one_is_written_again_and_the_users_stays(tmp_path: Path) -> None:
    state = StateFolder.beside(tmp_path)
    ignore = state.probes.parent / ".gitignore"
    ignore.write_text("")
    _ = state.up
    assert ignore.read_text() == "*\n"
    ignore.write_text("mine\n")
    _ = state.up
    assert ignore.read_text() == "mine\n"


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write_whole(tmp_path / "file", text)
        assert (tmp_path / "file").read_text() == text
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_CACHE_HOME": "/cache", "HOME": "/home/ada"}, "/cache/isthmus"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/ada"}, "/home/ada/.cache/isthmus"),
        ({"XDG_CACHE_HOME": "cache", "HOME": "/home/ada"}, "/home/ada/.cache/isthmus"),
        ({"XDG_CACHE_HOME": "~/c"}, "/registered/.cache/isthmus"),
        ({"HOME": ""}, "/registered/.cache/isthmus"),
        ({"HOME": "ada"}, "/registered/.cache/isthmus"),
        ({"HOME": "/"}, "/registered/.cache/isthmus"),
        ({}, "/registered/.cache/isthmus"),
    ],
)
def test_the_users_cache_is_one_place_from_everywhere(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(state_module, "_registered_home", lambda: "/registered")
    assert StateFolder.of_user(environ).root == Path(expected)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(EnvironmentSetupError, match="HOME is 'here' .* set XDG_CACHE_HOME"):
        StateFolder.of_user({"HOME": "here"})
